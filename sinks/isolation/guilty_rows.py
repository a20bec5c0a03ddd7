"""Finds the guilty rows of a chunk that the database refused, so that the others can be loaded."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from sinks.database.data_faults import DataFault
from sinks.isolation.orphans import likely_orphans
from sinks.isolation.unique_values import Wanted, unique_values, wanted
from sinks.rows.changes import Changes, Key, RowFault
from sinks.staging.savepoints import Refused, Savepoints
from sinks.staging.stage import Stage
from sinks.writers.choice import Writer
from sinks.writers.dropped_rows import none_dropped

# What another row of the same chunk may cure: a parent or a freed value that comes later in the chunk.
_CURABLE = ("foreign_key", "unique")


def write_isolated(session: Session, writer: Writer, changes: Changes) -> tuple[list[RowFault], list[Key]]:
    """Write all changes but those the database refuses, by halving under savepoints.

    Returns:
        The rows that were refused, and the keys of those that were inserted. A row refused for a foreign key or a
        unique value is tried again after others were written, so that the order of the rows in a chunk does not decide.

    Raises:
        SQLAlchemyError: trouble that is not about a row; the savepoints are gone and the chunk has to start again.
    """
    isolation = _Isolation(session, writer, changes)
    return isolation.write_all(), isolation.keys


class _Isolation:
    """The changes of one chunk on their way in, row by row as far as they have to."""

    def __init__(self, session: Session, writer: Writer, changes: Changes) -> None:
        self._session, self._writer, self._changes = session, writer, changes
        self._target = changes.rows.target
        self._savepoints = Savepoints(session, self._target)
        self.keys: list[Key] = []

    def write_all(self) -> list[RowFault]:
        """Write all that can be written; the rows that were refused."""
        refused = self._tried_together()
        while True:
            refused = self._tried_again(refused)
            others_have = wanted(self._stage, refused) if self._is_staged else []
            traded = self._trade(others_have)
            if not traded:
                return self._explained(refused, others_have)
            refused = [each for each in refused if each[0] not in traded]

    def _write(self, positions: Sequence[int]) -> None:
        some = self._changes.of(positions)
        with none_dropped(self._savepoints.connection, some):
            written = self._writer.write(self._session, some)
            self._session.flush()  # what the app has added beside the rows, by defaults say
        self.keys += written
        left_alone = self._changes.updates.keys() & set(positions) - some.updates.keys()
        self._changes.leave_alone(left_alone)

    def _tried_together(self) -> Refused:
        """What is refused of all rows. Likely orphans come last: halving would meet one in nearly every part."""
        orphans = likely_orphans(self._stage) if self._is_staged else set()
        positions = [*self._changes.inserts, *self._changes.updates]
        others = [each for each in positions if each not in orphans]
        fault = self._savepoints.fault_of(self._write, others)
        refused: Refused = []
        if fault is not None and not self._is_traded_at_once(others, fault):
            refused = self._savepoints.halve(self._write, others, fault)
        return refused + self._savepoints.all_or_each(self._write, [each for each in positions if each in orphans])

    def _tried_again(self, refused: Refused) -> Refused:
        """What is still refused when others were written that may have cured it.

        Backwards at first, then forwards and backwards in turn, so that a long line of children before their parents
        takes one pass and not one for each.
        """
        while again := [each for each in reversed(refused) if self._may_be_cured(*each)]:
            tried = {position for position, _ in again}
            refused = [each for each in refused if each[0] not in tried]
            refused += [each for position, _ in again for each in self._savepoints.refused(self._write, [position])]
        return refused

    def _may_be_cured(self, position: int, fault: DataFault) -> bool:
        return fault.code.startswith(_CURABLE) and self._savepoints.refused_at[position] < self._savepoints.kept

    def _is_traded_at_once(self, positions: list[int], fault: DataFault) -> bool:
        """Whether rows could be written when those of them that are present had let go of a unique value.

        So they can where each takes that of the next one; to halve these would make some attempts for each.
        """
        values = unique_values(self._stage, fault) if self._is_staged else None
        present = [each for each in positions if each in self._changes.updates]
        if values is None or not values.may_be_let_go or not present:
            return False
        return self._savepoints.fault_of(values.trading(self._write, present), positions) is None

    def _trade(self, others_have: list[Wanted]) -> set[int]:
        """Write those rows that only want each other's unique values; which that were."""
        written: set[int] = set()
        for each in others_have:
            for ring in each.rings(self._changes.updates):
                if self._savepoints.fault_of(each.values.trading(self._write, ring), ring) is None:
                    written.update(ring)
        return written

    def _explained(self, refused: Refused, others_have: list[Wanted]) -> list[RowFault]:
        """The rows that were refused, with what the database does not say of them by itself."""
        named = ((position, self._with_foreign_keys(position, fault)) for position, fault in refused)
        found = {position: RowFault.of(position, fault, self._target) for position, fault in named}
        for each in others_have:
            found |= {position: each.explained(found[position]) for position in each.positions}
        return list(found.values())

    def _with_foreign_keys(self, position: int, fault: DataFault) -> DataFault:
        """A foreign key that the database does not name is one of those that the row fills: NULL refers to nothing."""
        if fault.code != "foreign_key":
            return fault
        [record] = self._changes.rows.records([position])
        columns = [
            column.name
            for name, column in self._target.columns.items()
            if column.foreign_keys and record.get(name) is not None
        ]
        if not columns:
            return fault
        return DataFault(f"foreign_key:{','.join(columns)}", columns[0] if len(columns) == 1 else None)

    @property
    def _is_staged(self) -> bool:
        """Whether there is a stage: rows without a key leave nothing by which others could be found."""
        return len(self._changes.rows.keyed) > 0

    @property
    def _stage(self) -> Stage:
        return Stage(self._savepoints.connection, self._target, tuple(self._changes.rows.attributes))
