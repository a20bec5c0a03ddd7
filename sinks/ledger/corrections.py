"""How a correction enters the ledger: the same transaction as any chunk, written into the chunk it mends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import sqlalchemy as sa

from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed
from sinks.database.charsets import takes_all_text
from sinks.ledger.bookkeeping import Ledger
from sinks.ledger.earlier_rows import note_left_out
from sinks.ledger.entries import counts_of, fault_values, is_chunk, locked_entry
from sinks.ledger.lease import fence, nobody_took
from sinks.ledger.results import Result
from sinks.ledger.tables import chunks, database_time, rejects
from sinks.staging.found_by_key import having


class CorrectionBook:
    """Stands in for the ledger while the mended rows of one chunk are loaded.

    The chunk is loaded already; its mended rows move from `rejected` to what became of them.
    """

    def __init__(self, ledger: Ledger, rows: list[int]) -> None:
        self._ledger = ledger
        self._rows = rows
        self._counts = WriteCounts()

    def fence(self, connection: sa.Connection, ref: ChunkRef) -> None:
        """Make sure that this execution may write, and that every row still is an open reject.

        Raises:
            LeaseLost: another run owns the target.
            ChunkFailed: a row was resolved meanwhile.
        """
        fence(connection, self._ledger.lease_of(ref))
        counted = sa.select(sa.func.count()).select_from(rejects).where(rejects.c.resolved_at.is_(None))
        still_open = sum(connection.execute(counted.where(mine)).scalar_one() for mine in _entries(ref, self._rows))
        if still_open != len(self._rows):
            raise ChunkFailed(f"Some rejects of {ref} were resolved meanwhile; nothing was loaded, start again.")

    def loaded(self, connection: sa.Connection, ref: ChunkRef, result: Result) -> None:
        """Mark the rows that were taken as resolved, give the others their new reason, and move the counts."""
        counts = result.counts
        entry = locked_entry(connection, ref)
        moved = counts_of(entry) - WriteCounts(rejected=len(self._rows)) + counts
        if counts.total != len(self._rows) or moved.total != entry.row_count:
            raise ChunkFailed(f"The counts of the correction of {ref} do not add up; nothing of it was kept.")
        connection.execute(sa.update(chunks).where(is_chunk(ref)).values(asdict(moved)))
        note_left_out(connection, ref, result.left_out)
        again = {reject.row: reject for reject in result.rejects}
        as_ascii = bool(again) and not takes_all_text(connection)
        for row, reject in again.items():
            [mine] = _entries(ref, [row])
            # The original stays what the source sent, whatever a person made of it.
            connection.execute(sa.update(rejects).where(mine).values(fault_values(reject, as_ascii)))
        for mine in _entries(ref, [row for row in self._rows if row not in again]):
            connection.execute(sa.update(rejects).where(mine).values(resolved_at=database_time()))
        self._counts = counts

    def counts_if_loaded(self, ref: ChunkRef) -> WriteCounts | None:
        """What became of the rows, if a COMMIT that raised has happened: then some are resolved, under this lease.

        If all were rejected again there is no telling, and doing it again changes nothing.
        """
        resolved = sa.and_(rejects.c.resolved_at.is_not(None), nobody_took(self._ledger.lease_of(ref)))
        asked = sa.select(rejects.c.position).where(resolved).limit(1)
        with self._ledger.database.engine.connect() as connection:
            is_done = any(connection.execute(asked.where(mine)).first() for mine in _entries(ref, self._rows))
        return self._counts if is_done else None


def _entries(ref: ChunkRef, rows: list[int]) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that hold together for the rejects of these rows, each for as many as a statement may ask for."""
    of_chunk = sa.and_(rejects.c.run_id == ref.run_id, rejects.c.chunk == ref.number)
    for condition in having([rejects.c.position], [(row,) for row in rows]):
        yield sa.and_(of_chunk, condition)
