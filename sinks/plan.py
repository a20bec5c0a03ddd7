"""The plan that fits a chunk: how its rows are met with those of the table. Chosen here and nowhere else."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from functools import cache

import sqlalchemy as sa

from restock.chunks import ChunkRef
from sinks.ledger.tables import chunks
from sinks.model.enforced_keys import is_enforced
from sinks.presence import Mode
from sinks.rows.columnar import Rows
from sinks.rows.postgresql_copy import can_copy
from sinks.staging.meeting import may_meet

log = logging.getLogger("restock")


class Plan(Enum):
    """What is done with a chunk's rows before any is written; the value says it of a run and a table."""

    STRAIGHT = "meets no row of {table} with the keys of a chunk: its rows go straight in"
    EQUAL_FIRST = "looks which rows are in {table} as they were sent, and stages only the others"
    STAGED = "stages its rows to compare them with those of {table}"


@dataclass(frozen=True)
class _Met:
    """What the loaded chunks of a run came to: new rows, changed ones, and others that were present."""

    inserted: int
    updated: int
    others: int


def choose_plan(connection: sa.Connection, ref: ChunkRef, rows: Rows, mode: Mode) -> Plan:
    """The plan for a chunk, by what its run has met so far and by what the database would let pass."""
    plan = _plan_for(connection, rows, mode, _met_so_far(connection, ref, mode))
    _say_so(ref.run_id, rows.target.name, plan)
    return plan


def _plan_for(connection: sa.Connection, rows: Rows, mode: Mode, met: _Met) -> Plan:
    target = rows.target
    if _are_sound(rows) and is_enforced(connection, target) and _expects_nothing(connection, rows, mode, met):
        # The database would refuse a row that is present after all: then nothing is kept, and the rows are compared.
        return Plan.STRAIGHT
    is_worth_it = mode != "insert_only" and met.inserted + met.updated <= met.others
    # Of two rows that one key means, the stage has to see both.
    is_told_by_bytes = target.key_is_exact and target.discriminator is None and can_copy(connection)
    if is_worth_it and is_told_by_bytes and is_enforced(connection, target):
        return Plan.EQUAL_FIRST
    return Plan.STAGED


def _met_so_far(connection: sa.Connection, ref: ChunkRef, mode: Mode) -> _Met:
    others = chunks.c.unchanged + chunks.c.stale + (chunks.c.skipped if mode == "insert_only" else 0)
    sums = (sa.func.coalesce(sa.func.sum(each), 0) for each in (chunks.c.inserted, chunks.c.updated, others))
    return _Met(*map(int, connection.execute(sa.select(*sums).where(chunks.c.run_id == ref.run_id)).one()))


def _expects_nothing(connection: sa.Connection, rows: Rows, mode: Mode, met: _Met) -> bool:
    """Whether the run has met no row of the table yet, or this chunk is none of those that do."""
    if mode == "update_only":
        return False
    return bool(met.inserted and not met.updated + met.others) or not may_meet(connection, rows)


def _are_sound(rows: Rows) -> bool:
    """Whether the rows can be inserted for all that is known of them here."""
    target = rows.target
    return not (rows.bound.refused or rows.lacks((*target.key, *target.required)).any())


@cache  # once for each run, plan and process, not for each chunk
def _say_so(run_id: str, table: str, plan: Plan) -> None:
    log.info("Run %s %s.", run_id, plan.value.format(table=table))
