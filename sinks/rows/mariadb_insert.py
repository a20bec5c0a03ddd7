"""INSERT with many rows into MariaDB or MySQL, its literals written column by column and not value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from restock.ahead import in_order
from sinks.database.driver_calls import execute_by, plain_name
from sinks.model.values import Values, are_stored_as_sent, as_arrow, as_list

# Bytes of one statement, as PyMySQL has it: well below the smallest limit of a server.
STATEMENT_BYTES = 1_000_000
# Rows whose literals are written at a time: of a usual size about as many as a statement takes.
ROWS_AHEAD = 4_000
_NO_BACKSLASH_ESCAPES = 0x200
_TEXT = partial(pa.scalar, type=pa.large_string())


def insert_rows(connection: sa.Connection, table: sa.TableClause, columns: Mapping[str, Values]) -> bool:
    """Insert rows, if PyMySQL is the driver.

    Returns:
        Whether it was done; if not, nothing was sent.
    """
    types = (table.c[name].type for name in columns)
    if connection.dialect.driver != "pymysql" or not are_stored_as_sent(types, connection.dialect):
        return False
    driver: Any = connection.connection.dbapi_connection
    given = [taken if (taken := _readable(values)) is not None else as_list(values) for values in columns.values()]
    listed = ", ".join(plain_name(connection, name) for name in columns)
    into = f"INSERT INTO {plain_name(connection, table)} ({listed}) VALUES "

    def insert(cursor: Any, statement: str) -> None:
        # While some rows are with the server, the next are written; those of a whole chunk would take much memory.
        starts = range(0, len(given[0]), ROWS_AHEAD)
        with closing(in_order(lambda start: _statements(given, start, driver), starts)) as ready:
            for some in chain.from_iterable(ready):
                cursor.execute(statement + some)

    execute_by(connection, into, insert)
    return True


def _statements(given: list[pa.Array | list[Any]], start: int, driver: Any) -> list[str]:
    """Some rows from there on, as they stand in statements."""
    literals = [_literals(values[start : start + ROWS_AHEAD], driver) for values in given]
    return list(_within_statements(_joined("", _TEXT("("), _joined(",", *literals), _TEXT(")"))))


def _literals(array: pa.Array | list[Any], driver: Any) -> pa.Array:
    if isinstance(array, list):
        return pa.array([_literal(value, driver) for value in array], pa.large_string())
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    texts = array.cast(pa.large_string())
    if pa.types.is_integer(array.type):
        return pc.fill_null(texts, _TEXT("NULL"))  # to a BIT column, '1' would be the character
    if not driver.server_status & _NO_BACKSLASH_ESCAPES:
        texts = pc.replace_substring(texts, "\\", "\\\\")
    quoted = _joined("", _TEXT("'"), pc.replace_substring(texts, "'", "''"), _TEXT("'"))
    return pc.fill_null(quoted, _TEXT("NULL"))


def _joined(separator: str, *parts: Any) -> pa.Array:
    return pc.binary_join_element_wise(*parts, _TEXT(separator))


def _readable(values: Values) -> pa.Array | None:
    """The values, if the server reads each of them out of its text."""
    try:
        array = as_arrow(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None
    kind = array.type
    is_read = (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        or pa.types.is_date32(kind) or kind == pa.timestamp("us")
    )  # fmt: skip
    return array if is_read else None


def _literal(value: Any, driver: Any) -> str:
    return (
        f"X'{bytes(value).hex()}'"
        if isinstance(value, bytes | memoryview)
        else str(driver.cursor().mogrify("%s", (value,)))
    )


def _within_statements(rows: pa.Array) -> Iterator[str]:
    """The rows, joined into texts that are no longer than a statement may be, or of one row."""
    ends = np.cumsum(pc.binary_length(rows).to_numpy(zero_copy_only=False) + len(","))
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + STATEMENT_BYTES, side="right")))
        yield ",".join(rows[start:end].to_pylist())
        start = end
