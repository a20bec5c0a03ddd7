"""Measures one contestant at one work in a fresh database; a result counts only if the table is right afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks import references
from benchmarks.digests import digest_of
from benchmarks.grounds import ROOT, Ground
from benchmarks.peers import PEERS
from benchmarks.works import Work


@dataclass(frozen=True)
class Measured:
    """What one run took: seconds; of a process of ours also megabytes above its imports, and seconds by stage."""

    seconds: float
    peak_mib: float | None = None
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """Where contestants work: a folder for files, the Prefect server, and what else is in their environment."""

    folder: Path
    prefect_url: str
    prefect_home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def prefect(self) -> dict[str, str]:
        """The environment of those that go through Prefect."""
        return {"PREFECT_API_URL": self.prefect_url, "PREFECT_HOME": str(self.prefect_home)}


ROWS_OF_PANGRES = 100_000
Run = Callable[[str, Work, Site], Measured]


@dataclass(frozen=True)
class Contestant:
    """Somebody who does the works on some grounds. The reference of a ground is what the ratios are taken to."""

    name: str
    run: Run
    grounds: tuple[str, ...] = ("SQLite", "PostgreSQL", "MariaDB")
    works: tuple[str, ...] = ("W1", "W2", "W3")
    is_reference: bool = field(default=False, kw_only=True)
    # The peers' own tables begin with what they loaded themselves.
    brings_first_night: bool = field(default=False, kw_only=True)


def measure(contestant: Contestant, ground: Ground, work: Work, first: Work, site: Site) -> Measured:
    """Let a contestant do a work in a fresh database.

    Raises:
        ClickException: it left a wrong table, so nothing it did may count.
    """
    standing = None if work.is_first or contestant.brings_first_night else first
    url = ground.fresh(standing)
    os.sync()  # or what was written before, the feeds too, would go to the disk while this contestant is at work
    try:
        measured = contestant.run(url, work, site)
        if digest_of(ground.dump(url, site.folder)) != work.expected:
            raise click.ClickException(f"{contestant.name} left a wrong table on {ground.name} after {work.name}.")
    finally:
        ground.drop(url)
    pace = work.rows / measured.seconds
    click.echo(f"{ground.name:11} {work.name} {contestant.name:36} {pace:12,.0f} rows/s", err=True)
    return measured


def by_client(reference: Callable[[str, Work], None]) -> Run:
    """A database's own client: the time of its process."""

    def run(url: str, work: Work, _site: Site) -> Measured:
        started = time.perf_counter()
        reference(url, work)
        return Measured(time.perf_counter() - started)

    return run


def in_python(name: str) -> Run:
    """A loop of `benchmarks.contestants`, from the Parquet file."""

    def run(url: str, work: Work, site: Site) -> Measured:
        return _child(name, work.files["parquet"], {"BENCH_DATABASE": url} | site.environment)

    return run


def by_restock(format_: str, prefect: bool = True, **keys: Any) -> Run:
    """restock itself, end to end.

    Args:
        format_: which of the work's files it reads.
        prefect: whether through the Prefect server.
        keys: further keys of the feed.
    """

    def run(url: str, work: Work, site: Site) -> Measured:
        with tempfile.TemporaryDirectory(dir=site.folder) as place:
            environment = prepare_feed(Path(place), work.files[format_], url, keys)
            environment |= site.environment | (site.prefect if prefect else {})
            name = "restock" if prefect else "restock without Prefect"
            return _child(name, work.files[format_], environment)

    return run


def peers(python: str, rows: int) -> tuple[Contestant, ...]:
    """The other tools, by the Python that has them; one that would take hours is left out where there are many rows."""

    def by_peer(name: str) -> Run:
        def run(url: str, work: Work, site: Site) -> Measured:
            first = [] if work.is_first else [str(site.folder / "W1.parquet")]
            command = [python, "-m", "benchmarks.peers", name, str(work.files["parquet"]), *first]
            return _measured(command, name, {"BENCH_DATABASE": url})

        return run

    return tuple(
        Contestant(name, by_peer(name), ("PostgreSQL",), brings_first_night=name.startswith("dlt"))
        for name in PEERS
        if name != "pangres" or rows <= ROWS_OF_PANGRES
    )


def peer_versions(python: str) -> str:
    """The versions of the other tools, in one line."""
    names = ("dlt", "duckdb", "polars", "pangres", "adbc-driver-postgresql")
    code = f"from importlib.metadata import version; print(', '.join(n + ' ' + version(n) for n in {names}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def prepare_feed(place: Path, file: Path, url: str, keys: dict[str, Any]) -> dict[str, str]:
    """Write a feeds.yaml for a file; the environment in which restock finds it."""
    feed = {
        "source": str(file),
        "app": "benchmarks.shop:create_app",
        "model": "benchmarks.shop:Product",
        "transform": "transforms.products:clean",
    }
    (place / "feeds.yaml").write_text(json.dumps({"feeds": {"catalogue": feed | keys}}), encoding="utf-8")
    return {
        "BENCH_DATABASE": url,
        "RESTOCK_FEEDS": str(place / "feeds.yaml"),
        "RESTOCK_SPOOL": str(place / "spool"),
        "RESTOCK_SOURCE_ROOTS": str(file.parent),
    }


def _child(name: str, file: Path, environment: dict[str, str]) -> Measured:
    return _measured([sys.executable, "-m", "benchmarks.contestants", name, str(file)], name, environment)


def _measured(command: list[str], name: str, environment: dict[str, str]) -> Measured:
    done = subprocess.run(command, cwd=ROOT, env=plain_environment() | environment, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{name} failed with exit status {done.returncode}:\n{done.stderr}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def plain_environment() -> dict[str, str]:
    """The environment without what it says about Prefect and restock."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RESTOCK_"))}


REFERENCES = (
    Contestant("sqlite3 executemany", in_python("sqlite3 executemany"), ("SQLite",), is_reference=True),
    Contestant("psql \\copy", by_client(references.psql_copy), ("PostgreSQL",), is_reference=True),
    Contestant("mysql LOAD DATA", by_client(references.mysql_load), ("MariaDB",), is_reference=True),
)
# SQLite has one writer.
SEVERAL_WRITERS = ("PostgreSQL", "MariaDB")
# As restock comes, and with the one key that lets it use the cores.
DEFAULT, FOUR_WORKERS = "", ", 4 workers"
RESTOCK = (
    Contestant("restock, Parquet", by_restock("parquet")),
    Contestant("restock, CSV", by_restock("csv"), works=("W1", "W2")),
    Contestant("restock, Parquet" + FOUR_WORKERS, by_restock("parquet", workers=4), SEVERAL_WRITERS),
    Contestant("restock, CSV" + FOUR_WORKERS, by_restock("csv", workers=4), SEVERAL_WRITERS, works=("W1", "W2")),
    Contestant("restock, Parquet, without Prefect", by_restock("parquet", prefect=False)),
)
LADDER = (
    Contestant("add and commit per row", in_python("add and commit per row"), works=("W1",)),
    Contestant("add_all", in_python("add_all"), works=("W1",)),
    Contestant("bulk mappings, the tutorial's loop", in_python("bulk mappings"), works=("W1", "W2"), is_reference=True),
    Contestant("restock, objects", by_restock("parquet", writer="objects"), works=("W1", "W2")),
    Contestant("restock, mappings", by_restock("parquet", writer="mappings"), works=("W1", "W2")),
)
