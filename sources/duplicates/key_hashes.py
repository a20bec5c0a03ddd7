"""A number for each key: equal keys have the same one, in whatever chunk they are; of others it may be the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]

_WORD = 8  # bytes that are taken at a time
_ODD = np.uint64(0x9E3779B97F4A7C15)
# What is kept of a word of which so many bytes belong to a text.
_KEPT = np.array([2 ** (8 * count) - 1 for count in range(_WORD + 1)], np.uint64)


def hashes_of(keys: pd.DataFrame) -> Hashes:
    """The hashes of rows, by all of their columns; no cell is missing."""
    hashes: Hashes = np.zeros(len(keys), np.uint64)
    for place in range(keys.shape[1]):
        hashes = _mixed(hashes ^ _hashes_of_part(keys.iloc[:, place]))
    return hashes


def _hashes_of_part(part: pd.Series) -> Hashes:
    if isinstance(part.dtype, pd.StringDtype):
        return _text_hashes(pa.chunked_array(pa.array(part, from_pandas=True)).combine_chunks())
    hashes: Any = pd.util.hash_pandas_object(_hashable(part), index=False, categorize=False).to_numpy(np.uint64)
    return hashes


def _text_hashes(cells: pa.LargeStringArray) -> Hashes:
    """Of text, by eight bytes of all cells at a time: pandas looks at each cell as a Python object."""
    _, places, content = cells.buffers()
    offsets = np.frombuffer(places, np.int64)[cells.offset : cells.offset + len(cells) + 1]
    starts, lengths = offsets[:-1], np.diff(offsets)
    held = np.frombuffer(content, np.uint8)[: offsets[-1]] if content is not None else np.zeros(0, np.uint8)
    padded = np.append(held, np.zeros(_WORD, np.uint8))
    words: Any = np.ndarray((len(held) + 1,), "<u8", padded, strides=(1,))  # the word that begins at each byte
    hashes = _mixed(lengths.astype(np.uint64))
    shortest = int(lengths.min(initial=2**31))
    for done in range(0, int(lengths.max(initial=0)), _WORD):
        rows: Any = slice(None) if done < shortest else np.flatnonzero(lengths > done)
        word = words[starts[rows] + done]
        if shortest < done + _WORD:
            word &= _KEPT[np.minimum(lengths[rows] - done, _WORD)]
        word = (hashes[rows] ^ word) * _ODD
        hashes[rows] = word ^ (word >> np.uint64(32))
    return hashes


def _mixed(numbers: Hashes) -> Hashes:
    """Numbers that differ stay different, and any bit of one reaches all bits (the last steps of SplitMix64)."""
    mixed = numbers + _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _hashable(column: pd.Series) -> pd.Series:
    if column.dtype != object:
        return column
    # Integers as an integer column has them: a chunk may need objects only because another number in it is huge.
    return pd.Series([_as_number(value) for value in column], index=column.index, dtype="int64")


def _as_number(value: Any) -> int:
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else hash(value)
