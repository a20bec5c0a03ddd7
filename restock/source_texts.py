"""Typed cells as the text that the feed's source would hold for them: so that the cast reads the same value back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from restock.chunks import SPOOL_COLUMNS
from restock.column_rules import as_cell
from restock.contract import Contract, Kind
from restock.csv_rules import CsvRules
from restock.feeds import Feed
from restock.originals import text_of, texts_of
from restock.records import plain_values

_NUMBERS = (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT)


def originals(
    raw: pd.DataFrame, positions: Iterable[int], feed: Feed, contract: Contract
) -> dict[int, dict[str, str | None]]:
    """The cells of some rows as text under the source's own names: what a person needs to mend a rejected row.

    Args:
        raw: a spooled chunk, indexed by row position.
        positions: the rows that are asked for; each must be in the chunk.
        feed: how its source writes numbers, dates and flags.
        contract: what the attributes are that its columns fill.
    """
    wanted = list(positions)
    if not wanted:
        return {}
    rows = raw.loc[wanted]
    names = [name for name in raw.columns if name not in SPOOL_COLUMNS]
    kinds = [_kind_of(name, feed, contract) for name in names]
    cells = [source_texts(rows[name], kind, feed.csv) for name, kind in zip(names, kinds, strict=True)]
    return {position: dict(zip(names, texts, strict=True)) for position, *texts in zip(wanted, *cells, strict=True)}


def _kind_of(name: str, feed: Feed, contract: Contract) -> Kind | None:
    field = contract.fields.get(feed.attribute_of(name) or "")
    return None if field is None else field.kind


def source_texts(column: pd.Series, kind: Kind | None, rules: CsvRules) -> list[str | None]:
    """The cells of a column as the feed writes what a column of this kind takes, None for missing."""
    if isinstance(column.dtype, pd.StringDtype):
        return texts_of(column)
    try:
        values = _own_floats(column) if column.dtype.kind == "f" else plain_values(column)
    except (pa.ArrowException, OverflowError):
        return texts_of(column)
    return [_source_text(value, kind, rules) for value in values]


def _own_floats(column: pd.Series) -> list[Decimal | None]:
    """Floats as the shortest decimals of their own width: 19.99 in 32 bits is not 19.989999771118164."""
    width: Any = getattr(column.dtype, "numpy_dtype", column.dtype)
    numbers = column.to_numpy(dtype=width, na_value=float("nan"))
    return [None if number != number else _trimmed(Decimal(str(number))) for number in numbers]


def _trimmed(number: Decimal) -> Decimal:
    """A number without a fraction of nothing but zeros."""
    return Decimal(int(number)) if number.is_finite() and number == int(number) else number


def _source_text(value: Any, kind: Kind | None, rules: CsvRules) -> str | None:
    if isinstance(value, float):
        value = _trimmed(Decimal(str(value)))
    if isinstance(value, Decimal) and kind is Kind.INTEGER:
        value = _trimmed(value)
    if kind is Kind.BOOLEAN and isinstance(value, int | Decimal) and value in (0, 1):
        return as_cell(bool(value), rules)
    if kind in _NUMBERS and isinstance(value, int | Decimal):
        return as_cell(int(value) if isinstance(value, bool) else value, rules)
    if kind is Kind.DATETIME and isinstance(value, date):
        return _moment(value if isinstance(value, datetime) else datetime.combine(value, time.min), rules)
    if kind is Kind.DATE and isinstance(value, date):
        is_day = not isinstance(value, datetime) or value.time() == time.min
        day = value.date() if isinstance(value, datetime) else value
        return as_cell(day, rules) if is_day else value.isoformat()
    if kind is Kind.UUID and isinstance(value, bytes) and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    return text_of(value)


def _moment(value: datetime, rules: CsvRules) -> str:
    """A moment in the feed's format, or in full where that would lose a part of it: the cast then refuses it aloud."""
    pattern = rules.datetime_format
    if pattern is None:
        return value.isoformat()
    if value.tzinfo is not None and "%z" not in pattern:
        value = value.astimezone(ZoneInfo(rules.timezone)).replace(tzinfo=None)
    text = as_cell(value, rules)
    try:
        is_whole = datetime.strptime(text, pattern) == value  # noqa: DTZ007
    except (ValueError, TypeError):
        is_whole = False
    return text if is_whole else value.isoformat()
