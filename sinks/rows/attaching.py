"""Packed rows beside the app's SQLite database: its own connection reads them, for one transaction."""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy as sa

from sinks.database.listening import listen_once
from sinks.rows.columnar import POSITION, Rows
from sinks.rows.packing import PACKED, affinity


def attach(connection: sa.Connection, rows: Rows) -> sa.TableClause | None:
    """The keyed rows of a chunk as a table, in the order of their keys, for this connection until it is given back.

    Returns:
        Their positions and the columns that they fill, by the names of the database. None if there is no such table:
        SQLite takes nothing in while a transaction is open, as it is under savepoints, nor more than a few databases.
    """
    packed = rows.packed
    if packed is None:
        return None
    if connection.info.get(PACKED) is not packed and not _take_in(connection, packed):
        return None
    if not _is_like(connection, rows.target.table):
        return None
    return sa.table(PACKED, *(sa.column(name) for name in (POSITION, *rows.keyed.columns)), schema=PACKED)


def _take_in(connection: sa.Connection, packed: bytes) -> bool:
    driver = connection.connection.dbapi_connection
    if not isinstance(driver, sqlite3.Connection) or driver.in_transaction or not hasattr(driver, "deserialize"):
        return False
    listen_once(connection.engine, "checkin", _checked_in)
    if not _detach(driver, connection.info):
        return False
    try:
        driver.execute(f"ATTACH ':memory:' AS {PACKED}")
        connection.info[PACKED] = packed
        driver.deserialize(packed, name=PACKED)
    except sqlite3.Error:
        _detach(driver, connection.info)
        return False
    return True


def _is_like(connection: sa.Connection, table: sa.Table) -> bool:
    """Whether packed values are what the columns of the table would hold: it may have been made by another model."""
    quote = connection.dialect.identifier_preparer.quote
    home = f"{quote(table.schema)}." if table.schema else ""
    stored = connection.exec_driver_sql(f"PRAGMA {home}table_xinfo({quote(table.name)})").all()
    there = {row.name: "any" if row.type.upper() == "ANY" else affinity(row.type) for row in stored}
    packed = connection.exec_driver_sql(f"PRAGMA {PACKED}.table_info({PACKED})").all()
    return all(there.get(row.name) == row.type for row in packed[1:])


def _checked_in(driver: Any, record: Any) -> None:
    if driver is not None and not _detach(driver, record.info):
        record.invalidate()


def _detach(driver: sqlite3.Connection, info: Any) -> bool:
    """Let go of what the connection has taken in; whether it has."""
    if PACKED not in info:
        return True
    try:
        driver.execute(f"DETACH {PACKED}")
    except sqlite3.Error:
        return False
    del info[PACKED]
    return True
