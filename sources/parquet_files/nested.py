"""Nested Parquet values: which columns of the model they fit, and their JSON text for those that hold JSON."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.types as types

from restock.contract import Kind


def kinds_for(nested: pa.DataType) -> tuple[Kind, ...]:
    """What a column of the model may hold that a nested type is to fill."""
    is_list = not types.is_struct(nested) and not types.is_map(nested)
    return (Kind.JSON, Kind.ARRAY) if is_list else (Kind.JSON,)


def told(kinds: tuple[Kind, ...]) -> str:
    """What such columns hold, in words."""
    return " or ".join("JSON" if kind is Kind.JSON else "lists" for kind in kinds)


class NoJson(Exception):
    """A nested value that JSON cannot hold without losing some of it; the text says why."""


def json_texts(values: pa.Array) -> pa.Array:
    """Each nested value as JSON text: lists as arrays, structs and maps as objects; missing stays missing.

    Numbers stay exact: decimals become text, as JSON readers make floats of numbers. NaN and infinities are written as
    Python writes them, so that the cast to a JSON column rejects their rows. Moments and bytes become text.

    Raises:
        NoJson: bytes that are no UTF-8, a key or a field twice, a moment that Python has no object for, a span of time.
    """
    as_json = _writer(values.type)
    try:
        cells = values.to_pylist()
    except OverflowError as error:
        raise NoJson("it holds a moment after the year 9999") from error
    except ValueError as error:
        raise NoJson("two of its fields have the same name") from error
    texts = [None if cell is None else json.dumps(as_json(cell), ensure_ascii=False) for cell in cells]
    return pa.array(texts, pa.large_string())


def _writer(kind: pa.DataType) -> Any:
    """What turns a Python value of an Arrow type into one that the standard JSON writer knows."""
    if isinstance(kind, pa.BaseExtensionType):
        return _writer(kind.storage_type)
    if types.is_dictionary(kind):
        return _writer(kind.value_type)
    if types.is_struct(kind):
        fields = [(field.name, _writer(field.type)) for field in kind]
        return lambda value: {name: None if value[name] is None else write(value[name]) for name, write in fields}
    if types.is_map(kind):
        return _map_writer(_writer(kind.item_type))
    if types.is_nested(kind):
        write = _writer(kind.value_type)
        return lambda value: [None if each is None else write(each) for each in value]
    return _plain


def _map_writer(write: Any) -> Any:
    def as_object(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        content = {_key(key): None if value is None else write(value) for key, value in pairs}
        if len(content) != len(pairs):
            raise NoJson("a map in it has a key twice")
        return content

    return as_object


def _key(key: Any) -> str:
    plain = _plain(key)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NoJson("it holds bytes that are not UTF-8 text") from error
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, timedelta):
        raise NoJson("it holds spans of time")
    return value
