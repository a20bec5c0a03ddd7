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
from transforms import columns, number_columns, object_columns, time_columns
from transforms.columns import TEXT, Column, is_text
from transforms.originals import shortened, texts_of

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
    casts: dict[str, Any] = {}
    codes: dict[str, dict[int, str]] = {}
    for name, spec in contract.fields.items():
        if name in frame.columns:
            column = cast_column(frame[name], spec, rules)
            casts[name] = _as_pandas(column.values)
            if column.faults:
                codes[name] = column.faults
    return pd.DataFrame(casts, index=frame.index), describe(codes, frame)


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
            faults.setdefault(int(row), []).append(Fault(code, name, shortened(text)))
    return faults


def cast_column(column: pd.Series, spec: FieldSpec, rules: CsvRules) -> Column:
    """Cast one column; a missing value that the contract does not allow is a fault too."""
    result = _read_cells(column, spec) if spec.kind in _CELL_READERS else _read_column(column, spec, rules)
    if not spec.nullable:
        code = "missing_key" if spec.is_key else "null"
        for place in _missing(result.values):
            result.faults.setdefault(place, code)
    return result


def _missing(values: Any) -> list[int]:
    if isinstance(values, list):
        return [place for place, value in enumerate(values) if value is None]
    return columns.places(pc.is_null(values)) if values.null_count else []


def _read_cells(column: pd.Series, spec: FieldSpec) -> Column:
    cells = _as_arrow(column)
    read = _CELL_READERS[spec.kind]
    beyond: dict[int, str] = {}
    if cells is not None and pa.types.is_duration(cells.type):
        cells, beyond = time_columns.within_python(cells)
    values = _python_values(column) if cells is None else cells.to_pylist()
    values, faults = columns.one_by_one(values, lambda value: read(value, spec))
    faults |= beyond
    return Column(pa.array(values, pa.binary()) if spec.kind is Kind.BINARY else values, faults)


def _read_column(column: pd.Series, spec: FieldSpec, rules: CsvRules) -> Column:
    def read(cells: Any) -> Column:
        texts, faults = columns.decoded(cells)
        found = _COLUMN_READERS[spec.kind](texts, spec, rules)
        return Column(found.values, {**found.faults, **faults})

    cells = _as_arrow(column)
    if cells is not None and not isinstance(cells.type, pa.UuidType):
        return read(cells)
    return _read_mixed(_python_values(column) if cells is None else cells.to_pylist(), read)


def _as_arrow(column: pd.Series) -> Any:
    """The column as one plain Arrow array, or None where its cells are Python objects of any types."""
    if column.dtype == object:
        return None
    try:
        cells = pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError):  # a type that only pandas knows
        return None
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    if isinstance(cells.type, pa.BaseExtensionType) and not isinstance(cells.type, pa.UuidType):
        cells = cells.storage
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return cells.cast(TEXT) if is_text(cells.type) or cells.type == pa.string_view() else cells


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
    return _TEXT_DTYPE.__from_arrow__(values) if is_text(values.type) else pd.arrays.ArrowExtensionArray(values)
