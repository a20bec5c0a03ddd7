"""What frames are made of: columns with the right pandas types, and frames of the right size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def resized(frames: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of `rows`; smaller ones only at the end and where the types of the columns change."""
    waiting: list[pd.DataFrame] = []
    count = 0
    for frame in frames:
        if waiting and not waiting[0].dtypes.equals(frame.dtypes):
            yield _joined(waiting)
            waiting, count = [], 0
        waiting.append(frame)
        count += len(frame)
        if count < rows:
            continue
        whole = _joined(waiting)
        full = count - count % rows
        for start in range(0, full, rows):
            yield whole.iloc[start : start + rows].reset_index(drop=True)
        waiting, count = [whole.iloc[full:]] if full < count else [], count - full
    if waiting:
        yield _joined(waiting)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)


def column_of(values: pa.ChunkedArray | pa.Array) -> Any:
    """Arrow values as a pandas array: text as `str`, anything else under its own Arrow type."""
    if values.type != plain_type(values.type):
        values = values.cast(plain_type(values.type))
    chunked = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    if _is_text(chunked.type):
        text: Any = pd.StringDtype("pyarrow", na_value=np.nan)
        return text.__from_arrow__(chunked)
    return pd.arrays.ArrowExtensionArray(chunked)


def no_text(rows: int) -> Any:
    """A text column in which every value is missing."""
    return column_of(pa.nulls(rows, pa.large_string()))


def no_numbers(rows: int) -> Any:
    """An integer column in which every value is missing."""
    return pd.arrays.IntegerArray(np.zeros(rows, np.int64), np.ones(rows, bool))


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values themselves, without a dictionary or an extension around them.

    UUIDs stay what they are: without their extension they would be bytes like any others. Few kernels of Arrow know
    views, so those become plain bytes.
    """
    if isinstance(kind, pa.DictionaryType):
        return plain_type(kind.value_type)
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType) else kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
