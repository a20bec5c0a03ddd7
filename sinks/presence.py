"""Which keys are present, and what therefore becomes of each row. The only module that decides it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, Literal

import numpy as np
import pandas as pd
import sqlalchemy as sa

from sinks.changes import Changes, Key, RowFault
from sinks.comparing import are_same, differs, doubtful_values, in_order, may_differ, readable
from sinks.db_errors import DataFault
from sinks.rows import BoundRows, Rows
from sinks.stage import Stage, open_stage
from sinks.write_rules import stays

Mode = Literal["sync", "insert_only", "update_only"]
# Stages rows; returns those that the database would not even stage.
Fill = Callable[[Stage, BoundRows], list[RowFault]]


class Verdict(IntEnum):
    """What becomes of a staged row. Of one that is left alone nothing is heard."""

    ALONE = 0
    ABSENT = 1
    REPEATED = 2  # its key is, for the database, that of another row of the chunk
    FOREIGN = 3  # it meets a row of another model that shares the table
    STALE = 4
    CHANGED = 5
    DOUBTFUL = 6  # stored otherwise than it was staged, which may be the same value all the same
    CONFLICT = 7  # it brings another primary key than the row it meets; 7 + n in the n-th attribute of it


Rule = tuple[sa.ColumnElement[bool], int]


def compare(
    connection: sa.Connection, rows: Rows, mode: Mode, is_loaded_before: Callable[[int], bool], fill: Fill
) -> Changes:
    """Meet the rows of a chunk with those of the table.

    Args:
        is_loaded_before: whether a row without a key, at that position, was inserted by an earlier run of the same
            content: it has nothing else to be recognised by.
        fill: how rows are staged.

    Returns:
        The changes. Nothing of the table is written and none of its rows is locked.
    """
    changes = Changes(rows)
    bound = np.ones(len(rows.positions), dtype=bool)
    for place, name in rows.bound.refused.items():
        bound[place] = False
        changes.faults.append(RowFault(rows.positions[place], DataFault("refused", name)))
    keyless = rows.lacks(rows.target.key)
    for position in np.asarray(rows.positions)[keyless & bound].tolist():
        if mode == "update_only" or is_loaded_before(position):
            changes.skipped += 1
        else:
            changes.inserts.append(position)
    if (~keyless & bound).any():
        _compare_keyed(connection, changes, np.flatnonzero(~keyless & bound), mode, fill)
    _reject_incomplete(changes)
    changes.inserts.sort()
    return changes


def all_absent(rows: Rows) -> Changes:
    """The changes of a chunk of which no row is expected in the table: to insert them all.

    The database refuses those that are there after all.
    """
    return Changes(rows, inserts=list(rows.positions))


def _compare_keyed(connection: sa.Connection, changes: Changes, places: np.ndarray, mode: Mode, fill: Fill) -> None:
    rows = changes.rows
    stage = open_stage(connection, rows.target, rows.attributes)
    refused = fill(stage, rows.bound.at(rows.in_key_order(places)))
    changes.faults += refused
    # One row, one verdict, even where the table has a key twice.
    judged = {row[0]: row for row in connection.execute(_question(stage, mode)).all()}
    left_alone = len(places) - len(refused) - len(judged)
    if mode == "insert_only":
        changes.skipped += left_alone
    else:
        changes.unchanged += left_alone
    _judge(changes, mode, judged.values(), _ruled(stage))


def _question(stage: Stage, mode: Mode) -> sa.Select[Any]:
    """What is to be known of every staged row that is not left alone.

    Position, verdict, met primary key, which values of that row stay, and doubtful values.
    """
    target = stage.target
    is_met = sa.and_(*(target.columns[name] == stage.sent(name) for name in target.key))
    key = [readable(target, name).label(f"k{place}") for place, name in enumerate(target.primary_key)]
    rules: list[Any] = [(condition, sa.literal_column(str(int(verdict)))) for condition, verdict in _rules(stage, mode)]
    verdict = sa.case(*rules, else_=sa.literal_column(str(int(Verdict.ALONE)))).label("verdict")
    flags = [sa.case((stays(target, name, stage.sent(name)), 1), else_=0) for name in _ruled(stage)]
    kept = [flag.label(f"s{place}") for place, flag in enumerate(flags)]
    asked = sa.select(stage.position, verdict, *key, *kept, *doubtful_values(stage))
    judged = asked.select_from(stage.table.outerjoin(target.table, is_met)).subquery("judged")
    return sa.select(judged).where(judged.c.verdict != sa.literal_column(str(int(Verdict.ALONE))))


def _ruled(stage: Stage) -> list[str]:
    """The attributes of which some present rows keep their value, and others do not."""
    return [name for name in stage.target.stays if name in stage.attributes and name in stage.target.changeable]


def _rules(stage: Stage, mode: Mode) -> list[Rule]:
    """The verdicts, each under its condition; the first that holds counts."""
    target = stage.target
    rules: list[Rule] = [(target.columns[target.key[0]].is_(None), Verdict.ABSENT)]
    if not target.key_is_exact:
        met = [target.columns[name] for name in target.primary_key]
        rules.append((sa.func.row_number().over(partition_by=met, order_by=stage.position) > 1, Verdict.REPEATED))
    if mode == "insert_only":
        return rules
    if target.discriminator is not None:
        kind = target.columns[target.discriminator]
        rules.append((sa.or_(kind.is_(None), kind.not_in(target.identities)), Verdict.FOREIGN))
    if target.version is not None:
        rules.append((_is_older(*in_order(stage, target.version)), Verdict.STALE))
    for place, name in enumerate(target.primary_key):
        if name in stage.attributes and name not in target.key:
            rules.append((stage.sent(name) != target.columns[name], Verdict.CONFLICT + place))
    return [*rules, (differs(stage), Verdict.CHANGED), (may_differ(stage), Verdict.DOUBTFUL)]


def _is_older(sent: sa.ColumnElement[Any], stored: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(stored.is_not(None), sa.or_(sent.is_(None), sent < stored))


def _judge(changes: Changes, mode: Mode, judged: Iterable[sa.Row[Any]], ruled: list[str]) -> None:
    target = changes.rows.target
    width = len(target.primary_key)
    for position, verdict, *others in judged:
        key: Key = tuple(others[:width])
        doubtful = others[width + len(ruled) :]
        if verdict == Verdict.CHANGED or (verdict == Verdict.DOUBTFUL and not are_same(doubtful)):
            changes.updates[position] = key
            if ruled:
                changes.stays[position] = tuple(name for name, kept in zip(ruled, others[width:], strict=False) if kept)
        elif verdict == Verdict.ABSENT:
            if mode == "update_only":
                changes.skipped += 1
            else:
                changes.inserts.append(position)
        elif verdict == Verdict.STALE:
            changes.stale += 1
        elif verdict == Verdict.DOUBTFUL:
            changes.unchanged += 1
        else:
            changes.faults.append(RowFault(position, _conflict(target, verdict)))


def _conflict(target: Any, verdict: int) -> DataFault:
    if verdict == Verdict.REPEATED:
        return DataFault("duplicate_key", target.key[0])
    return DataFault(
        "key_conflict", target.key[0] if verdict == Verdict.FOREIGN else target.primary_key[verdict - Verdict.CONFLICT]
    )


def _reject_incomplete(changes: Changes) -> None:
    """A new row cannot do without what neither the model nor the database has a default for: no need to ask it."""
    rows = changes.rows
    if not changes.inserts:
        return
    places = rows.frame.index.get_indexer(pd.Index(changes.inserts))
    target = rows.target
    kept = [name for name in target.stays if name in rows.attributes and not target.columns[name].nullable]
    for name in dict.fromkeys((*target.required, *kept)):
        lacking = rows.lacks([name])[places]
        if lacking.any():
            gone = np.asarray(changes.inserts)[lacking].tolist()
            changes.faults += [RowFault(position, DataFault("null", name)) for position in gone]
            changes.inserts = np.asarray(changes.inserts)[~lacking].tolist()
            places = places[~lacking]
