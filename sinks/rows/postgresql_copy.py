"""COPY into PostgreSQL in its binary format, on SQLAlchemy's own connection and so in its transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from sinks.database.driver_calls import execute_by, plain_name
from sinks.model.values import Values, are_stored_as_sent
from sinks.rows.columnar import Rows
from sinks.rows.encoding import END, HEADER, AsText, EncodedRows, as_rows, encode, is_encoder_there, with_room

# The bytes of what can be the last message, behind which only the driver's own reading closes the matter.
_LAST = (len(END), len(HEADER) + len(END))

# The types of columns by table: as a transaction was told them, which cannot change in it, and an engine at last.
_told: WeakKeyDictionary[sa.Transaction, dict[str, dict[str, str]]] = WeakKeyDictionary()
_seen: WeakKeyDictionary[sa.Engine, dict[str, dict[str, str]]] = WeakKeyDictionary()


def copy_in(connection: sa.Connection, table: sa.TableClause, columns: Mapping[str, Values]) -> bool:
    """Copy rows into a table, if each of its columns has a type whose binary form is known here.

    Returns:
        Whether it was done; if not, nothing was sent.
    """
    types = (table.c[name].type for name in columns)
    if not can_copy(connection) or not are_stored_as_sent(types, connection.dialect):
        return False
    encoded = encode(columns, types_of(connection, table), _texts(connection))
    if encoded is None:
        return False
    _send(connection, table, list(columns), encoded.whole)
    return True


def copy_rows(
    connection: sa.Connection, table: sa.TableClause, rows: Rows, places: np.ndarray | None, number: str | None = None
) -> bool:
    """Copy keyed rows of a chunk into a table, as they may have been encoded ahead.

    Args:
        places: which of them, in which order; all in theirs by default.
        number: the column that takes the position of each row, if there is one.

    Returns:
        Whether it was done; if not, nothing was sent.
    """
    encoded = encoded_for(connection, table, rows)
    if encoded is None or (encoded.rows is None and (places is not None or number is not None)):
        return False
    names = list(rows.keyed.columns)
    if number is None:
        _send(connection, table, names, encoded.some(places))
    else:
        numbers = rows.keyed.positions if places is None else rows.keyed.positions[places]
        copied = _send(connection, table, [number, *names], encoded.numbered(places, numbers))
        if copied != len(numbers):  # one that got lost would be taken for unchanged
            raise RuntimeError(f"Of {len(numbers)} rows {copied} arrived in {table.name}.")
    return True


def encoded_for(connection: sa.Connection, table: sa.TableClause, rows: Rows) -> EncodedRows | None:
    """The keyed rows of a chunk, encoded for a table; None where COPY is barred or cannot take them."""
    types = (rows.target.columns[name].type for name in rows.attributes)
    if not can_copy(connection) or not are_stored_as_sent(types, connection.dialect):
        return None
    known = types_of(connection, table)
    return rows.encoded({name: known.get(name, "") for name in rows.keyed.columns}, _texts(connection))


def copy_out(connection: sa.Connection, query: str, expected: int = 0) -> pa.LargeBinaryArray:
    """The rows of a query, each as COPY writes it.

    Args:
        expected: about how many bytes they have, for which room is made at once.
    """
    whole, sizes = with_room(expected), list[int]()

    def copy(cursor: Any, statement: str) -> None:
        with cursor.copy(statement) as file:
            sizes.extend(map(whole.write, _messages(file)))  # to keep them would be to keep an object for each row

    execute_by(connection, f"COPY ({query}) TO STDOUT (FORMAT BINARY)", copy)
    return as_rows(whole.getbuffer(), np.cumsum(sizes), len(HEADER))


def _messages(file: Any) -> Iterator[bytes | memoryview]:
    """What COPY writes: a header, row by row, and an end.

    The driver waits for every message, which takes longer than all else that is done with one. So it is asked for one
    alone, and then for those that have come with it.
    """
    from psycopg.errors import error_from_result

    driver = file.connection.pgconn
    for message in file:
        yield message
        while len(message) not in _LAST:
            size, message = driver.get_copy_data(1)
            if size < 0:
                refused = driver.get_result()
                while driver.get_result() is not None:
                    pass
                raise error_from_result(refused)
            if not size:
                break
            yield message


def can_copy(connection: sa.Connection) -> bool:
    """Whether there is COPY here, and what it needs: the encoder, and a connection on which text is UTF-8, as it is."""
    if connection.dialect.name != "postgresql" or connection.dialect.driver != "psycopg":
        return False
    driver: Any = connection.connection.dbapi_connection
    return driver.info.encoding == "utf-8" and is_encoder_there()


def _send(connection: sa.Connection, table: sa.TableClause, names: Sequence[str], encoded: bytes | memoryview) -> int:
    """Copy encoded rows into a table; how many the database says it took."""
    listed = ", ".join(plain_name(connection, name) for name in names)
    into = f"COPY {plain_name(connection, table)} ({listed}) FROM STDIN (FORMAT BINARY)"

    def copy(cursor: Any, statement: str) -> None:
        with cursor.copy(statement) as file:
            for part in (HEADER, encoded, END):
                file.write(part)
        taken.append(cursor.rowcount)

    taken: list[int] = []
    execute_by(connection, into, copy)
    return taken[0]


def types_of(connection: sa.Connection, table: sa.TableClause) -> dict[str, str]:
    """The database's own name for the type of each column, whatever the model says; of none where COPY is barred.

    Asked for once in a transaction: that of a chunk with guilty rows may copy some thousand times.
    """
    transaction = connection.get_transaction()
    told = {} if transaction is None else _told.setdefault(transaction, {})
    if str(table) not in told:
        told[str(table)] = _asked_types(connection, table)
        _seen.setdefault(connection.engine, {})[str(table)] = told[str(table)]
    return told[str(table)]


def _asked_types(connection: sa.Connection, table: sa.TableClause) -> dict[str, str]:
    found = connection.execute(
        sa.text(
            "SELECT attname, CASE typtype WHEN 'e' THEN 'text' ELSE typname END FROM pg_attribute "
            "JOIN pg_type ON pg_type.oid = atttypid JOIN pg_class ON pg_class.oid = attrelid "
            "WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 "
            # COPY knows nothing of the one, and does not write into the other.
            "AND NOT row_security_active(attrelid) AND relkind <> 'v'"
        ),
        {"name": plain_name(connection, table)},
    )
    return {column: type_ for column, type_ in found}


def types_seen(engine: sa.Engine, table: sa.TableClause) -> Mapping[str, str]:
    """The types that a table's columns had when they were last asked for; none if that has not been."""
    return _seen.get(engine, {}).get(str(table), {})


def _texts(connection: sa.Connection) -> AsText:
    """The driver's own way of writing a value as text, with whatever JSON serializer the app has given it."""
    from psycopg.adapt import PyFormat, Transformer

    transformer = Transformer(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    return lambda value: bytes(transformer.get_dumper(value, PyFormat.TEXT).dump(value) or b"")
