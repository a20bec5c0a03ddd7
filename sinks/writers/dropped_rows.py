"""Rows that a database drops without an error, by a trigger: RETURN NULL on PostgreSQL, RAISE(IGNORE) on SQLite."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from restock.errors import ChunkFailed
from sinks.database.data_faults import DataFault, RowRefused
from sinks.database.driver_calls import plain_name
from sinks.rows.changes import Changes
from sinks.staging.found_by_key import having


@contextmanager
def none_dropped(connection: sa.Connection, changes: Changes) -> Iterator[None]:
    """Make sure that all new rows are in the table which the block has to insert; costs nothing where they are.

    Raises:
        RowRefused: some are not.
        ChunkFailed: some may not be, and nothing tells which, as they have no key.
    """
    if connection.dialect.name not in ("postgresql", "sqlite") or not changes.inserts:
        yield  # no other database has a way to do that
        return
    table = plain_name(connection, changes.rows.target.table)
    inserted: list[float] = []

    def note(_connection: Any, cursor: Any, statement: str, _parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith((f"INSERT INTO {table} ", f"COPY {table} ")):
            inserted.append(cursor.rowcount if _is_told(connection.dialect, context, many) else math.inf)

    sa.event.listen(connection, "after_cursor_execute", note)
    try:
        yield
    finally:
        sa.event.remove(connection, "after_cursor_execute", note)
    if inserted and sum(inserted) < len(changes.inserts):
        _look_for(connection, changes)


def _is_told(dialect: sa.Dialect, context: Any, many: bool) -> bool:
    """Whether the driver tells by now how many rows came in: SQLite's does so after the last of those it returns."""
    returns = context.compiled is not None and context.compiled.effective_returning
    return not (returns and dialect.name == "sqlite") and (dialect.supports_sane_multi_rowcount or not many)


def _look_for(connection: sa.Connection, changes: Changes) -> None:
    """Look for new rows by their keys: a trigger may also have brought them into a partition by itself."""
    target = changes.rows.target
    keys = [tuple(record.get(name) for name in target.key) for record in changes.rows.records(changes.inserts)]
    if any(None in key for key in keys):
        raise ChunkFailed(
            f"A trigger of {target.name} keeps rows from coming in and does not say so; as they have no key, nothing "
            "tells which: let the trigger raise an error, or the feed name a key (`match_on`)."
        )
    counted = sa.select(sa.func.count()).select_from(target.table)
    conditions = having([target.columns[name] for name in target.key], keys)
    if sum(connection.execute(counted.where(each)).scalar_one() for each in conditions) < len(keys):
        raise RowRefused(DataFault("trigger"))
