"""Decides whether a load kept the promise. Shares no code with the product: the standard library and plain SQL.

Each finding is a sentence; an empty list means that all is well.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import sqlalchemy as sa

COUNTERS = "inserted + updated + unchanged + superseded + stale + rejected + skipped"
# A server notices the end of a killed client a moment later.
SECONDS_TO_NOTICE = 10.0
OPEN_TRANSACTIONS = {
    "postgresql": (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND state LIKE 'idle in transaction%'"
    ),
    "mysql": (
        "SELECT count(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p "
        "ON p.id = t.trx_mysql_thread_id WHERE p.db = database() AND p.id <> connection_id()"
    ),
}

Product = tuple[str, Decimal, int]


@dataclass(frozen=True)
class Source:
    """What a file holds: the rows that are to be loaded, by position, and the positions of the others."""

    accepted: dict[int, tuple[str, Product]]
    poisoned: set[int]
    rows: int

    @classmethod
    def read(cls, path: Path, refused: frozenset[int] = frozenset()) -> Source:
        """Read a file of products. The last row of a key counts; `refused` are poisoned beyond what the file tells."""
        with path.open(encoding="utf-8", newline="") as file:
            rows = dict(enumerate(csv.DictReader(file, strict=True), start=1))
        last = {row["sku"]: position for position, row in rows.items()}
        accepted, poisoned = {}, set()
        for position, row in rows.items():
            if last[row["sku"]] != position:
                continue
            price = _number(row["price"])
            if price is None or price < 0 or position in refused:
                poisoned.add(position)
            else:
                accepted[position] = (row["sku"], (row["name"], price, int(row["stock"])))
        return cls(accepted, poisoned, len(rows))


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def table_of(engine: sa.Engine) -> list[tuple[str, Product]]:
    """The rows of the table, unsorted and with whatever is there twice."""
    rows = _select(engine, "SELECT sku, name, price, stock FROM product")
    return [(row["sku"], (row["name"], Decimal(str(row["price"])), row["stock"])) for row in rows]


def untruths(engine: sa.Engine, source: Source, before: dict[str, Product]) -> list[str]:
    """What is wrong at any moment, also in the middle: half chunks, and a ledger that says more or less than is so.

    Holds for loads of one content, in which every accepted row changes what was there before.
    """
    table = table_of(engine)
    found = [
        f"the key {sku} is there {times} times" for sku, times in Counter(s for s, _ in table).items() if times > 1
    ]
    found += _unbalanced(engine)
    there = dict(table)
    loaded: set[int] = set()
    for chunk in _chunks(engine):
        if chunk["status"] == "loaded":
            loaded |= set(range(chunk["first_row"], chunk["first_row"] + chunk["row_count"]))
    expected = dict(before)
    expected |= {sku: values for position, (sku, values) in source.accepted.items() if position in loaded}
    found += [f"{sku} is missing" for sku in expected.keys() - there.keys()]
    found += [f"{sku} is there although no chunk that holds it is loaded" for sku in there.keys() - expected.keys()]
    found += [
        f"{sku} holds something else than the loaded chunks say"
        for sku in expected.keys() & there.keys()
        if expected[sku] != there[sku]
    ]
    return found


def violations(
    engine: sa.Engine, source: Source, before: dict[str, Product], spool: Path, is_quiet: bool = True
) -> list[str]:
    """What is wrong at the end, when everything has been recovered and nothing may be left over.

    `is_quiet`: nobody else is there who may have a transaction open.
    """
    if not _ledger_exists(engine):
        return ["there is no ledger, so nothing can have been loaded"]
    found = untruths(engine, source, before)
    there, expected = dict(table_of(engine)), before | dict(source.accepted.values())
    if there != expected:
        found.append(f"{len(set(there.items()) ^ set(expected.items()))} rows differ from the accepted ones")
    found += _unfinished(engine, source)
    found += _written_twice(engine, source)
    found += [f"{held['owner']} still holds the lease" for held in _leases(engine) if held["owner"] is not None]
    found += _open_transactions(engine) if is_quiet else []
    # What an extraction that was killed leaves belongs to no run: `restock prune` removes it, and nothing else may.
    runs = {run["run_id"] for run in _select(engine, "SELECT run_id FROM restock_run")}
    found += [f"{name} is still in the spool" for name in spooled(spool) if name.partition("/")[0] in runs]
    # Nobody would know whose it is.
    found += [f"{path.name} is still beside the runs of the spool" for path in spool.glob(".*")]
    return found


def spooled(spool: Path) -> list[str]:
    """The files of chunks in the spool. Lists of superseded rows lie beside their folders, and stay with their runs."""
    return sorted(str(path.relative_to(spool)) for path in spool.rglob("*/*") if path.is_file())


def reject_positions(engine: sa.Engine) -> set[int]:
    """The positions of all rows in the reject store."""
    return {row["position"] for row in _select(engine, "SELECT position FROM restock_reject")}


def statuses(engine: sa.Engine) -> list[str]:
    """The statuses of all chunks, in the order of their runs and numbers."""
    return [chunk["status"] for chunk in _chunks(engine)]


def _unfinished(engine: sa.Engine, source: Source) -> list[str]:
    found = []
    for chunk in _chunks(engine):
        if chunk["status"] != "loaded":
            found.append(f"chunk {chunk['number']} is {chunk['status']}")
    for run in _select(engine, "SELECT * FROM restock_run"):
        rejected = _select(engine, "SELECT position FROM restock_reject WHERE run_id = :run", run=run["run_id"])
        positions = [row["position"] for row in rejected]
        if sorted(positions) != sorted(source.poisoned):
            found.append(f"rows {sorted(set(positions) ^ source.poisoned)} are wrongly rejected or wrongly not")
        if run["read_rows"] != source.rows:
            found.append(f"{run['read_rows']} rows were read of {source.rows}")
        earned = "completed with rejects" if positions else "completed"
        if run["status"] != earned:
            found.append(f"a run says {run['status']} and is {earned}")
    return found


def _unbalanced(engine: sa.Engine) -> list[str]:
    found = []
    if not _ledger_exists(engine):
        return found
    for run in _select(engine, "SELECT run_id, read_rows FROM restock_run"):
        chunks = _select(
            engine,
            f"SELECT number, status, first_row, row_count, {COUNTERS} AS counted FROM restock_chunk "
            "WHERE run_id = :run ORDER BY number",
            run=run["run_id"],
        )
        if sum(chunk["row_count"] for chunk in chunks) != run["read_rows"]:
            found.append("the chunks of a run do not hold the rows that were read")
        for chunk in chunks:
            due = chunk["row_count"] if chunk["status"] == "loaded" else 0
            if chunk["counted"] != due:
                found.append(f"chunk {chunk['number']} accounts for {chunk['counted']} of {due} rows")
    rejects = "SELECT c.number FROM restock_chunk c WHERE c.rejected <> (SELECT count(*) FROM restock_reject r WHERE "
    rejects += "r.run_id = c.run_id AND r.chunk = c.number AND r.resolved_at IS NULL)"
    found += [f"the rejects of chunk {row['number']} are not those it counts" for row in _select(engine, rejects)]
    return found


def _written_twice(engine: sa.Engine, source: Source) -> list[str]:
    """Every accepted row was committed once: by the database's own record of writes, if the load keeps one."""
    if "product_write" not in sa.inspect(engine).get_table_names():
        return []
    written = Counter(row["sku"] for row in _select(engine, "SELECT sku FROM product_write"))
    wanted = Counter(sku for sku, _ in source.accepted.values())
    return [
        f"{sku} was written {written[sku]} times in place of {wanted[sku]}"
        for sku in written.keys() | wanted.keys()
        if written[sku] != wanted[sku]
    ]


def _open_transactions(engine: sa.Engine) -> list[str]:
    question = OPEN_TRANSACTIONS.get(engine.dialect.name)
    if question is None:
        return []
    until = time.monotonic() + SECONDS_TO_NOTICE
    while True:
        with engine.connect() as connection:
            left = connection.execute(sa.text(question)).scalar_one()
        if not left:
            return []
        if time.monotonic() > until:
            return [f"{left} transactions are open in the database"]
        time.sleep(0.25)  # MariaDB answers from a copy that grows old only when nobody reads it


def _chunks(engine: sa.Engine) -> list[dict[str, Any]]:
    return _select(engine, "SELECT * FROM restock_chunk ORDER BY run_id, number") if _ledger_exists(engine) else []


def _leases(engine: sa.Engine) -> list[dict[str, Any]]:
    return _select(engine, "SELECT owner FROM restock_lease")


def _ledger_exists(engine: sa.Engine) -> bool:
    names = set(sa.inspect(engine).get_table_names())
    return {"restock_run", "restock_chunk", "restock_reject", "restock_lease"} <= names


def _select(engine: sa.Engine, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(sql), parameters).mappings()]
