"""What the database found out about staged rows, read column by column: there may be as many as a chunk has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import sqlalchemy as sa

# Rows read at a time: of many at once, each a tracked object, Python's collector would look at all time and again.
_ROWS_AT_ONCE = 1000


class Verdict(IntEnum):
    """What becomes of a staged row. Of one that is left alone nothing is heard."""

    ALONE = 0
    ABSENT = 1
    REPEATED = 2  # its key is, for the database, that of another row of the chunk
    TWICE = 3  # it meets several rows
    FOREIGN = 4  # it meets a row of another model that shares the table
    STALE = 5
    CHANGED = 6
    DOUBTFUL = 7  # stored otherwise than it was staged, which may be the same value all the same
    CONFLICT = 8  # it brings another primary key than the row it meets; 8 + n in the n-th attribute of it


@dataclass(frozen=True)
class Judged:
    """Rows that are not left alone: the position and the verdict of each, and columns of whatever else was asked."""

    positions: np.ndarray
    verdicts: np.ndarray
    others: list[list[Any]]

    def __len__(self) -> int:
        return len(self.positions)

    def having(self, verdict: int) -> Judged:
        """Those with one verdict."""
        return self.at(np.flatnonzero(self.verdicts == verdict))

    def at(self, places: np.ndarray) -> Judged:
        """Some of the rows, in the order of the places."""
        if len(places) == len(self) and (places == np.arange(len(self))).all():
            return self
        listed = places.tolist()
        others = [[values[place] for place in listed] for values in self.others]
        return Judged(self.positions[places], self.verdicts[places], others)


def read_verdicts(result: sa.CursorResult[Any]) -> Judged:
    """The rows of a result by column, in the order of their positions: first these, then the verdicts, then others.

    One row, one verdict, even where the table has a key twice.
    """
    columns: list[list[Any]] = [[] for _ in result.keys()]  # noqa: SIM118 - a result is no dictionary
    for rows in result.partitions(_ROWS_AT_ONCE):
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
    positions, verdicts, *others = columns
    judged = Judged(np.asarray(positions, dtype="int64"), np.asarray(verdicts, dtype="int64"), others)
    return judged.at(np.unique(judged.positions, return_index=True)[1])
