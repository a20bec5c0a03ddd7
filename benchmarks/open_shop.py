"""How long an open shop waits: small writes of another process while 100,000 rows are synced into its SQLite file.

`python -m benchmarks.open_shop [ROWS] [WRITER ...]` prints the percentiles of the waits, for each writer by default,
and checks that no write was lost.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.catalogue import Catalogue

ROWS = 100_000
PAUSE_SECONDS = 0.01
FEEDS = """\
feeds:
  catalogue:
    {source: night.parquet, app: benchmarks.shop:create_app, model: benchmarks.shop:Product, writer: %s}
"""
WRITERS = ("copy", "mappings", "objects")


def main() -> None:
    """Measure two nights of each writer: into an empty table, and with 5% of the rows changed."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    catalogue = Catalogue(rows, seed=1)
    for writer in sys.argv[2:] or WRITERS:
        with tempfile.TemporaryDirectory(prefix="restock-open-shop-") as name:
            folder = Path(name)
            (folder / "feeds.yaml").write_text(FEEDS % writer, encoding="utf-8")
            _run(folder, "from benchmarks.shop import create_app; create_app()").wait()
            for title, night in (("empty table", catalogue.first_night()), ("second night", catalogue.second_night())):
                pq.write_table(pa.concat_tables(night), folder / "night.parquet")
                print(f"{writer}, {title}: {rows} rows in {_told(*_waits_during_sync(folder))}", flush=True)


def _told(waits: list[float], seconds: float) -> str:
    ordered = [1000 * wait for wait in sorted(waits)]
    percentiles = statistics.quantiles(ordered, n=100)
    return (
        f"{seconds:.1f} s; {len(waits)} writes of the shop waited p50 {percentiles[49]:.1f} ms, "
        f"p95 {percentiles[94]:.1f} ms, p99 {percentiles[98]:.1f} ms, at most {ordered[-1]:.1f} ms "
        f"(load {os.getloadavg()[0]:.1f})"
    )


def _waits_during_sync(folder: Path) -> tuple[list[float], float]:
    waits: list[float] = []
    with closing(sqlite3.connect(folder / "shop.sqlite", timeout=60, isolation_level=None)) as shop:
        shop.execute("CREATE TABLE IF NOT EXISTS visit (number INTEGER PRIMARY KEY, seconds REAL)")
        shop.execute("DELETE FROM visit")
        started = time.perf_counter()
        sync = _run(folder, "from flows.cli import main; main(['sync', 'catalogue', '--json'])")
        while sync.poll() is None:
            begun = time.perf_counter()
            shop.execute("INSERT INTO visit (seconds) VALUES (?)", (begun,))
            waits.append(time.perf_counter() - begun)
            time.sleep(PAUSE_SECONDS)
        seconds = time.perf_counter() - started
        [kept] = shop.execute("SELECT count(*) FROM visit").fetchone()
    if sync.returncode or kept != len(waits):
        raise SystemExit(f"The sync ended with status {sync.returncode}; {kept} of {len(waits)} writes were kept.")
    return waits, seconds


def _run(folder: Path, code: str) -> subprocess.Popen[bytes]:
    names = {
        "BENCH_DATABASE": f"sqlite:///{folder / 'shop.sqlite'}",
        "RESTOCK_FEEDS": str(folder / "feeds.yaml"),
        "RESTOCK_SPOOL": str(folder / "spool"),
    }
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **names}, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
