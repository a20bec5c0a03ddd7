"""What chunks are made of: Arrow tables with the spool columns beside the source's own, and the frames they become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SPOOL_COLUMNS, SUPERSEDED

TEXT = pa.large_string()
_NUMBER: Any = "Int64"
_FRAME_TYPES = {ROW: "int64", LINE: _NUMBER, BYTE: _NUMBER, FAULT: "str", RAW: "str", SUPERSEDED: "bool"}


def with_spool_columns(
    cells: pa.Table, lines: Any = None, faults: Any = None, raws: Any = None, places: Any = None
) -> pa.Table:
    """A table of source cells with the spool columns beside them; `numbered` fills in the positions later.

    Args:
        lines: the line on which each row begins, where the format has lines.
        faults: the reason code of each row that could not be split or decoded, None for a sound row.
        raws: the text of such a row as it stood in the file.
        places: the byte of the file at which such a row begins.
    """
    rows = cells.num_rows
    spool = {
        ROW: pa.array(np.zeros(rows, np.int64)),
        LINE: pa.nulls(rows, pa.int64()) if lines is None else pa.array(lines, pa.int64()),
        BYTE: pa.nulls(rows, pa.int64()) if places is None else pa.array(places, pa.int64()),
        FAULT: pa.nulls(rows, TEXT) if faults is None else pa.array(faults, TEXT),
        RAW: pa.nulls(rows, TEXT) if raws is None else pa.array(raws, TEXT),
        SUPERSEDED: pa.array(np.zeros(rows, bool)),
    }
    return pa.table([*cells.columns, *spool.values()], [*cells.column_names, *spool])


def chunked(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of `rows`, numbered from 1; smaller ones at the end and where types change."""
    first = 1
    for table in _resized(tables, rows):
        numbers = np.arange(first, first + table.num_rows)
        first += table.num_rows
        yield with_column(table, ROW, pa.array(numbers))


def _resized(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    waiting: pa.Table | None = None
    for table in tables:
        if waiting is not None and waiting.num_rows and waiting.schema != table.schema:
            yield waiting
            waiting = None
        waiting = table if waiting is None or not waiting.num_rows else pa.concat_tables([waiting, table])
        while waiting.num_rows >= rows:
            yield waiting.slice(0, rows)
            waiting = waiting.slice(rows)
    if waiting is not None and waiting.num_rows:
        yield waiting


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with other values in one of its columns."""
    return table.set_column(table.column_names.index(name), name, values)


def plain(column: pa.ChunkedArray | pa.Array) -> Any:
    """The values without a dictionary or an extension around them; any text as `large_string`."""
    kind = plain_type(column.type)
    return column if column.type == kind else column.cast(kind)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values themselves, without a dictionary or an extension around them; one type for any text.

    UUIDs stay what they are: without their extension they would be bytes like any others. Few kernels of Arrow know
    views or half floats, so those become plain bytes and short floats. Nor can rows be moved that have a dictionary or
    a view inside of a list; other nested cells have become JSON before.
    """
    if pa.types.is_nested(kind):
        return _plain_item(kind)
    if isinstance(kind, pa.DictionaryType):
        return plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return kind if isinstance(kind, pa.UuidType) else plain_type(kind.storage_type)
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    return TEXT if pa.types.is_string(kind) or pa.types.is_string_view(kind) else kind


def _plain_item(kind: pa.DataType) -> pa.DataType:
    """The type of the items of a list, or of a list in it, without a dictionary or a view around them."""
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_item(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_plain_item(kind.value_type)))
    if isinstance(kind, pa.DictionaryType):
        return _plain_item(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def as_frame(table: pa.Table) -> pd.DataFrame:
    """A table of plain columns as a frame: text as `str`, the spool's columns as pandas has them, others as Arrow's."""
    columns: dict[str, Any] = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        column = _array_of(values)
        columns[name] = column.astype(_FRAME_TYPES[name]) if name in SPOOL_COLUMNS else column
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def cells_of(chunk: pa.Table) -> pd.DataFrame:
    """The rows of a chunk as `as_frame` gives them, with what their source has of them alone."""
    return as_frame(chunk.drop_columns(list(SPOOL_COLUMNS)))


def _array_of(values: pa.ChunkedArray) -> Any:
    if values.type == TEXT:
        text: Any = pd.StringDtype("pyarrow", na_value=np.nan)
        return text.__from_arrow__(values)
    return pd.arrays.ArrowExtensionArray(values)
