"""How staged and stored values compare: exactly, whatever the collation of their column ignores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from restock.contract import Kind
from sinks.model.target import Target
from sinks.model.write_rules import offered, stays
from sinks.staging.stage import Stage

# Kinds that compare as text: their own type has no equality, or one that is blind to case, accents or blanks.
_AS_TEXT = (Kind.TEXT, Kind.ENUM, Kind.JSON, Kind.ARRAY, Kind.OTHER)
# Kinds that a database without a type for them keeps as text, which others may have written in another form.
_KEPT_AS_TEXT = {
    "sqlite": (Kind.DATE, Kind.TIME, Kind.DATETIME, Kind.INTERVAL, Kind.UUID),
    "mysql": (Kind.UUID,),
    "mariadb": (Kind.UUID,),
}


def readable(target: Target, name: str) -> sa.ColumnElement[Any]:
    """A stored value to be read: of an enumeration the stored word, not the member that the app makes of it."""
    column = target.columns[name]
    return sa.type_coerce(column, sa.String()) if target.contract.fields[name].kind is Kind.ENUM else column


def differs(stage: Stage) -> sa.ColumnElement[bool]:
    """Whether a staged row holds another value than the row it meets."""
    return sa.or_(sa.false(), *(is_distinct(stage, name) for name in compared(stage) if not is_doubtful(stage, name)))


def may_differ(stage: Stage) -> sa.ColumnElement[bool]:
    """Whether it is stored otherwise in a column that has several forms for one value."""
    return sa.or_(sa.false(), *(is_distinct(stage, name) for name in _doubtful(stage)))


def doubtful_values(stage: Stage) -> list[sa.ColumnElement[Any]]:
    """The staged and the stored values of such columns, in turn."""
    target = stage.target
    pairs = ((offered(target, name, stage.sent(name)), target.columns[name]) for name in _doubtful(stage))
    return [value.label(f"d{place}") for place, value in enumerate(value for pair in pairs for value in pair)]


def are_same(values: Sequence[Any]) -> bool:
    """Whether doubtful values, read as the app reads them, are the same after all."""
    return all(map(is_same, values[::2], values[1::2]))


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same, also within JSON: 1 is 1.0, but to Python it would be `true` as well."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one is other or bool(one == other)


def in_order(stage: Stage, name: str) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """The staged and the stored value of an attribute, to be compared by `<`: text by its code points."""
    return _exact(stage, name, stage.sent(name)), _exact(stage, name, stage.target.columns[name])


def compared(stage: Stage) -> list[str]:
    """The attributes of a present row that the staged ones may change."""
    target = stage.target
    return [name for name in target.changeable if name in stage.attributes]


def _doubtful(stage: Stage) -> list[str]:
    return [name for name in compared(stage) if is_doubtful(stage, name)]


def is_doubtful(stage: Stage, name: str) -> bool:
    """Whether an attribute has several stored forms for one value, so that only the app can tell what is the same."""
    type_, kind = stage.target.columns[name].type, stage.target.contract.fields[name].kind
    if isinstance(type_, sa.types.TypeDecorator) or kind in (Kind.ARRAY, Kind.OTHER):
        return True  # it may store one value in several ways: encrypted, say
    if kind is Kind.JSON:
        return not isinstance(type_, JSONB)
    return kind in _KEPT_AS_TEXT.get(stage.connection.dialect.name, ())


def is_distinct(stage: Stage, name: str) -> sa.ColumnElement[bool]:
    """Whether a staged row brings another stored value for an attribute, where the feed's rules let it be changed."""
    sent, stored = in_order(stage, name)
    differ = sent.is_distinct_from(stored)
    if name not in stage.target.stays:
        return differ
    return sa.and_(sa.not_(stays(stage.target, name, stage.sent(name))), differ)


def _exact(stage: Stage, name: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    dialect = stage.connection.dialect.name
    type_, kind = stage.target.columns[name].type, stage.target.contract.fields[name].kind
    if kind not in _AS_TEXT or isinstance(type_, JSONB):
        return value
    if dialect == "postgresql":
        return sa.collate(sa.cast(value, sa.Text()), "C")
    if dialect == "sqlite":
        return sa.collate(value, "BINARY")
    return sa.cast(value, sa.LargeBinary())
