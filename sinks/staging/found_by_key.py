"""Rows of the table that have certain keys: how they are asked for, and which primary keys they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from sinks.rows.changes import Key
from sinks.rows.columnar import Rows
from sinks.staging.comparing import readable

# Keys that one statement asks for. SQLite's smallest limit in use is 32,766 parameters.
_VALUES_PER_STATEMENT = 5_000


def having(columns: Sequence[sa.ColumnElement[Any]], keys: Sequence[Key]) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that hold together for the rows with these keys, each for as many as a statement may ask for."""
    size = _VALUES_PER_STATEMENT // len(columns)
    for some in (keys[start : start + size] for start in range(0, len(keys), size)):
        yield columns[0].in_([key[0] for key in some]) if len(columns) == 1 else sa.tuple_(*columns).in_(some)


def primary_keys(connection: sa.Connection, rows: Rows, positions: Sequence[int]) -> list[Key]:
    """The primary keys that rows have got in the table, found by the key that they brought, if that is another."""
    target = rows.target
    keys = [tuple(record[name] for name in target.key) for record in rows.records(positions)]
    if target.key == target.primary_key:
        return keys
    asked = sa.select(*(readable(target, name) for name in target.primary_key))
    conditions = having([target.columns[name] for name in target.key], keys)
    return [tuple(row) for condition in conditions for row in connection.execute(asked.where(condition))]
