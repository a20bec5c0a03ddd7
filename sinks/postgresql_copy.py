"""COPY into PostgreSQL in its binary format, on SQLAlchemy's own connection and so in its transaction."""

from __future__ import annotations

import logging
import struct
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from sinks.driver_calls import execute_by
from sinks.values import Values, as_list

log = logging.getLogger("restock")

_INTERVAL = struct.Struct("!qii")
_TEXTS = ("text", "varchar", "bpchar", "citext", "json")
_ARROW: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "bytea": pa.binary(),
}


def copy_in(connection: sa.Connection, table: sa.TableClause, columns: Mapping[str, Values]) -> bool:
    """Copy rows into a table, if each of its columns has a type whose binary form is known here.

    Returns:
        Whether it was done; if not, nothing was sent.
    """
    is_known = connection.dialect.name == "postgresql" and connection.dialect.driver == "psycopg"
    if not is_known or not _is_encoder_there():
        return False
    preparer = connection.dialect.identifier_preparer
    name = preparer.format_table(table)
    encoded = _encode(connection, columns, _types_of(connection, name))
    if encoded is None:
        return False
    listed = ", ".join(preparer.quote(column) for column in columns)

    def copy(cursor: Any, statement: str) -> None:
        with cursor.copy(statement) as file:
            for part in encoded:
                file.write(part)

    execute_by(connection, f"COPY {name} ({listed}) FROM STDIN (FORMAT BINARY)", copy)
    return True


@cache
def _is_encoder_there() -> bool:
    """Whether the extra is installed that COPY needs; said once if it is not."""
    is_there = find_spec("pgpq") is not None
    if not is_there:
        log.warning("Rows are inserted and not copied, which takes longer; install `restock[postgresql]` for COPY.")
    return is_there


def _types_of(connection: sa.Connection, table: str) -> dict[str, str]:
    """The database's own name for the type of each column, whatever the model calls it."""
    found = connection.execute(
        sa.text(
            "SELECT attname, CASE typtype WHEN 'e' THEN 'text' ELSE typname END FROM pg_attribute "
            "JOIN pg_type ON pg_type.oid = atttypid WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 "
            "AND NOT row_security_active(CAST(:name AS regclass))"  # COPY knows nothing of it
        ),
        {"name": table},
    )
    return {name: type_ for name, type_ in found}


def _encode(connection: sa.Connection, columns: Mapping[str, Values], types: Mapping[str, str]) -> list[bytes] | None:
    import pgpq  # comes with an extra, which users of other databases do without

    as_text = _texts(connection)
    try:
        arrays = [_as_arrow(values, types[name], as_text) for name, values in columns.items()]
        batch = pa.record_batch(arrays, names=[f"c{place}" for place in range(len(arrays))])
        encoder = pgpq.ArrowToPostgresBinaryEncoder(batch.schema)
        return [encoder.write_header(), encoder.write_batch(batch), encoder.finish()]
    except (pa.ArrowException, LookupError, TypeError, ValueError, struct.error):
        # No binary form is known for these values: they are sent as the driver would send any other.
        return None


def _as_arrow(values: Values, type_: str, as_text: Callable[[Any], bytes]) -> pa.Array:
    pack = {"uuid": _uuid, "interval": _interval, "jsonb": lambda value: b"\x01" + as_text(value), "json": as_text}.get(
        type_
    )
    if pack is not None:
        return pa.array([None if value is None else pack(value) for value in as_list(values)], pa.binary())
    if isinstance(values, pd.Series) and values.dtype == object:
        values = as_list(values)
    array = pa.array(values, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)  # a float that is missing, in pandas
    if pa.types.is_null(array.type):
        return array.cast(pa.string())  # NULL looks the same in every type
    if type_ in _TEXTS:
        if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            raise TypeError(type_)
        return array
    if type_ == "numeric":
        return _as_decimals(array)
    return array.cast(_ARROW[type_])


def _as_decimals(array: pa.Array) -> pa.Array:
    if pa.types.is_decimal128(array.type):
        return array
    if pa.types.is_integer(array.type):
        return array.cast(pa.decimal128(20, 0))
    if not pa.types.is_floating(array.type):
        raise TypeError(array.type)
    # With the digits that PostgreSQL itself gives a float which becomes a NUMERIC.
    return pa.array([None if value is None else Decimal(f"{value:.15g}") for value in array.to_pylist()])


def _uuid(value: Any) -> bytes:
    return (value if isinstance(value, uuid.UUID) else uuid.UUID(value)).bytes


def _interval(value: timedelta) -> bytes:
    return _INTERVAL.pack(value.seconds * 1_000_000 + value.microseconds, value.days, 0)


def _texts(connection: sa.Connection) -> Callable[[Any], bytes]:
    """The driver's own way of writing a value as text, with whatever JSON serializer the app has given it."""
    from psycopg.adapt import PyFormat, Transformer

    transformer = Transformer(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    return lambda value: bytes(transformer.get_dumper(value, PyFormat.TEXT).dump(value) or b"")
