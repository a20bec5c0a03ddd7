"""What the model itself puts into columns that a feed leaves alone, where no ORM is there to do it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from restock.feeds import Feed
from sinks.model.target import Target
from sinks.model.values import Values

_MOMENTS = (sa.DateTime, sa.Date, sa.Time)


def made_by_model(target: Target, sent: set[str], rows: int, dialect: sa.Dialect) -> dict[str, Values]:
    """The values of new rows in the columns that are not sent and for which the model has a value or a function.

    Returns:
        By the database's name of the column, `rows` values as the driver takes them.
    """
    made: dict[str, Values] = {}
    identity = target.mapper.polymorphic_identity
    kind = target.mapper.polymorphic_on
    for column in target.table.c:
        if column.name in sent:
            continue
        if column is kind and identity is not None:
            values = [identity] * rows
        elif column.default is not None:
            values = _values_of(column.default, rows)
        else:
            continue
        processor = column.type.dialect_impl(dialect).bind_processor(dialect)
        made[column.name] = values if processor is None else [processor(value) for value in values]
    return made


def _values_of(default: Any, rows: int) -> list[Any]:
    return [default.arg(None) for _ in range(rows)] if default.is_callable else [default.arg] * rows


def beyond_sets(target: Target, feed: Feed) -> str | None:
    """What the model says of new or updated rows that needs a statement for each row, if it says such a thing."""
    filled = {target.columns[name].name for name in feed.columns or () if _always_fills(feed, target, name)}
    for column in target.table.c:
        if column.name in filled:
            continue
        if column.default is not None and not _is_plain(column.default):
            return f"the default of {column.name}"
        on_update: Any = column.onupdate
        if on_update is not None and on_update.is_callable and not _is_moment(on_update, column):
            return f"the onupdate of {column.name}"
    return None


def _always_fills(feed: Feed, target: Target, name: str) -> bool:
    """Whether every new row brings a value, or the NULL that stands for none, in an attribute that the feed names."""
    is_made = target.generates_key and name in target.key and feed.missing_key == "insert"
    return not is_made and not feed.rule_of(name).optional and name not in feed.unwritten


def _is_plain(default: Any) -> bool:
    """Whether it is a value, or a function that asks for nothing."""
    if default.is_sequence or default.is_clause_element:
        return False
    return default.is_scalar or _asks_for_nothing(default.arg)


def _is_moment(on_update: Any, column: sa.Column[Any]) -> bool:
    """Whether it says what time it is: that is the same for all rows of one statement."""
    return isinstance(column.type, _MOMENTS) and _asks_for_nothing(on_update.arg)


def _asks_for_nothing(function: Callable[..., Any]) -> bool:
    """Whether it is not about the row: SQLAlchemy lets a function with a parameter see that."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin type, such as dict
        return True
    return not [each for each in parameters if each.default is each.empty and each.kind < each.VAR_POSITIONAL]
