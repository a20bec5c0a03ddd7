"""Whether the database itself lets no two rows have one key, whatever the model says."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import sqlalchemy as sa

from sinks.model.conflict_clauses import conflict_clauses
from sinks.model.target import Target

# Keys of tables that were seen to be unique.
_enforced: WeakKeyDictionary[sa.Engine, set[tuple[str, tuple[str, ...]]]] = WeakKeyDictionary()


def is_enforced(connection: sa.Connection, target: Target) -> bool:
    """Whether the database refuses a second row with the target's key."""
    known = _enforced.setdefault(connection.engine, set())
    if (target.name, target.key) not in known and _is_unique_there(connection, target):
        known.add((target.name, target.key))
    return (target.name, target.key) in known


def _is_unique_there(connection: sa.Connection, target: Target) -> bool:
    table = target.table
    if conflict_clauses(connection, table):
        return False  # a row that is there already would be replaced, or what is sent passed over
    there = sa.inspect(connection)
    wanted = {target.columns[name].name for name in target.key}
    unique = [there.get_pk_constraint(table.name, table.schema)["constrained_columns"]]
    unique += [each["column_names"] for each in there.get_unique_constraints(table.name, table.schema)]
    unique += [
        [name for name in each["column_names"] if name is not None]
        for each in there.get_indexes(table.name, table.schema)
        if each["unique"] and not each.get("expressions") and not _is_partial(each.get("dialect_options", {}))
    ]
    return wanted in [set(columns) for columns in unique]


def _is_partial(options: dict[str, object]) -> bool:
    return any(name.endswith("_where") and value is not None for name, value in options.items())
