"""A digest of every value of every row of a table, whatever pieces the table comes in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.catalogue import SCHEMA


def digest_of(pieces: Iterable[pa.Table]) -> str:
    """The digest of a table in the order of its ids.

    Args:
        pieces: the table in pieces of any size, with the columns of SCHEMA.
    """
    # One hash for each stream of bytes, as a column's streams of two pieces simply follow one another.
    hashes = {name: [hashlib.sha256() for _ in range(3)] for name in SCHEMA.names}
    for piece in pieces:
        if piece.schema.names != SCHEMA.names:
            raise ValueError(f"expected the columns {SCHEMA.names}, got {piece.schema.names}")
        for field in SCHEMA:
            for part in piece[field.name].cast(field.type).chunks:
                for hash_, stream in zip(hashes[field.name], _streams(part), strict=False):
                    hash_.update(stream)
    joined = "".join(hash_.hexdigest() for name in SCHEMA.names for hash_ in hashes[name])
    return hashlib.sha256(joined.encode()).hexdigest()


def _streams(values: pa.Array) -> list[bytes]:
    """What a piece of a column holds: which values are there, how long texts are, and the values."""
    there = pc.is_valid(values).to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.string())
    if not pa.types.is_string(values.type):
        filled = values.fill_null(pa.scalar(0).cast(values.type))
        return [there, filled.to_numpy(zero_copy_only=False).tobytes()]
    # A concatenation begins at the start of its buffers and holds nothing but the values.
    filled = pa.concat_arrays([values.fill_null("")])
    offsets = np.frombuffer(filled.buffers()[1], np.int32)[filled.offset : filled.offset + len(filled) + 1]
    texts = memoryview(filled.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    return [there, np.diff(offsets).tobytes(), bytes(texts)]
