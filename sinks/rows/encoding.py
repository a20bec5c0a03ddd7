"""Rows in the binary format in which PostgreSQL's COPY takes and gives them, as one text and one by one."""

from __future__ import annotations

import logging
import struct
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache, cached_property
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sinks.model.values import Values, as_arrow, as_list
from sinks.rows.row_ends import COUNT, LENGTH, ends_of

log = logging.getLogger("restock")

HEADER, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
# Writes a value as the driver would.
AsText = Callable[[Any], bytes]

_INTERVAL = struct.Struct("!qii")
_TEXTS = ("text", "varchar", "bpchar", "citext")
_WRITTEN_BY_DRIVER = ("json", "jsonb")
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
# Rows encoded at a time: they stay in the processor's cache, and other threads have their turn in between, as the
# encoder keeps the interpreter to itself.
_ROWS_AT_ONCE = 5_000
# No row is longer.
_LONGEST = 2**31 - 1
_NOTHING = pa.scalar(b"", pa.large_binary())


@dataclass(frozen=True)
class EncodedRows:
    """Encoded rows without header and end, the types they were encoded for, by column, and what was encoded."""

    types: Mapping[str, str]
    whole: memoryview
    batch: pa.RecordBatch

    @cached_property
    def rows(self) -> pa.LargeBinaryArray | None:
        """Views of `whole`, row by row; None where it is not known where each ends: they can only be sent together."""
        ends = ends_of(self.batch, self.whole)
        return None if ends is None else as_rows(self.whole, ends)

    def some(self, places: np.ndarray | None) -> memoryview:
        """Those at some places, in the order of the places; by default all."""
        return self.whole if places is None else _joined(self._at(places))

    def numbered(self, places: np.ndarray | None, numbers: np.ndarray) -> memoryview:
        """Those at some places, each with a number before its other fields."""
        first = np.empty(len(numbers), [("count", ">i2"), ("length", ">i4"), ("number", ">i8")])
        first["count"], first["length"], first["number"] = len(self.types) + 1, 8, numbers
        ends = np.arange(1, len(numbers) + 1, dtype=np.int64) * first.itemsize
        # Without an end, Arrow's kernel fails ("negative buffer resize").
        fields = pc.binary_slice(self._at(places), COUNT, _LONGEST)
        return _joined(pc.binary_join_element_wise(as_rows(memoryview(first.tobytes()), ends), fields, _NOTHING))

    def _at(self, places: np.ndarray | None) -> pa.LargeBinaryArray:
        assert self.rows is not None
        return self.rows if places is None else self.rows.take(pa.array(places))


def _joined(rows: pa.LargeBinaryArray) -> memoryview:
    """The bytes of all rows, one behind the other."""
    ends = np.frombuffer(rows.buffers()[1], np.int64)[rows.offset : rows.offset + len(rows) + 1]
    return memoryview(rows.buffers()[2])[ends[0] : ends[-1]]


def as_rows(whole: memoryview, ends: np.ndarray, start: int = 0) -> pa.LargeBinaryArray:
    """Views of bytes that stand one behind the other: each from the end of the one before."""
    places = np.append(np.int64(start), ends)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(places), pa.py_buffer(whole)]
    )


def with_room(expected: int) -> BytesIO:
    """A file in memory that need not move, and be given other memory, while it grows to so many bytes."""
    file = BytesIO()
    file.seek(expected)
    file.write(END)
    file.seek(0)
    return file


@cache
def is_encoder_there() -> bool:
    """Whether the extra is installed that COPY needs; said once if it is not."""
    is_there = find_spec("pgpq") is not None
    if not is_there:
        log.warning("Rows are inserted and not copied, which takes longer; install `restock[postgresql]` for COPY.")
    return is_there


def encode(columns: Mapping[str, Values], types: Mapping[str, str], as_text: AsText | None) -> EncodedRows | None:
    """Encode rows, values by column.

    Args:
        types: the database's own name for the type of each column.
        as_text: writes the values of JSON columns. Where it is not at hand, rows with such columns are not encoded.

    Returns:
        The rows; None where no binary form of some values is known here: they are sent as the driver would send any.
    """
    import pgpq  # comes with an extra, which users of other databases do without

    try:
        arrays = {name: _of_type(values, types[name], as_text) for name, values in columns.items()}
        batch = pa.record_batch(list(arrays.values()), names=[f"c{place}" for place in range(len(arrays))])
        encoder = pgpq.ArrowToPostgresBinaryEncoder(batch.schema)
        parts = (batch.slice(start, _ROWS_AT_ONCE) for start in range(0, len(batch), _ROWS_AT_ONCE))
        told = with_room(batch.nbytes + len(batch) * (COUNT + LENGTH * batch.num_columns))
        told.write(encoder.write_header())
        for part in parts:
            told.write(encoder.write_batch(part))
        told.write(encoder.finish())  # of a few rows it gives nothing before
    except (pa.ArrowException, LookupError, TypeError, ValueError, struct.error):
        return None
    encoded = told.getbuffer()[len(HEADER) : told.tell() - len(END)]
    return EncodedRows({name: types[name] for name in columns}, encoded, batch)


def _of_type(values: Values, type_: str, as_text: AsText | None) -> pa.Array:
    if type_ in _WRITTEN_BY_DRIVER:
        if as_text is None:
            raise LookupError(type_)
        before = b"\x01" if type_ == "jsonb" else b""
        return pa.array([None if value is None else before + as_text(value) for value in as_list(values)], pa.binary())
    pack = {"uuid": _uuid, "interval": _interval}.get(type_)
    if pack is not None:
        return pa.array([None if value is None else pack(value) for value in as_list(values)], pa.binary())
    array = as_arrow(values)
    if pa.types.is_null(array.type):
        return array.cast(pa.string())  # NULL looks the same in every type
    if type_ in _TEXTS:
        if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            raise TypeError(type_)
        return array
    if type_ == "numeric":
        return _as_decimals(array)
    if type_ == "float4":
        return _as_single(array)
    return array.cast(_ARROW[type_])


def _as_single(array: pa.Array) -> pa.Array:
    """Floats of single precision. What they cannot hold is for the database to refuse: Arrow makes infinity or 0 of it.

    Raises:
        ValueError: there is such a value.
    """
    single = array.cast(_ARROW["float4"])
    is_same = pc.and_(
        pc.equal(pc.is_finite(single), pc.is_finite(array)), pc.equal(pc.equal(single, 0), pc.equal(array, 0))
    )
    if not pc.all(is_same, min_count=0).as_py():
        raise ValueError("float4")
    return single


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
