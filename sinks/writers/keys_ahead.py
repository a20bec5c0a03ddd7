"""Gives new objects their keys before SQLite would: SQLAlchemy sends one INSERT a row there to learn each key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.attributes import set_committed_value

from sinks.model.last_touch import touch_last

_AHEAD = "restock_keys_ahead"
# SQLite counts to 2^63 - 1, and looks for gaps from there on: that is left to it.
_HIGHEST = 2**62
_TAKING_PART = sa.text("SELECT type, name FROM sqlite_master WHERE type = 'trigger' OR name = 'sqlite_sequence'")
_LAST_GIVEN = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :table")


def give_keys_ahead(session: Session, connection: sa.Connection) -> None:
    """Have the session's new objects given the keys that SQLite would give them; elsewhere nothing is done.

    The model's listeners have met an object without its key by then, as they do when the database gives it.
    """
    if connection.dialect.name == "sqlite" and _AHEAD not in session.info:
        session.info[_AHEAD] = {}
        # Between two flushes the model's own code may have taken keys by statements of its own.
        sa.event.listen(session, "before_flush", lambda *_: session.info[_AHEAD].clear())
        touch_last(session, _give_key)


def _give_key(state: InstanceState[Any], session: Session, connection: sa.Connection) -> None:
    ahead: dict[Any, Iterator[int]] = session.info[_AHEAD]
    column: Any = state.mapper.primary_key[0]
    name = state.mapper.get_property_by_column(column).key
    if column not in ahead:
        same = [each for each in map(sa.inspect, session.new) if each.mapper.primary_key[0] is column]
        brought = [each.dict.get(name) for each in same]
        ahead[column] = _keys_of(column, connection, [key for key in brought if isinstance(key, int)])
    if state.dict.get(name) is None:
        key = next(ahead[column], None)
        if key is not None:
            set_committed_value(state.obj(), name, key)


def _keys_of(column: sa.Column[Any], connection: sa.Connection, brought: list[int]) -> Iterator[int]:
    """The keys that come next in a table, past those that objects bring; none where SQLite alone knows them."""
    if not _counts_up(column, connection.dialect):
        return iter(())
    # It matches no row and locks the file all the same: nobody else may take a key until these are in the table.
    connection.execute(sa.delete(column.table).where(sa.false()))
    taking_part = {name: kind for kind, name in connection.execute(_TAKING_PART)}
    if "trigger" in taking_part.values():
        return iter(())  # it may insert into any table, between two rows of ours
    given = 0
    if "sqlite_sequence" in taking_part:
        given = connection.scalar(_LAST_GIVEN, {"table": column.table.name}) or 0
    last = max(given, connection.scalar(sa.select(sa.func.max(column))) or 0, *brought, 0)
    return itertools.count(last + 1) if last < _HIGHEST else iter(())


def _counts_up(column: sa.Column[Any], dialect: sa.Dialect) -> bool:
    """Whether the column is SQLite's own row number, which it gives to rows that bring none."""
    table = column.table
    if not isinstance(table, sa.Table) or table.schema is not None or table.autoincrement_column is not column:
        return False
    is_plain = column.default is None and column.server_default is None and len(table.primary_key) == 1
    return is_plain and isinstance(column.type, sa.Integer) and column.type.compile(dialect=dialect) == "INTEGER"
