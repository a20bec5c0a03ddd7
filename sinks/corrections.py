"""How a correction enters the ledger: the same transaction as any chunk, written into the chunk it mends."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from restock.chunks import ChunkRef, Reject, WriteCounts
from restock.errors import ChunkFailed
from sinks.lease import fence
from sinks.ledger import Ledger
from sinks.ledger_entries import counts_of, fault_values, is_chunk
from sinks.ledger_tables import chunks, database_time, rejects


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
        still_open = connection.execute(
            sa.select(sa.func.count()).select_from(rejects).where(self._mine(ref), rejects.c.resolved_at.is_(None))
        ).scalar_one()
        if still_open != len(self._rows):
            raise ChunkFailed(f"Some rejects of {ref} were resolved meanwhile; nothing was loaded, start again.")

    def loaded(self, connection: sa.Connection, ref: ChunkRef, counts: WriteCounts, rejected: list[Reject]) -> None:
        """Mark the rows that were taken as resolved, give the others their new reason, and move the counts."""
        entry = connection.execute(sa.select(chunks).where(is_chunk(ref)).with_for_update()).one()
        moved = counts_of(entry) - WriteCounts(rejected=len(self._rows)) + counts
        if counts.total != len(self._rows) or moved.total != entry.row_count:
            raise ChunkFailed(f"The counts of the correction of {ref} do not add up; nothing of it was kept.")
        connection.execute(sa.update(chunks).where(is_chunk(ref)).values(asdict(moved)))
        for reject in rejected:
            connection.execute(
                sa.update(rejects)
                .where(self._mine(ref), rejects.c.position == reject.row)
                # The original stays what the source sent, whatever a person made of it.
                .values(fault_values(reject))
            )
        again = [reject.row for reject in rejected]
        taken = sa.and_(self._mine(ref), rejects.c.position.not_in(again))
        connection.execute(sa.update(rejects).where(taken).values(resolved_at=database_time()))
        self._counts = counts

    def counts_if_loaded(self, ref: ChunkRef) -> WriteCounts | None:
        """What became of the rows, if a COMMIT that raised has happened: then some of them are resolved.

        If all were rejected again there is no telling, and doing it again changes nothing.
        """
        with self._ledger.database.engine.connect() as connection:
            resolved = connection.execute(
                sa.select(rejects.c.position).where(self._mine(ref), rejects.c.resolved_at.is_not(None))
            ).first()
        return None if resolved is None else self._counts

    def _mine(self, ref: ChunkRef) -> sa.ColumnElement[bool]:
        return sa.and_(
            rejects.c.run_id == ref.run_id, rejects.c.chunk == ref.number, rejects.c.position.in_(self._rows)
        )
