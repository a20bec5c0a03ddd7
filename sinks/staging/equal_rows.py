"""Rows that stand in the table to the last byte as they were sent: a nightly feed hardly has any others.

PostgreSQL gives rows in the very form in which COPY takes them. Where the bytes are the same so are all values, of
whatever type. Where they differ the values may still be the same for the database: such rows are staged and compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from sinks.database.driver_calls import plain_name
from sinks.model.values import as_list
from sinks.rows.columnar import Rows
from sinks.rows.postgresql_copy import copy_out, encoded_for

# Rows are fetched by the span of their keys, whatever else lies in it. To fetch so many for each that was sent takes
# about as long as to stage it.
MOST_FETCHED = 2
# Of a row, for a first look: its key is among them where that is its first column, or close to it.
_FIRST_BYTES = 32
# Rows compared at a time: to be given the memory for a copy of all of them takes longer than to compare them.
_AT_ONCE = 5_000


def equal_rows(connection: sa.Connection, rows: Rows) -> np.ndarray:
    """Places of keyed rows, rising, that are in the table as they are; none where that cannot be found out cheaply."""
    nothing = np.empty(0, np.int64)
    encoded = encoded_for(connection, rows.target.table, rows)
    if encoded is None or encoded.rows is None:
        return nothing
    spanned = _spanned(connection, rows)
    most = MOST_FETCHED * len(rows.keyed)
    if spanned is None or _expected_rows(connection, spanned) > most:
        return nothing
    # What was expected is a guess of the database's.
    fetched = copy_out(connection, f"{spanned} LIMIT {most}", len(encoded.whole))
    return np.flatnonzero(_are_among(encoded.rows, fetched))


def _are_among(rows: pa.LargeBinaryArray, fetched: pa.LargeBinaryArray) -> np.ndarray:
    """For each row whether it was fetched.

    Their first bytes mostly tell which could be the same, in half the time that looking for whole rows takes.
    """
    first = pc.index_in(pc.binary_slice(rows, 0, _FIRST_BYTES), pc.binary_slice(fetched, 0, _FIRST_BYTES))
    parts = [(rows.slice(at, _AT_ONCE), first.slice(at, _AT_ONCE)) for at in range(0, len(rows), _AT_ONCE)]
    same = [pc.equal(part, fetched.take(places)) for part, places in parts]
    are_found = pc.fill_null(pa.chunked_array(same, pa.bool_()), False).to_numpy()
    others = np.flatnonzero(~are_found)
    left = np.ones(len(fetched), bool)
    left[first.filter(pa.array(are_found)).to_numpy()] = False
    are_found[others] = pc.is_in(rows.take(pa.array(others)), fetched.filter(pa.array(left)))
    return are_found


def _spanned(connection: sa.Connection, rows: Rows) -> str | None:
    """A query for the rows of the table whose keys lie between the first and the last of those sent, in SQL."""
    from psycopg import sql
    from psycopg.errors import Error

    target, keyed = rows.target, rows.keyed
    driver: Any = connection.connection.dbapi_connection
    ends = keyed.at(np.array([0, len(keyed) - 1])).columns
    names = [target.columns[name].name for name in target.key]
    try:
        values = [[sql.Literal(value).as_string(driver) for value in as_list(ends[name])] for name in names]
    except Error:
        return None
    first, last = (", ".join(each) for each in zip(*values, strict=True))
    key, listed = (", ".join(plain_name(connection, name) for name in some) for some in (names, keyed.columns))
    source = plain_name(connection, target.table)
    return f"SELECT {listed} FROM {source} WHERE ({key}) >= ({first}) AND ({key}) <= ({last})"


def _expected_rows(connection: sa.Connection, query: str) -> float:
    # Here the driver looks for parameters, and a key or a name may hold a percent sign.
    [plan] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {query.replace('%', '%%')}").scalar_one()
    return float(plan["Plan"]["Plan Rows"])
