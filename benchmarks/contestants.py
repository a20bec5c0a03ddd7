"""The ways to load a night in Python: those of the tutorial that restock began from, sqlite3, and restock itself.

Run as a process of its own, so that time and memory are its own: `python -m benchmarks.contestants NAME FILE`. Prints
the seconds of the work, without interpreter start and imports, and the memory it took above its imports, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.stages import sampling

CHUNK = 10_000


def add_and_commit(file: str) -> None:
    """One object and one commit for each row. Only for an empty table."""
    from benchmarks.shop import Product, db

    for record in _records(file):
        db.session.add(Product(**record))
        db.session.commit()


def add_all(file: str) -> None:
    """`add_all` for each chunk. Only for an empty table."""
    from benchmarks.shop import Product, db

    for records in _chunks(_records(file)):
        db.session.add_all([Product(**record) for record in records])
        db.session.commit()


def bulk_mappings(file: str) -> None:
    """The tutorial's own loop: look the keys of a chunk up with IN, then insert or update mappings."""
    from benchmarks.shop import Product, db

    for records in _chunks(_records(file)):
        keys = [record["id"] for record in records]
        present = {key for (key,) in db.session.query(Product.id).filter(Product.id.in_(keys))}
        inserts = [record for record in records if record["id"] not in present]
        updates = [record for record in records if record["id"] in present]
        db.session.bulk_insert_mappings(Product, inserts)  # type: ignore[arg-type]
        db.session.bulk_update_mappings(Product, updates)  # type: ignore[arg-type]
        db.session.commit()


def sqlite3_executemany(file: str) -> None:
    """The reference on SQLite."""
    from benchmarks.references import sqlite_executemany

    sqlite_executemany(os.environ["BENCH_DATABASE"], Path(file))


def restock_command(_file: str) -> None:
    """`restock sync`, without Prefect."""
    from flows.cli import main

    try:
        main(["sync", "catalogue", "--json"])
    except SystemExit as ended:
        if ended.code:
            raise


def restock_flow(file: str) -> float:
    """`restock sync` through the Prefect server that is configured: the seconds from the flow run's start to its end.

    Both are what Prefect has on record: the flow run begins before extraction does, and has ended when its page says
    so. Afterwards Prefect waits for up to a second for its thread that says that the run is alive.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort

    restock_command(file)
    with get_client(sync_client=True) as client:
        [run] = client.read_flow_runs(sort=FlowRunSort.END_TIME_DESC, limit=1)
    assert run.start_time is not None, "it has begun"
    assert run.end_time is not None, "it has ended"
    return (run.end_time - run.start_time).total_seconds()


def _records(file: str) -> list[dict[str, Any]]:
    import pandas as pd

    frame = pd.read_parquet(file)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")  # type: ignore[return-value]


def _chunks(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(records), CHUNK):
        yield records[start : start + CHUNK]


DRIVERS = ("flask_sqlalchemy", "psycopg", "pgpq", "pymysql", "adbc_driver_sqlite.dbapi")
RESTOCK = ("flows.cli", "flows.terminal.work", "pyarrow.dataset", "transforms.products", *DRIVERS)
PREFECT = (
    "flows.sync_products", "prefect.flow_engine", "prefect.task_engine", "fastapi.encoders", "graphviz",
    "anyio._backends._asyncio",
)  # fmt: skip
# What each does, which may say for itself how many seconds counted; and what it imports while it is at work, which does
# not count for anybody.
CONTESTANTS: dict[str, tuple[Callable[[str], float | None], tuple[str, ...]]] = {
    "add and commit per row": (add_and_commit, ("pandas", "pyarrow.parquet")),
    "add_all": (add_all, ("pandas", "pyarrow.parquet")),
    "bulk mappings": (bulk_mappings, ("pandas", "pyarrow.parquet")),
    "sqlite3 executemany": (sqlite3_executemany, ("benchmarks.references",)),
    "restock without Prefect": (restock_command, RESTOCK),
    "restock": (restock_flow, (*RESTOCK, *PREFECT)),
}


def memory_mib(name: str) -> float:
    """This process's own memory: `VmRSS` now, `VmHWM` at its highest.

    `getrusage` would begin with what the parent had when it started this process.
    """
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def main() -> None:
    """Do the work of one contestant and print how long it took."""
    name, file = sys.argv[1:]
    work, modules = CONTESTANTS[name]
    from benchmarks.shop import create_app

    for module in modules:
        import_module(module)
    app = create_app()
    with app.app_context():
        before = memory_mib("VmRSS")
        with sampling() if "BENCH_STAGES" in os.environ else nullcontext({}) as stages:
            started = time.perf_counter()
            counted = work(file)
            seconds = time.perf_counter() - started if counted is None else counted
    print(json.dumps({"seconds": seconds, "peak_mib": memory_mib("VmHWM") - before, "stages": stages}))


if __name__ == "__main__":
    main()
