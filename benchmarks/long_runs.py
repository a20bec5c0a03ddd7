"""What ten times as many rows do to memory and to the pace, measured on PostgreSQL."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from benchmarks.catalogue import SCHEMA, Catalogue
from benchmarks.grounds import open_grounds
from benchmarks.measuring import Contestant, Site, by_restock, measure
from benchmarks.sections import Section, machine
from benchmarks.size import Size
from benchmarks.works import Work, prepare_works

TIMES = 10
MUST_MIB, MUST_RATIO, MUST_GROWTH = 512, 1.10, 0.8
CHUNK_ROWS = 50_000
ONE_GROUP = "one row group"


def measure_memory(site: Site, size: Size) -> Section:
    """The peak of a first load at `rows` and a tenth of them: both formats, and a file of a single row group."""
    contestants = [Contestant(name, by_restock(name, chunk_rows=CHUNK_ROWS)) for name in ("parquet", "csv", ONE_GROUP)]
    contestants.append(Contestant("parquet, 4 workers", by_restock("parquet", chunk_rows=CHUNK_ROWS, workers=4)))
    sizes = (size.rows // TIMES, size.rows)
    conditions = f"Seed {size.seed}, one run each, chunks of {CHUNK_ROWS:,} rows. {machine()}"
    peaks: dict[str, list[float]] = {each.name: [] for each in contestants}
    with open_grounds(site.folder, ("PostgreSQL",)) as [ground]:
        for rows in sizes:
            with _works(site, rows, size.seed, "W1") as [work]:
                for contestant in contestants:
                    measured = measure(contestant, ground, _in_one_group(work), work, site)
                    peaks[contestant.name].append(measured.peak_mib or 0)
    lines = [["", *(f"{rows:,} rows" for rows in sizes), "ratio", "must", ""]]
    for name, (small, large) in peaks.items():
        verdict = "reached" if large < MUST_MIB and large / small <= MUST_RATIO else "**missed**"
        must = f"under {MUST_MIB} MiB, ratio at most {MUST_RATIO:.2f}"
        lines.append([name, f"{small:,.0f} MiB", f"{large:,.0f} MiB", f"{large / small:.2f}", must, verdict])
    return Section(
        "memory",
        "Memory",
        "Peak resident memory of the loading process in W1, above what it had after its imports.",
        [("", lines)],
        conditions,
    )


def measure_growth(site: Site, size: Size) -> Section:
    """The pace of a nightly feed into a table ten times as large."""
    contestant = Contestant("restock, Parquet", by_restock("parquet"))
    sizes = (size.rows // TIMES, size.rows)
    conditions = f"Seed {size.seed}, medians of {size.rounds} runs. {machine()}"
    paces = []
    with open_grounds(site.folder, ("PostgreSQL",)) as [ground]:
        for rows in sizes:
            with _works(site, rows, size.seed, "W1", "W2") as [first, work]:
                runs = [measure(contestant, ground, work, first, site) for _ in range(size.rounds)]
                paces.append(work.rows / statistics.median(run.seconds for run in runs))
                ground.forget()
    ratio = paces[1] / paces[0]
    cells = [*(f"{pace:,.0f}" for pace in paces), f"{ratio:.2f}", f"{MUST_GROWTH}"]
    return Section(
        "growth",
        "Growth",
        "Rows per second of W2, by the size of the table and the feed.",
        [
            (
                "",
                [
                    ["", *(f"{rows:,} rows" for rows in sizes), "ratio", "must", ""],
                    ["PostgreSQL W2, restock, Parquet", *cells, "reached" if ratio >= MUST_GROWTH else "**missed**"],
                ],
            )
        ],
        conditions,
    )


@contextmanager
def _works(site: Site, rows: int, seed: int, *names: str) -> Iterator[list[Work]]:
    # Removed before the next size: ten million rows are five gigabytes of files.
    with TemporaryDirectory(dir=site.folder) as folder:
        yield prepare_works(Catalogue(rows, seed), Path(folder), names)


def _in_one_group(work: Work) -> Work:
    """The work with its Parquet file also as a single row group: ten million rows of it are more than 2 GB."""
    file = work.files["parquet"].with_name("one-group.parquet")
    if not file.exists():
        with pq.ParquetWriter(file, SCHEMA) as written:
            table = pq.read_table(work.files["parquet"])
            written.write_table(table, row_group_size=table.num_rows)
    return replace(work, files=work.files | {ONE_GROUP: file})
