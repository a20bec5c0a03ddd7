"""Whether a chunk may go straight into the table: the plan that fits a first night, chosen here and nowhere else."""

from __future__ import annotations

import logging
from functools import cache
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from restock.chunks import ChunkRef
from sinks.ledger_tables import chunks
from sinks.presence import Mode
from sinks.rows import Rows
from sinks.target import Target

log = logging.getLogger("restock")

# Keys of tables that were seen to be unique in the database itself, whatever the model says.
_enforced: WeakKeyDictionary[sa.Engine, set[tuple[str, tuple[str, ...]]]] = WeakKeyDictionary()


def expects_nothing(connection: sa.Connection, ref: ChunkRef, rows: Rows, mode: Mode) -> bool:
    """Whether all rows of a chunk may be taken for absent without looking.

    That is so where the run has met no row of the table yet, or the table is empty, and where the database would
    refuse a row that is present after all: then nothing is kept, and the rows are compared.
    """
    target = rows.target
    if mode == "update_only" or not _has_met_nothing(connection, ref, target, mode):
        return False
    if rows.bound.refused or rows.lacks((*target.key, *target.required)).any() or not _is_enforced(connection, target):
        return False
    _say_so(ref.run_id, target.name)
    return True


def _has_met_nothing(connection: sa.Connection, ref: ChunkRef, target: Target, mode: Mode) -> bool:
    met = chunks.c.unchanged + chunks.c.updated + chunks.c.stale + (chunks.c.skipped if mode == "insert_only" else 0)
    sums = sa.select(sa.func.coalesce(sa.func.sum(chunks.c.inserted), 0), sa.func.coalesce(sa.func.sum(met), 0))
    inserted, present = connection.execute(sums.where(chunks.c.run_id == ref.run_id)).one()
    if inserted:
        return not present
    return connection.execute(sa.select(sa.literal(1)).select_from(target.table).limit(1)).first() is None


def _is_enforced(connection: sa.Connection, target: Target) -> bool:
    known = _enforced.setdefault(connection.engine, set())
    if (target.name, target.key) not in known and _is_unique_there(connection, target):
        known.add((target.name, target.key))
    return (target.name, target.key) in known


def _is_unique_there(connection: sa.Connection, target: Target) -> bool:
    table = target.table
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


@cache  # once for each run and process, not for each chunk
def _say_so(run_id: str, table: str) -> None:
    log.info("Run %s has met no row of %s yet: its rows go straight in, until one is met.", run_id, table)
