"""Which keys are present, and what therefore becomes of each row. The only module that decides it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from restock.errors import RestockError
from sinks.database.data_faults import DataFault
from sinks.model.enforced_keys import is_enforced
from sinks.model.own_fillings import may_fill
from sinks.model.target import Target
from sinks.model.write_rules import stays
from sinks.rows.changes import Changes, RowFault
from sinks.rows.columnar import Rows
from sinks.staging.comparing import are_same, differs, doubtful_values, in_order, may_differ, readable
from sinks.staging.filling import Staging
from sinks.staging.newcomers import incomplete
from sinks.staging.stage import Stage
from sinks.staging.verdicts import Judged, Verdict, read_verdicts

log = logging.getLogger("restock")

# A feed's, or that of a correction that comes late: what would change a present row is rejected.
Mode = Literal["sync", "insert_only", "update_only", "only_adding"]
Rule = tuple[sa.ColumnElement[bool], int]
# Rows that their key keeps out of the table, by what it meets there.
_CONFLICTS: dict[int, str] = {
    Verdict.REPEATED: "duplicate_key",
    Verdict.TWICE: "key_twice",
    Verdict.FOREIGN: "other_kind",
}


def compare(
    staging: Staging,
    rows: Rows,
    mode: Mode,
    is_loaded_before: Callable[[int], bool],
    equal: np.ndarray | None = None,
) -> Changes:
    """Meet the rows of a chunk with those of the table.

    Args:
        is_loaded_before: whether a row without a key, at that position, was inserted by an earlier run of the same
            content: it has nothing else to be recognised by.
        equal: places of keyed rows that are known to be in the table as they are.

    Returns:
        The changes. Nothing of the table is written and none of its rows is locked.
    """
    changes = Changes(rows)
    refused = rows.bound.refused.items()
    changes.faults += [RowFault(rows.positions[place], DataFault("model_type", name)) for place, name in refused]
    keyless = rows.lacks(rows.target.key)
    may_lack_key = not {*rows.target.key} & {*rows.target.required}  # else none was ever inserted without it
    for position in np.asarray(rows.positions)[keyless & rows.bound.is_accepted].tolist():
        if may_lack_key and is_loaded_before(position):
            changes.skipped += 1
        elif mode == "update_only":
            changes.skipped += 1
            changes.left_out.append(position)
        else:
            changes.inserts.append(position)
    others = None
    if equal is not None and len(equal):
        changes.unchanged += len(equal)
        others = np.delete(np.arange(len(rows.keyed)), equal)
    _compare_keyed(staging, changes, mode, others)
    if mode == "only_adding":
        _reject_updates(changes)
    _reject_incomplete(staging.connection, changes)
    changes.inserts.sort()
    return changes


def all_absent(rows: Rows) -> Changes:
    """The changes of a chunk of which no row is expected in the table: to insert them all.

    The database refuses those that are there after all.
    """
    return Changes(rows, inserts=list(rows.positions))


def _compare_keyed(staging: Staging, changes: Changes, mode: Mode, places: np.ndarray | None) -> None:
    rows = changes.rows
    staged = len(rows.keyed if places is None else places)
    if not staged:
        return
    stage, refused = staging.stage(rows, places)
    changes.faults += refused
    judged = _judged(stage, mode)
    left_alone = staged - len(refused) - len(judged)
    if mode == "insert_only":
        changes.skipped += left_alone
    else:
        changes.unchanged += left_alone
    _judge(changes, mode, judged, _ruled(stage))


def _judged(stage: Stage, mode: Mode) -> Judged:
    try:
        return read_verdicts(stage.connection.execute(_question(stage, mode)))
    except (SQLAlchemyError, RestockError):
        raise
    except Exception as error:
        # A stored value that the column's type cannot read, written by others; the row is to have the one that is sent.
        log.warning(
            "A value in %s cannot be read (%s), so all rows of its chunk that may differ are written.",
            stage.target.name,
            type(error).__name__,
        )
        return read_verdicts(stage.connection.execute(_question(stage, mode, Verdict.CHANGED)))


def _question(stage: Stage, mode: Mode, doubtful: Verdict = Verdict.DOUBTFUL) -> sa.Select[Any]:
    """What is to be known of every staged row that is not left alone, and what is said of doubtful ones.

    Position, verdict, met primary key, which values of that row stay, and doubtful values.
    """
    target = stage.target
    is_met = sa.and_(*(target.columns[name] == stage.sent(name) for name in target.key))
    key = [readable(target, name).label(f"k{place}") for place, name in enumerate(target.primary_key)]
    rules: list[Any] = [
        (condition, sa.literal_column(str(int(verdict)))) for condition, verdict in _rules(stage, mode, doubtful)
    ]
    verdict = sa.case(*rules, else_=sa.literal_column(str(int(Verdict.ALONE)))).label("verdict")
    flags = [sa.case((stays(target, name, stage.sent(name)), 1), else_=0) for name in _ruled(stage)]
    kept = [flag.label(f"s{place}") for place, flag in enumerate(flags)]
    values = doubtful_values(stage) if doubtful is Verdict.DOUBTFUL else []
    asked = sa.select(stage.position, verdict, *key, *kept, *values)
    judged = asked.select_from(stage.table.outerjoin(target.table, is_met)).subquery("judged")
    return sa.select(judged).where(judged.c.verdict != sa.literal_column(str(int(Verdict.ALONE))))


def _ruled(stage: Stage) -> list[str]:
    """The attributes of which some present rows keep their value, and others do not."""
    return [name for name in stage.target.stays if name in stage.attributes and name in stage.target.changeable]


def _rules(stage: Stage, mode: Mode, doubtful: Verdict) -> list[Rule]:
    """The verdicts, each under its condition; the first that holds counts."""
    target = stage.target
    rules: list[Rule] = [(target.columns[target.key[0]].is_(None), Verdict.ABSENT)]
    if not target.key_is_exact:
        met = [target.columns[name] for name in target.primary_key]
        rules.append((sa.func.row_number().over(partition_by=met, order_by=stage.position) > 1, Verdict.REPEATED))
    if mode == "insert_only":
        return rules
    if not is_enforced(stage.connection, target):
        rules.append((sa.func.count().over(partition_by=stage.position) > 1, Verdict.TWICE))
    if target.discriminator is not None:
        kind = target.columns[target.discriminator]
        rules.append((sa.or_(kind.is_(None), kind.not_in(target.identities)), Verdict.FOREIGN))
    if target.version is not None:
        rules.append((_is_older(*in_order(stage, target.version)), Verdict.STALE))
    for place, name in enumerate(target.primary_key):
        if name in stage.attributes and name not in target.key:
            rules.append((stage.sent(name) != target.columns[name], Verdict.CONFLICT + place))
    return [*rules, (differs(stage), Verdict.CHANGED), (may_differ(stage), doubtful)]


def _is_older(sent: sa.ColumnElement[Any], stored: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(stored.is_not(None), sa.or_(sent.is_(None), sent < stored))


def _judge(changes: Changes, mode: Mode, judged: Judged, ruled: list[str]) -> None:
    absent = judged.having(Verdict.ABSENT).positions.tolist()
    if mode == "update_only":
        changes.skipped += len(absent)
    else:
        changes.inserts += absent
    changes.stale += len(judged.having(Verdict.STALE))
    _note_changed(changes, judged.having(Verdict.CHANGED), ruled)
    doubtful = judged.having(Verdict.DOUBTFUL)
    values = doubtful.others[len(changes.rows.target.primary_key) + len(ruled) :]
    differ = [place for place, row in enumerate(zip(*values, strict=True)) if not are_same(row)]
    changes.unchanged += len(doubtful) - len(differ)
    _note_changed(changes, doubtful.at(np.asarray(differ, dtype="int64")), ruled)
    for verdict in np.unique(judged.verdicts).tolist():
        if verdict in _CONFLICTS or verdict >= Verdict.CONFLICT:
            fault = _conflict(changes.rows.target, verdict)
            changes.faults += [RowFault(position, fault) for position in judged.having(verdict).positions.tolist()]


def _note_changed(changes: Changes, changed: Judged, ruled: list[str]) -> None:
    width = len(changes.rows.target.primary_key)
    positions = changed.positions.tolist()
    changes.updates.update(zip(positions, zip(*changed.others[:width], strict=True), strict=True))
    if ruled:
        for position, *flags in zip(positions, *changed.others[width : width + len(ruled)], strict=True):
            changes.stays[position] = tuple(name for name, kept in zip(ruled, flags, strict=True) if kept)


def _conflict(target: Target, verdict: int) -> DataFault:
    if verdict >= Verdict.CONFLICT:
        return DataFault("key_conflict", target.primary_key[verdict - Verdict.CONFLICT])
    return DataFault(_CONFLICTS[verdict], target.key[0])


def _reject_updates(changes: Changes) -> None:
    """A late row must not overwrite what a newer run may have brought; nor may it be lost without a word."""
    overtaken = DataFault("overtaken", changes.rows.target.key[0])
    changes.faults += [RowFault(position, overtaken) for position in changes.updates]
    changes.updates = {}


def _reject_incomplete(connection: sa.Connection, changes: Changes) -> None:
    """There is no need to ask the database whether it takes such a row."""
    faults = incomplete(changes.rows, changes.inserts, lambda: may_fill(connection, changes.rows.target))
    if faults:
        gone = {fault.row for fault in faults}
        changes.faults += faults
        changes.inserts = [position for position in changes.inserts if position not in gone]
