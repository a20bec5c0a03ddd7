"""Which present values the feed's rules leave as they are, said in SQL: presence and every writer ask here."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from restock.contract import Kind
from sinks.model.target import Target


def stays(target: Target, name: str, sent: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether a present row keeps its own value of an attribute, whatever the record brings."""
    when = target.stays.get(name)
    stored = target.columns[name]
    if when == "present":
        return sa.true()
    if when == "blank":
        return sent.is_(None)
    if when == "filled":
        return sa.or_(sent.is_(None), _is_filled(stored, target.contract.fields[name].kind))
    return sa.false()


def _is_filled(stored: sa.ColumnElement[Any], kind: Kind) -> sa.ColumnElement[bool]:
    """Whether a present row has a value; what SQLAlchemy keeps for None in a column of JSON, unless told, is none."""
    if kind is Kind.TEXT:
        return sa.and_(stored.is_not(None), sa.type_coerce(stored, sa.String()) != "")
    if kind is Kind.JSON:
        return sa.and_(stored.is_not(None), sa.cast(stored, sa.Text()) != "null")
    return stored.is_not(None)


def offered(target: Target, name: str, sent: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The value that a present row is to have: the sent one, or its own where that stays."""
    if name not in target.stays:
        return sent
    return sa.case((stays(target, name, sent), target.columns[name]), else_=sent)
