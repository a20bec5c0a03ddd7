"""Attempts under savepoints: what the database refuses of them leaves nothing behind, and the transaction goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.orm import Session

from sinks.database.data_faults import DataFault, ModelRefused, data_fault
from sinks.database.db_errors import Trouble, trouble_of
from sinks.model.target import Target

# Brings some rows, named by a number each, into the database; raises what it raises.
Attempt = Callable[[Sequence[int]], None]
Refused = list[tuple[int, DataFault]]


@dataclass
class Savepoints:
    """Attempts under savepoints, in the transaction of a session.

    `kept` counts those that went through, and `refused_at` is what it was when a row was refused last.
    """

    session: Session
    target: Target
    kept: int = 0
    refused_at: dict[int, int] = field(default_factory=dict)
    _undone: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The connection ends with the transaction, and its listeners with it.
        sa.event.listen(self.connection, "rollback_savepoint", lambda _, name, __: self._undone.append(name))
        # A session of the app's own on this connection (SQLAlchemy-Continuum has one) may have begun a savepoint within
        # one of these, which ends with it. For good: filters belong to the process, and other threads change them too.
        warnings.filterwarnings("ignore", "nested transaction already deassociated", SAWarning)

    @property
    def connection(self) -> sa.Connection:
        """The connection of the transaction. A savepoint of the session begins on it only when it is asked for."""
        return self.session.connection(bind_arguments={"mapper": self.target.mapper})

    def refused(self, attempt: Attempt, numbers: Sequence[int]) -> Refused:
        """Those of some rows that the database refuses; all others are in it."""
        fault = self.fault_of(attempt, numbers)
        return [] if fault is None else self.halve(attempt, numbers, fault)

    def halve(self, attempt: Attempt, numbers: Sequence[int], fault: DataFault) -> Refused:
        """The same of rows that have met a fault together."""
        if len(numbers) == 1:
            self.refused_at[numbers[0]] = self.kept
            return [(numbers[0], fault)]
        middle = len(numbers) // 2
        refused = self.refused(attempt, numbers[:middle])
        if len(refused) == middle:
            return refused + self._while_refused(attempt, numbers[middle:])
        return refused + self.refused(attempt, numbers[middle:])

    def _while_refused(self, attempt: Attempt, numbers: Sequence[int]) -> Refused:
        """The same of rows behind some that all were: one by one until one is taken. Halving would try each twice."""
        refused: Refused = []
        for place, number in enumerate(numbers):
            found = self.refused(attempt, [number])
            if not found:
                return refused + self.refused(attempt, numbers[place + 1 :])
            refused += found
        return refused

    def all_or_each(self, attempt: Attempt, numbers: Sequence[int]) -> Refused:
        """The same, where likely all are refused or none."""
        if self.fault_of(attempt, numbers) is None:
            return []
        return [each for number in numbers for each in self.refused(attempt, [number])]

    def fault_of(self, attempt: Attempt, numbers: Sequence[int]) -> DataFault | None:
        """What an attempt met, if it met something; nothing is left of it then."""
        if not numbers:
            return None
        savepoint, connection = self.session.begin_nested(), self.connection
        try:
            attempt(numbers)
        except (SQLAlchemyError, ModelRefused, OverflowError, UnicodeEncodeError) as error:
            if trouble_of(error) not in (Trouble.DATA, Trouble.GONE):
                # A deadlock or a full disk has ended the transaction and its savepoints: there is none to return to.
                raise
            savepoint.rollback()
            # SQLAlchemy leaves it open, and all that follows would be within it. Of thousands, each with a lock of its
            # own, PostgreSQL cannot keep track, and the more there are the longer it takes over each.
            connection.dialect.do_release_savepoint(connection, self._undone[-1])
            return data_fault(error)
        savepoint.commit()  # outside the try: what fails here can no longer be undone, and so blames no row
        self.kept += 1
        return None
