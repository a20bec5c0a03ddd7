"""How the rows of a chunk come into the stage: at once, or all but those that the database would not even stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from sinks.rows.changes import RowFault
from sinks.rows.columnar import BoundRows, Rows
from sinks.staging.savepoints import Savepoints
from sinks.staging.stage import Stage, open_stage


@dataclass(frozen=True)
class Staging:
    """The staging of one chunk in the transaction of a session; where it is isolating, under savepoints."""

    session: Session
    connection: sa.Connection
    isolating: bool

    def stage(self, rows: Rows, places: np.ndarray | None) -> tuple[Stage, list[RowFault]]:
        """A stage with the keyed rows of a chunk, or those of them at some places, and the rows it could not take."""
        stage = open_stage(self.connection, rows.target, rows.attributes)
        if self.isolating:
            return stage, self._fill_isolated(stage, rows.keyed if places is None else rows.keyed.at(places))
        stage.take(rows, places)
        return stage, []

    def _fill_isolated(self, stage: Stage, rows: BoundRows) -> list[RowFault]:
        def fill(places: Sequence[int]) -> None:
            stage.fill(rows.at(np.asarray(places)))

        refused = Savepoints(self.session, stage.target).refused(fill, range(len(rows)))
        stage.index()  # the changed rows may be asked for one by one
        return [RowFault.of(int(rows.positions[place]), fault, stage.target) for place, fault in refused]
