"""What a new row cannot do without, and which rows of a source are certain to be new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sqlalchemy as sa

from restock.chunks import Chunk
from restock.feeds import Feed
from sinks.database.app_database import AppDatabase
from sinks.database.data_faults import DataFault
from sinks.database.retries import with_retries
from sinks.model.own_fillings import may_fill
from sinks.model.target import Target
from sinks.rows.changes import RowFault
from sinks.rows.columnar import Rows
from sinks.rows.database_rejects import as_rejects


def incomplete(rows: Rows, positions: Sequence[int], may_be_filled: Callable[[], bool]) -> list[RowFault]:
    """The rows at these positions, all new, that lack what neither the model nor the database has a default for.

    Args:
        may_be_filled: whether what the rows do not bring at all may be filled otherwise; asked if they lack something.
    """
    if not positions:
        return []
    target = rows.target
    left = np.asarray(positions)
    places = rows.bound.places_of(left)
    kept = [name for name in target.stays if name in rows.attributes and not target.columns[name].nullable]
    faults: list[RowFault] = []
    absent = [name for name in target.required if name not in rows.attributes]
    required = (
        [name for name in target.required if name not in absent] if absent and may_be_filled() else target.required
    )
    for name in dict.fromkeys((*required, *kept)):
        lacking = rows.lacks([name])[places]
        faults += [RowFault(position, DataFault("null", name)) for position in left[lacking].tolist()]
        left, places = left[~lacking], places[~lacking]
    return faults


@dataclass(frozen=True)
class Newcomers:
    """The rows of a source that are certain to be new, for one who reads only.

    Those are all rows if the table is empty or missing, else the ones without a key. The table is looked at once, and
    only if a row would be incomplete. `follow_others` says that rows come before them which the table has not got yet.
    """

    database: AppDatabase
    target: Target
    feed: Feed
    follow_others: bool = False

    def judged(self, chunk: Chunk) -> Chunk:
        """The chunk, with those of its certainly new rows that are incomplete among its rejects.

        Raises:
            SinkUnavailable, ConfigurationError: the table cannot be looked at.
        """
        if self.feed.mode == "update_only":
            return chunk
        rows = Rows(chunk.frame, self.target, self.database.engine.dialect)
        faults = incomplete(rows, rows.positions, lambda: self._may_be_filled)
        if faults and not self._all_are_new:
            keyless = set(np.asarray(rows.positions)[rows.lacks(self.target.key)].tolist())
            faults = [fault for fault in faults if fault.row in keyless]
        if not faults:
            return chunk
        rejects = chunk.rejects + as_rejects(chunk, self.feed, self.target.contract, faults)
        return replace(
            chunk,
            frame=chunk.frame.drop(index=[fault.row for fault in faults]),
            rejects=sorted(rejects, key=lambda reject: reject.row),
        )

    @cached_property
    def _all_are_new(self) -> bool:
        return not self.follow_others and not with_retries(
            self._has_rows, f"looking into the table {self.target.name} in {self.database.address}"
        )

    @cached_property
    def _may_be_filled(self) -> bool:
        return with_retries(self._ask_who_fills, f"looking at {self.target.name} in {self.database.address}")

    def _ask_who_fills(self) -> bool:
        if self.database.columns_of(self.target.table) is None:
            return may_fill(None, self.target)
        with self.database.engine.connect() as connection:
            return may_fill(connection, self.target)

    def _has_rows(self) -> bool:
        if self.database.columns_of(self.target.table) is None:
            return False
        with self.database.engine.connect() as connection:
            return has_rows(connection, self.target)


def has_rows(connection: sa.Connection, target: Target, *conditions: sa.ColumnElement[bool]) -> bool:
    """Whether the target's table has any row, of whichever model, that meets the conditions."""
    asked = sa.select(sa.literal(1)).select_from(target.table).where(*conditions).limit(1)
    return connection.execute(asked).first() is not None
