"""Rows in the binary format in which PostgreSQL's COPY takes and gives them, as one text and one by one."""

from __future__ import annotations

import logging
import struct
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sinks.values import Values, as_arrow, as_list

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
# Of a row, and of each of its fields, before the bytes of its value; and of a NUMERIC before its digits.
_COUNT, _LENGTH, _NUMERIC = 2, 4, 8
# Rows encoded at a time: they stay in the processor's cache, and other threads have their turn in between, as the
# encoder keeps the interpreter to itself.
_ROWS_AT_ONCE = 5_000
# No row is longer.
_LONGEST = 2**31 - 1
_NOTHING = pa.scalar(b"", pa.large_binary())
# The digits of a NUMERIC come by fours. More of them than 64 bits hold are not counted.
_FOUR, _MOST_DIGITS = 10**4, 18


@dataclass(frozen=True)
class EncodedRows:
    """Encoded rows without header and end, and the types they were encoded for, by column.

    `rows` are views of `whole`, None where it is not known where each row ends: then they can only be sent together.
    """

    types: Mapping[str, str]
    whole: memoryview
    rows: pa.LargeBinaryArray | None

    def some(self, places: np.ndarray | None) -> memoryview:
        """Those at some places, in the order of the places; by default all."""
        return self.whole if places is None else _joined(self._at(places))

    def numbered(self, places: np.ndarray | None, numbers: np.ndarray) -> memoryview:
        """Those at some places, each with a number before its other fields."""
        first = np.empty(len(numbers), [("count", ">i2"), ("length", ">i4"), ("number", ">i8")])
        first["count"], first["length"], first["number"] = len(self.types) + 1, 8, numbers
        ends = np.arange(1, len(numbers) + 1, dtype=np.int64) * first.itemsize
        # Without an end, Arrow's kernel fails ("negative buffer resize").
        fields = pc.binary_slice(self._at(places), _COUNT, _LONGEST)
        return _joined(pc.binary_join_element_wise(as_rows(memoryview(first.tobytes()), ends), fields, _NOTHING))

    def _at(self, places: np.ndarray | None) -> pa.LargeBinaryArray:
        assert self.rows is not None
        return self.rows if places is None else self.rows.take(pa.array(places))


def _joined(rows: pa.LargeBinaryArray) -> memoryview:
    """The bytes of all rows, one behind the other."""
    ends = _ends_of(rows)
    return memoryview(rows.buffers()[2])[ends[0] : ends[-1]]


def _ends_of(rows: pa.LargeBinaryArray) -> np.ndarray:
    """Where the first row begins, and where each ends."""
    return np.frombuffer(rows.buffers()[1], np.int64)[rows.offset : rows.offset + len(rows) + 1]


def as_rows(whole: memoryview, ends: np.ndarray, start: int = 0) -> pa.LargeBinaryArray:
    """Views of bytes that stand one behind the other: each from the end of the one before."""
    places = np.append(np.int64(start), ends)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends), [None, pa.py_buffer(places), pa.py_buffer(whole)]
    )


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
        # Of a few rows it gives nothing before the end.
        told = b"".join((encoder.write_header(), *map(encoder.write_batch, parts), encoder.finish()))
    except (pa.ArrowException, LookupError, TypeError, ValueError, struct.error):
        return None
    encoded = memoryview(told)[len(HEADER) : -len(END)]
    ends = _ends(batch, encoded)
    return EncodedRows(
        {name: types[name] for name in columns}, encoded, None if ends is None else as_rows(encoded, ends)
    )


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


def _ends(batch: pa.RecordBatch, encoded: memoryview) -> np.ndarray | None:
    """Where each row ends, by the lengths of its values; None if these do not lead from each row to the next."""
    try:
        sizes = [_sizes(array) for array in batch.columns]
    except (TypeError, ValueError):
        return None
    fields, decimals = np.full(len(batch), _COUNT, np.int64), []
    for array, size in zip(batch.columns, sizes, strict=True):
        fields += _LENGTH
        if pa.types.is_decimal(array.type):
            decimals.append((fields.copy(), np.where(_nulls(array), -1, size)))
        fields += size
    ends = np.cumsum(fields)
    if not len(ends) or ends[-1] != len(encoded):
        return None
    starts, content = ends - fields, np.frombuffer(encoded, np.uint8)
    # Of any other type the length is no guess. If these are right in the first row, the second begins where it is
    # thought to begin, and so on.
    is_told = all((_told(content, starts + before) == size).all() for before, size in decimals)
    return ends if is_told else None


def _told(content: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The lengths that are written before the values at some places."""
    at = (places - _LENGTH)[:, None] + np.arange(_LENGTH)
    return np.ascontiguousarray(content[at]).view(">i4")[:, 0]


def _nulls(array: pa.Array) -> np.ndarray | bool:
    return array.is_null().to_numpy(zero_copy_only=False) if array.null_count else False


def _sizes(array: pa.Array) -> np.ndarray | int:
    """The bytes of each value, or of every one; of NULL none.

    Raises:
        TypeError, ValueError: not known for this type.
    """
    type_ = array.type
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_binary(type_):
        return pc.fill_null(pc.binary_length(array), 0).to_numpy()
    if pa.types.is_decimal128(type_):
        size: np.ndarray | int = _NUMERIC + 2 * _groups_of_four(array)
    else:
        size = 1 if pa.types.is_boolean(type_) else type_.bit_width // 8
    return np.where(_nulls(array), 0, size) if array.null_count else size


def _groups_of_four(array: pa.Array) -> np.ndarray:
    """How many digits to the base of ten thousand a NUMERIC has: no zeros at its beginning, nor at its end."""
    filled_up = -array.type.scale % 4
    digits, scale = array.type.precision + filled_up, array.type.scale + filled_up
    if digits > _MOST_DIGITS or array.type.scale < 0:
        raise TypeError(array.type)
    by_fours = array.cast(pa.decimal128(digits, scale))
    words = np.frombuffer(by_fours.buffers()[1], np.int64)
    numbers = np.abs(words[::2][by_fours.offset : by_fours.offset + len(by_fours)])
    groups = np.zeros(len(numbers), np.int64)
    largest = int(numbers.max(initial=0))
    for power in (_FOUR**place for place in range(_MOST_DIGITS // 4 + 1) if _FOUR**place <= largest):
        groups += numbers >= power
        if power > 1:
            groups -= (numbers > 0) & (numbers % power == 0)
    return groups
