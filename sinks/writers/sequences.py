"""Keeps PostgreSQL's sequences ahead of keys that a feed brings, as the other databases do of their own accord."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sinks.database.driver_calls import plain_name
from sinks.rows.changes import Changes

# Forwards only, and only where the app's user may: what the sequence gives next is then no key that a row has.
_MOVE = sa.text("""
    SELECT CASE WHEN has_sequence_privilege(name, 'UPDATE') AND has_sequence_privilege(name, 'SELECT')
    THEN CASE WHEN :highest > coalesce(pg_sequence_last_value(CAST(name AS regclass)), 0)
    THEN setval(CAST(name AS regclass), :highest) END END
    FROM (SELECT coalesce(CAST(to_regclass(:named) AS text), pg_get_serial_sequence(:table, :column)) AS name) AS own
""")


def keep_sequence_ahead(connection: sa.Connection, written: Changes) -> None:
    """Move the sequence behind the primary key past the highest key that the chunk's new rows brought.

    The database does not take that back with the transaction; it leaves a gap, as it does for any row that is undone.
    """
    rows, target = written.rows, written.rows.target
    name = target.primary_key[0]
    counts_up = target.table.autoincrement_column is target.columns[name]
    if connection.dialect.name != "postgresql" or not counts_up or name not in rows.attributes:
        return
    brought = rows.frame.loc[written.inserts, name].dropna()
    if len(brought):
        table = plain_name(connection, target.table)
        column = target.columns[name]
        connection.execute(
            _MOVE,
            {
                "highest": int(brought.max()),
                "table": table,
                "column": column.name,
                "named": _sequence_of_model(connection, column),
            },
        )


def _sequence_of_model(connection: sa.Connection, column: sa.Column[Any]) -> str | None:
    """The sequence that the model names for a column: the database does not know that it belongs to it."""
    if not isinstance(column.default, sa.Sequence):
        return None
    return plain_name(connection, column.default)
