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
        is_filled: sa.ColumnElement[bool] = stored.is_not(None)
        if target.contract.fields[name].kind is Kind.TEXT:
            is_filled = sa.and_(is_filled, sa.type_coerce(stored, sa.String()) != "")
        return sa.or_(sent.is_(None), is_filled)
    return sa.false()


def offered(target: Target, name: str, sent: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The value that a present row is to have: the sent one, or its own where that stays."""
    if name not in target.stays:
        return sent
    return sa.case((stays(target, name, sent), target.columns[name]), else_=sent)
