"""Where each row ends in what was encoded of many for PostgreSQL: the encoder tells only the bytes of them all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Bytes of a row, and of each of its fields, before those of its value; and of a NUMERIC before its digits.
COUNT, LENGTH, _NUMERIC = 2, 4, 8
# The digits of a NUMERIC come by fours. More of them than 64 bits hold are not counted.
_FOUR, _MOST_DIGITS = 10**4, 18


def ends_of(batch: pa.RecordBatch, encoded: memoryview) -> np.ndarray | None:
    """Where each row ends, by the lengths of its values; None if these do not lead from each row to the next."""
    try:
        sizes = [_sizes(array) for array in batch.columns]
    except (TypeError, ValueError):
        return None
    fields, decimals = np.full(len(batch), COUNT, np.int64), []
    for array, size in zip(batch.columns, sizes, strict=True):
        fields += LENGTH
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
    at = (places - LENGTH)[:, None] + np.arange(LENGTH)
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
