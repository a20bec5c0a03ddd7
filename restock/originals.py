"""Cells as text for people: a value at fault, and the cells of a row that has no other form."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from restock.records import plain_values

VALUE_CHARACTERS = 200  # of the value at fault: enough to recognise it, short enough for a report
_UNSHOWN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # controls but for tabs and line ends


def texts_of(column: pd.Series) -> list[str | None]:
    """The cells of a column as text, None for missing."""
    try:
        return [text_of(value) for value in plain_values(column)]
    except pa.ArrowException:  # a type that only pandas knows
        return texts_of(column.astype(object))
    except (OverflowError, pd.errors.OutOfBoundsDatetime):  # of moments that Python lacks and Parquet may hold
        return arrow_texts(pa.array(column, from_pandas=True)).to_pylist()


def arrow_texts(cells: Any) -> Any:
    """Moments and numbers as Arrow writes them: ISO 8601 with a blank for the T, and in UTC where they have a zone."""
    if pa.types.is_timestamp(cells.type) and cells.type.tz is not None:
        cells = cells.cast(pa.timestamp(cells.type.unit, "UTC"))
    if pa.types.is_duration(cells.type):
        cells = cells.cast(pa.int64())
    return cells.cast(pa.large_string())


def text_of(value: Any) -> str | None:
    """One cell as text that a person can mend and the cast can read; None for missing."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, timedelta):
        span = abs(value)
        return f"{'-' if value != span else ''}P{span.days}DT{span.seconds}.{span.microseconds:06}S"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=text_of)
    return str(value)


def presentable(text: str | None) -> str | None:
    """The value at fault, no longer than a report can show, of characters that every database and terminal takes.

    Others, control characters and halves of characters, are shown by their number, as `\\x00`.
    """
    if text is None:
        return None
    plain = _UNSHOWN.sub(_by_number, text[: VALUE_CHARACTERS + 1])
    return plain if len(plain) <= VALUE_CHARACTERS else plain[: VALUE_CHARACTERS - 1] + "…"


def _by_number(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode("ascii")
