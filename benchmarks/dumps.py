"""The shop's table as a database holds it, read by plain means that no contestant uses."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv

from benchmarks.catalogue import SCHEMA
from benchmarks.clients import mysql, psql

NAMES = ", ".join(SCHEMA.names)
ROWS_AT_ONCE = 50_000


def dump_postgresql(url: str, folder: Path) -> Iterator[pa.Table]:
    """The table of a PostgreSQL database in the order of its ids."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        psql(url, f"COPY (SELECT {NAMES} FROM product ORDER BY id) TO STDOUT (FORMAT csv)", output=file)
        yield from _parsed(file.name)


def dump_mariadb(url: str, folder: Path) -> Iterator[pa.Table]:
    """The table of a MariaDB database in the order of its ids."""
    cells = (_quoted(name) if pa.types.is_string(SCHEMA.field(name).type) else name for name in SCHEMA.names)
    line = "CONCAT_WS(',', " + ", ".join(f"IFNULL({cell}, '')" for cell in cells) + ")"
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        mysql(url, "SET NAMES utf8mb4", f"SELECT {line} FROM product ORDER BY id", output=file)
        yield from _parsed(file.name)


def _quoted(name: str) -> str:
    return f"""CONCAT('"', REPLACE({name}, '"', '""'), '"')"""


def _parsed(path: str) -> Iterator[pa.Table]:
    # Only what is not quoted may be null: an empty text is not.
    types = pc_csv.ConvertOptions(
        column_types=SCHEMA,
        null_values=[""],
        true_values=["t", "1"],
        false_values=["f", "0"],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with pc_csv.open_csv(path, pc_csv.ReadOptions(column_names=SCHEMA.names), convert_options=types) as reader:
        for piece in reader:
            yield pa.Table.from_batches([piece])


def dump_sqlite(url: str, _folder: Path) -> Iterator[pa.Table]:
    """The table of a SQLite file in the order of its ids; prices are rounded as SQLAlchemy reads them."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        cursor = connection.execute(f"SELECT {NAMES} FROM product ORDER BY id")
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            columns = dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True))
            columns["price"] = tuple(None if each is None else Decimal(f"{each:.2f}") for each in columns["price"])
            columns["active"] = tuple(None if each is None else bool(each) for each in columns["active"])
            times = pa.array(columns.pop("updated_at"), pa.string()).cast(pa.timestamp("us"))
            arrays = {name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()}
            yield pa.table(arrays | {"updated_at": times})
