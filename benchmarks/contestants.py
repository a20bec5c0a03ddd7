"""The ways to load a night: those of the tutorial that restock began from, and restock itself.

Run as a process of its own, so that time and memory are its own: `python -m benchmarks.contestants NAME FILE`. Prints
the seconds of the work, without interpreter start and imports.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from benchmarks.shop import Product, create_app, db

CHUNK = 10_000


def add_and_commit(file: str) -> None:
    """One object and one commit for each row. Only for an empty table."""
    for record in _records(file):
        db.session.add(Product(**record))
        db.session.commit()


def add_all(file: str) -> None:
    """`add_all` for each chunk. Only for an empty table."""
    for records in _chunks(_records(file)):
        db.session.add_all([Product(**record) for record in records])
        db.session.commit()


def bulk_mappings(file: str) -> None:
    """The tutorial's own loop: look the keys of a chunk up with IN, then insert or update mappings."""
    for records in _chunks(_records(file)):
        keys = [record["sku"] for record in records]
        present = dict(db.session.query(Product.sku, Product.id).filter(Product.sku.in_(keys)).all())
        inserts = [record for record in records if record["sku"] not in present]
        updates = [{**record, "id": present[record["sku"]]} for record in records if record["sku"] in present]
        db.session.bulk_insert_mappings(Product, inserts)  # type: ignore[arg-type]
        db.session.bulk_update_mappings(Product, updates)  # type: ignore[arg-type]
        db.session.commit()


def restock_command(_file: str) -> None:
    """`restock sync` end to end: extract, spool, duplicates, transform, contract, ledger, table."""
    from flows.admission import sync
    from flows.loading import load_here
    from flows.progress import Progress
    from flows.workplace import open_workplace

    place = open_workplace()
    sync(place, place.feed("catalogue"), load_here, Progress()).verdict()


def _records(file: str) -> list[dict[str, Any]]:
    frame = pd.read_parquet(file)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")  # type: ignore[return-value]


def _chunks(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(records), CHUNK):
        yield records[start : start + CHUNK]


CONTESTANTS: dict[str, Callable[[str], None]] = {
    "add and commit per row": add_and_commit,
    "add_all": add_all,
    "bulk mappings": bulk_mappings,
    "restock": restock_command,
}


def main() -> None:
    """Do the work of one contestant and print how long it took."""
    name, file = sys.argv[1:]
    app = create_app()
    if name == "restock":
        import flows.admission  # noqa: F401 - imports do not count, for anybody
    with app.app_context():
        started = time.perf_counter()
        CONTESTANTS[name](file)
        print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
