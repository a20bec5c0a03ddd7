"""The cast of a frame to what the target model demands. What does not fit is a fault of its row, never an error.

The reason codes and their sentences are in `restock.reasons`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import Fault
from restock.contract import Contract, FieldSpec, Kind
from restock.csv_rules import CsvRules
from restock.originals import presentable, texts_of
from transforms import columns, number_columns, object_columns, time_columns
from transforms.columns import TEXT, Column, is_text
from transforms.lists import put_together, taken_apart

_COLUMN_READERS: dict[Kind, Callable[[Any, FieldSpec, CsvRules], Column]] = {
    Kind.TEXT: columns.read_text,
    Kind.ENUM: columns.read_enum,
    Kind.BOOLEAN: columns.read_flag,
    Kind.INTEGER: number_columns.read_integer,
    Kind.DECIMAL: number_columns.read_decimal,
    Kind.FLOAT: number_columns.read_float,
    Kind.DATE: time_columns.read_date,
    Kind.TIME: time_columns.read_time,
    Kind.DATETIME: time_columns.read_timestamp,
}
_CELL_READERS: dict[Kind, Callable[[Any, FieldSpec], Any]] = {
    Kind.UUID: object_columns.read_uuid,
    Kind.JSON: object_columns.read_json,
    Kind.INTERVAL: object_columns.read_interval,
    Kind.BINARY: object_columns.read_binary,
    Kind.ARRAY: object_columns.read_array,
    Kind.OTHER: object_columns.read_other,
}
_TEXT_DTYPE: Any = pd.StringDtype(na_value=np.nan)  # Any: the stubs do not know __from_arrow__


Faults = dict[int, list[Fault]]


def cast(frame: pd.DataFrame, contract: Contract, rules: CsvRules) -> tuple[pd.DataFrame, Faults]:
    """Cast a frame to its contract.

    Args:
        frame: columns are attributes, the index is the rows' position; labels do not repeat.
        contract: columns it does not name are left out of the result.
        rules: how text is read as numbers, dates and flags.

    Returns:
        All rows, columns in the contract's order, missing where a cell is at fault; and the faults of each row that
        does not fit, by its position.
    """
    given = {name: frame[name] for name in contract.fields if name in frame.columns}
    casts: dict[str, Any] = {}
    codes: dict[str, dict[int, str]] = {}
    for name, column in given.items():
        cells = cells_of(column)
        found = _cast_cells(cells, contract.fields[name], rules)
        # Most columns of a typed source are what is asked for, and stay the objects they are.
        casts[name] = column if found.values is cells and _is_cast(column, cells) else _as_pandas(found.values)
        if found.faults:
            codes[name] = found.faults
    if all(casts[name] is given[name] for name in casts) and list(casts) == list(frame.columns):
        return frame, describe(codes, frame)
    return pd.DataFrame(casts, index=frame.index, copy=False), describe(codes, frame)


def fitting(values: pd.DataFrame, faults: Faults) -> pd.DataFrame:
    """The rows without a fault."""
    return values[~values.index.isin(list(faults))] if faults else values


def describe(codes: dict[str, dict[int, str]], frame: pd.DataFrame) -> Faults:
    """The faults of a frame by the position of their rows, each with the value at fault.

    Args:
        codes: the reason code of each place at fault, by column.
        frame: holds the values as they were.
    """
    faults: Faults = {}
    for name, at_fault in codes.items():
        rows = frame[name].iloc[list(at_fault)]
        for row, code, text in zip(rows.index, at_fault.values(), texts_of(rows), strict=True):
            faults.setdefault(int(row), []).append(Fault(code, name, presentable(text)))
    return faults


def cast_column(column: pd.Series, spec: FieldSpec, rules: CsvRules) -> Column:
    """Cast one column; a missing value that the contract does not allow is a fault too."""
    return _cast_cells(cells_of(column), spec, rules)


def _cast_cells(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    result = _read_cells(cells, spec) if spec.kind in _CELL_READERS else _read_column(cells, spec, rules)
    if spec.items is not None:
        result = _cast_items(result, spec.items, rules)
    if spec.identities:
        columns.refuse_others(result, spec.identities, "not_a_kind")
    if not spec.nullable:
        code = "missing_key" if spec.is_key else "null"
        for place in _missing(result.values):
            result.faults.setdefault(place, code)
    return result


def _cast_items(lists: Column, spec: FieldSpec, rules: CsvRules) -> Column:
    """Lists whose values are cast as a column of them would be: drivers and databases cut and round such values."""
    values, owners = taken_apart(lists.values)
    found = _cast_cells(values, spec, rules)
    items = iter(found.values if isinstance(found.values, list) else found.values.to_pylist())
    cast = [put_together(each, items) for each in lists.values]
    for place, code in found.faults.items():
        lists.faults.setdefault(owners[place], code)
        cast[owners[place]] = None
    return Column(cast, lists.faults)


def _missing(values: Any) -> list[int]:
    if isinstance(values, list):
        return [place for place, value in enumerate(values) if value is None]
    return columns.places(pc.is_null(values)) if values.null_count else []


def _read_cells(cells: Any, spec: FieldSpec) -> Column:
    read = _CELL_READERS[spec.kind]
    values, beyond = (cells, {}) if isinstance(cells, list) else _python_objects(cells)
    values, faults = columns.one_by_one(values, lambda value: read(value, spec))
    faults |= beyond
    return Column(pa.array(values, pa.binary()) if spec.kind is Kind.BINARY else values, faults)


def _python_objects(cells: Any) -> tuple[list[Any], dict[int, str]]:
    """The cells as Python has them; a date, a moment or a span of time that it cannot hold is a fault."""
    try:
        return cells.to_pylist(), {}
    except (OverflowError, ValueError):
        return columns.one_by_one(list(cells), _python_object)


def _python_object(cell: Any) -> Any:
    try:
        return cell.as_py()
    except (OverflowError, ValueError) as error:
        raise columns.Misfit("out_of_range") from error


def _read_column(cells: Any, spec: FieldSpec, rules: CsvRules) -> Column:
    def read(cells: Any) -> Column:
        texts, faults = columns.decoded(cells)
        found = _COLUMN_READERS[spec.kind](texts, spec, rules)
        return Column(found.values, {**found.faults, **faults}) if faults else found

    if isinstance(cells, list):
        return _read_mixed(cells, read)
    return _read_mixed(cells.to_pylist(), read) if isinstance(cells.type, pa.UuidType) else read(cells)


def cells_of(column: pd.Series) -> Any:
    """The column as one plain Arrow array, or as a list of Python objects where they may be of any types."""
    if column.dtype == object:
        return _python_values(column)
    values: Any = column.array
    try:
        cells = pa.array(values if isinstance(values, pd.arrays.ArrowExtensionArray) else column, from_pandas=True)
    except (pa.ArrowException, TypeError):  # a type that only pandas knows
        return _python_values(column)
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    if isinstance(cells.type, pa.BaseExtensionType) and not isinstance(cells.type, pa.UuidType):
        cells = cells.storage
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if cells.type == TEXT or not (is_text(cells.type) or cells.type == pa.string_view()):
        return cells
    return cells.cast(TEXT)


def _python_values(column: pd.Series) -> list[Any]:
    objects = column.astype(object)
    pairs = zip(objects.tolist(), objects.isna(), strict=True)
    return [None if gone else value.item() if isinstance(value, np.generic) else value for value, gone in pairs]


def _read_mixed(values: list[Any], read: Callable[[Any], Column]) -> Column:
    """Read a column of Python objects: each type among them as the column it would be alone."""
    groups: dict[tuple[type, bool], list[int]] = {}
    for place, value in enumerate(values):
        if value is not None:
            # Arrow would take a timestamp without a zone for UTC if one with a zone stood before it.
            groups.setdefault((type(value), getattr(value, "tzinfo", None) is None), []).append(place)
    results = [None] * len(values)
    faults: dict[int, str] = {}
    kind = getattr(read(pa.nulls(0, TEXT)).values, "type", None)
    for where in groups.values():
        column = _read_alike([values[place] for place in where], read)
        kind = None if isinstance(column.values, list) else kind
        found = column.values if isinstance(column.values, list) else column.values.to_pylist()
        for place, value in zip(where, found, strict=True):
            results[place] = value
        faults.update({where[place]: code for place, code in column.faults.items()})
    return Column(results if kind is None else pa.array(results, kind), faults)


def _read_alike(values: list[Any], read: Callable[[Any], Column]) -> Column:
    faults: dict[int, str] = {}
    if isinstance(values[0], uuid.UUID):
        values = [str(value) for value in values]
    try:
        cells = pa.array(values, TEXT if isinstance(values[0], str) else None)
    except UnicodeEncodeError:
        encodable, faults = columns.one_by_one(values, _encodable)
        cells = pa.array(encodable, TEXT)
    except OverflowError:  # integers of more than 64 bits
        cells = pa.array([str(value) for value in values], TEXT)
    except (pa.ArrowException, TypeError):  # objects that Arrow does not know
        return Column(read(pa.nulls(len(values), TEXT)).values, dict.fromkeys(range(len(values)), "wrong_type"))
    column = read(cells)
    return Column(column.values, {**column.faults, **faults})


def _encodable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise columns.Misfit("encoding") from error
    return text


def _as_pandas(values: Any) -> Any:
    """The values of a column as an array of pandas; objects as a list, wrapped so that pandas infers no type."""
    if isinstance(values, list):
        objects = np.empty(len(values), object)
        objects[:] = values
        return objects
    return _TEXT_DTYPE.__from_arrow__(values) if values.type == TEXT else pd.arrays.ArrowExtensionArray(values)


def _is_cast(column: pd.Series, cells: Any) -> bool:
    """Whether a column has the type of pandas for its cells, not another that holds the same."""
    dtype = column.dtype
    if cells.type == TEXT:
        return bool(dtype == _TEXT_DTYPE)
    return isinstance(dtype, pd.ArrowDtype) and dtype.pyarrow_dtype == cells.type
