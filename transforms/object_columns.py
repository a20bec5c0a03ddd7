"""Cell functions for what Arrow has no exact type for: UUIDs, JSON, spans of time, and types restock does not know.

Each takes one value, gives back the Python object for the database, or raises Misfit. Binary cells are read here too.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from restock.contract import FieldSpec
from transforms.columns import Misfit
from transforms.lists import is_list

_UUID = re.compile(r"\{?[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}\}?", re.IGNORECASE)
_INTERVAL = re.compile(
    r"(?P<sign>[+-]?)P(?=[0-9T])(?:(?P<weeks>[0-9]{1,18})W)?(?:(?P<days>[0-9]{1,18})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,18})H)?(?:(?P<minutes>[0-9]{1,18})M)?"
    r"(?:(?P<seconds>[0-9]{1,18})(?:\.(?P<fraction>[0-9]+))?S)?)?",
    re.ASCII,
)
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def read_uuid(value: Any, spec: FieldSpec) -> uuid.UUID | str:
    """A UUID from its text, with or without hyphens and braces, or from its 16 bytes; as text if the app has it so."""
    found = _uuid(value)
    return str(found) if spec.as_text else found


def _uuid(value: Any) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    if isinstance(value, bytes) and len(value) == 16:
        return uuid.UUID(bytes=value)
    if isinstance(value, str) and _UUID.fullmatch(value.strip()):
        return uuid.UUID(value.strip())
    raise Misfit("not_a_uuid" if isinstance(value, str | bytes) else "wrong_type")


def read_json(value: Any, spec: FieldSpec) -> Any:
    """The value that JSON text stands for, or a nested value as it is if JSON can hold it."""
    try:
        content = json.loads(value) if isinstance(value, str | bytes) else value
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise Misfit("json") from error
    if not spec.allows_nul and _JSON_NUL.search(text):
        raise Misfit("nul")
    if not text.isascii():
        _encoded(text)
    return content


def read_interval(value: Any, spec: FieldSpec) -> timedelta:
    """A span of time from ISO 8601 (P1W, P1DT2H30M), without months and years, whose length varies."""
    if isinstance(value, pd.Timedelta):
        return value.floor("us").to_pytimedelta()
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise Misfit("wrong_type")
    match = _INTERVAL.fullmatch(value.strip())
    if match is None:
        raise Misfit("not_an_interval")
    parts = match.groupdict()
    lengths = {unit: int(parts[unit] or 0) for unit in ("weeks", "days", "hours", "minutes", "seconds")}
    try:
        span = timedelta(microseconds=int((parts["fraction"] or "").ljust(6, "0")[:6]), **lengths)
    except OverflowError as error:
        raise Misfit("out_of_range") from error
    return -span if parts["sign"] == "-" else span


def read_binary(value: Any, spec: FieldSpec) -> bytes:
    """Bytes within the column's length; text as UTF-8."""
    if not isinstance(value, str | bytes):
        raise Misfit("wrong_type")
    content = value if isinstance(value, bytes) else _encoded(value)
    if spec.length is not None and len(content) > spec.length:
        raise Misfit("too_long")
    return content


def read_array(value: Any, spec: FieldSpec) -> Any:
    """A list as it came, or from its JSON text; other text is none, as drivers take it for the list of its letters."""
    if not isinstance(value, str | bytes):
        if spec.items is not None and not is_list(value):
            raise Misfit("not_a_list")
        return value
    try:
        content = json.loads(value, parse_float=float if spec.items is None else Decimal)
    except (ValueError, RecursionError) as error:
        raise Misfit("not_a_list") from error
    if not isinstance(content, list):
        raise Misfit("not_a_list")
    return content


def read_other(value: Any, spec: FieldSpec) -> Any:
    """The value as it came: only the database knows what the column holds."""
    return value


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Misfit("encoding") from error
