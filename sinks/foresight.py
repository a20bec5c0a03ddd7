"""What a sync would do to the table: the rows of a chunk are met with its own, and nothing of that is kept."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from restock.chunks import Chunk, WriteCounts
from restock.errors import RestockError
from sinks.database.retries import DataTrouble, with_retries
from sinks.flask_sink import FlaskSink
from sinks.ledger.results import result_of
from sinks.presence import compare
from sinks.rows.changes import Changes
from sinks.rows.columnar import Rows
from sinks.staging.comparing import compared, is_distinct, is_doubtful, is_same, readable
from sinks.staging.filling import Staging
from sinks.staging.stage import Stage, drop_stage, is_one_of

# Of each attribute that changes in a source, so many changed values are told.
SAMPLES = 5


class Pair(NamedTuple):
    """A value that a row would change, by the row's position: what is stored, and what was sent."""

    position: int
    stored: Any
    sent: Any


@dataclass(frozen=True)
class Change:
    """Of how many rows an attribute would change, and the first of these values unless earlier chunks told enough."""

    rows: int
    first: list[Pair]


@dataclass(frozen=True)
class Foreseen:
    """What a chunk would come to, and which attributes of the table's rows it would change.

    Its rejects are those that comparing finds as well; what only a write shows is not among them: constraints,
    triggers, and the model's own code. `counts` add up to the rows of the chunk; None if the table was not looked at.
    """

    chunk: Chunk
    counts: WriteCounts | None = None
    changed: dict[str, Change] = field(default_factory=dict)


class Foresight:
    """Meets the chunks of one source with the table, one after the other, each as if none came before it."""

    def __init__(self, sink: FlaskSink) -> None:
        self._sink = sink
        self._told = Counter[str]()  # values of each attribute
        self._token = -time.monotonic_ns()  # that of no lease: the table is searched for other forms of keys anew

    def of(self, chunk: Chunk) -> Foreseen:
        """What a sync would do with a chunk. Rows without a key count as new, whatever was loaded before.

        Raises:
            SinkUnavailable, ConfigurationError: the table cannot be compared with.
        """
        rows, doing = self._sink.prepare(chunk), f"comparing rows with {self._sink.target.name}"
        try:
            foreseen = with_retries(lambda: self._meet(chunk, rows, isolating=False), doing)
        except DataTrouble:
            foreseen = with_retries(lambda: self._meet(chunk, rows, isolating=True), doing)
        self._told.update({name: len(change.first) for name, change in foreseen.changed.items()})
        return foreseen

    def _meet(self, chunk: Chunk, rows: Rows, isolating: bool) -> Foreseen:
        sink = self._sink
        with sink.database.transaction() as session:
            connection = sink.database.connection(session)
            rows, faults = sink.other_forms.as_the_table_writes(connection, rows, self._token)
            changes = compare(Staging(session, connection, isolating), rows, sink.mode, lambda _position: False)
            changes.faults += faults
            changed = self._changed(Stage(connection, sink.target, tuple(rows.attributes)), changes)
            drop_stage(connection)
            session.rollback()
        result = result_of(chunk, sink.feed, changes)
        judged = replace(
            chunk,
            frame=chunk.frame.drop(index=[fault.row for fault in changes.faults]),
            rejects=sorted(result.rejects, key=lambda reject: reject.row),
            skipped=result.counts.skipped,
        )
        return Foreseen(judged, result.counts, changed)

    def _changed(self, stage: Stage, changes: Changes) -> dict[str, Change]:
        if not changes.updates:
            return {}
        names = compared(stage)
        counts = [sa.func.count(sa.case((is_distinct(stage, name), 1))) for name in names]
        stored_otherwise = zip(names, stage.connection.execute(_of_met(stage, changes, *counts)).one(), strict=True)
        changed = {name: self._change(stage, changes, name, rows) for name, rows in stored_otherwise if rows}
        return {name: change for name, change in changed.items() if change.rows}

    def _change(self, stage: Stage, changes: Changes, name: str, rows: int) -> Change:
        most = SAMPLES - self._told[name]
        if not is_doubtful(stage, name):
            return Change(rows, (_read(stage, changes, name, most) or []) if most else [])
        read = _read(stage, changes, name)
        if read is None:
            return Change(rows, [])
        differing = [each for each in read if not is_same(each.sent, each.stored)]
        return Change(len(differing), differing[:most])


def _read(stage: Stage, changes: Changes, name: str, most: int | None = None) -> list[Pair] | None:
    """Values that differ as they are stored, all or the first of them; None if one of them cannot be read."""
    stored = readable(stage.target, name)
    sent = sa.type_coerce(stage.sent(name), stored.type)  # of a row whose value does not stay
    asked = _of_met(stage, changes, stage.position, stored.label("stored"), sent.label("sent"))
    asked = asked.where(is_distinct(stage, name)).order_by(stage.position).limit(most)
    try:
        return [Pair(*row) for row in stage.connection.execute(asked)]
    except (SQLAlchemyError, RestockError):
        raise
    except Exception:  # a stored value that the column's type cannot read, written by others
        return None


def _of_met(stage: Stage, changes: Changes, *asked: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """A question about the staged rows that would change others, and those that they meet."""
    target = stage.target
    is_met = sa.and_(*(target.columns[name] == stage.sent(name) for name in target.key))
    are_changed = is_one_of(stage.position, list(changes.updates), stage.connection.dialect.name)
    return sa.select(*asked).select_from(stage.table.join(target.table, is_met)).where(are_changed)
