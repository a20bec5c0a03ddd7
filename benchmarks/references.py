"""The references: what the databases themselves take for the same work, by the means their users have at hand.

They do not check, isolate, count or resume; the feed is ready for them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.catalogue import SCHEMA
from benchmarks.clients import mysql, psql
from benchmarks.works import Work

OTHERS = [name for name in SCHEMA.names if name != "id"]
NAMES = ", ".join(SCHEMA.names)
# Rows that the interpreter holds as tuples at a time.
ROWS_AT_ONCE = 50_000


def psql_copy(url: str, work: Work) -> None:
    """psql's `\\copy` of a text file; where the table holds rows, into unlogged staging and merged from there."""
    file = work.files["text"]
    if work.is_first:
        psql(url, f"\\copy product ({NAMES}) from '{file}'")
        return
    sets = ", ".join(f"{name} = excluded.{name}" for name in OTHERS)
    now, sent = (", ".join(f"{table}.{name}" for name in OTHERS) for table in ("product", "excluded"))
    psql(
        url,
        f"CREATE UNLOGGED TABLE staging AS SELECT {NAMES} FROM product WITH NO DATA",
        f"\\copy staging from '{file}'",
        f"INSERT INTO product ({NAMES}) SELECT {NAMES} FROM staging "
        f"ON CONFLICT (id) DO UPDATE SET {sets} WHERE ({now}) IS DISTINCT FROM ({sent})",
        "DROP TABLE staging",
    )


def mysql_load(url: str, work: Work) -> None:
    """LOAD DATA LOCAL of a text file into staging, and INSERT … ON DUPLICATE KEY UPDATE from there."""
    sets = ", ".join(f"{name} = VALUES({name})" for name in OTHERS)
    mysql(
        url,
        f"CREATE TABLE staging AS SELECT {NAMES} FROM product LIMIT 0",
        f"LOAD DATA LOCAL INFILE '{work.files['text']}' INTO TABLE staging CHARACTER SET utf8mb4",
        f"INSERT INTO product ({NAMES}) SELECT {NAMES} FROM staging ON DUPLICATE KEY UPDATE {sets}",
        "DROP TABLE staging",
    )


def sqlite_executemany(url: str, file: Path) -> None:
    """One `executemany` of an upsert that leaves equal rows alone, over the Parquet file, in one transaction."""
    sets = ", ".join(f"{name} = excluded.{name}" for name in OTHERS)
    differs = " OR ".join(f"product.{name} IS NOT excluded.{name}" for name in OTHERS)
    marks = ", ".join("?" * len(SCHEMA))
    upsert = f"INSERT INTO product ({NAMES}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {sets} WHERE {differs}"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.executemany(upsert, _rows(file))


def _rows(file: Path) -> Iterator[tuple[Any, ...]]:
    for piece in pq.ParquetFile(file).iter_batches(ROWS_AT_ONCE):
        yield from zip(*(_plain(column) for column in piece.columns), strict=True)


def _plain(column: pa.Array) -> list[Any]:
    """Values that sqlite3 takes, stored as SQLAlchemy would store them."""
    if pa.types.is_decimal(column.type):
        # By way of text: Arrow's own cast misses the nearest float for one price in eight, and the first night's table,
        # which is filled by this too, would hold other prices than the feed.
        return column.cast(pa.string()).cast(pa.float64()).to_pylist()
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.string()).to_pylist()
    return column.to_pylist()
