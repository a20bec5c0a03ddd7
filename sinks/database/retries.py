"""Runs a whole transaction, and runs it again when the database asks for that."""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from restock.errors import ConfigurationError, RestockError, SinkUnavailable
from sinks.database.app_database import CommitUnknown
from sinks.database.data_faults import ModelRefused
from sinks.database.db_errors import Trouble, trouble_of, when_over
from sinks.database.error_codes import describe
from sinks.database.turned_away import CORRECT_IT, turned_away


@dataclass(frozen=True)
class Patience:
    """How much is borne.

    Attributes:
        attempts: how often each trouble that may pass is tried; whatever is not named is tried once.
        waits_for_server: whether a server that lets nobody in is asked again for `AWAY_SECONDS` besides.
    """

    attempts: Mapping[Trouble, int]
    waits_for_server: bool = False


# A lock is waited for a few seconds each time, which makes a minute altogether.
ATTEMPTS: Mapping[Trouble, int] = {
    Trouble.TRANSIENT: 12,
    Trouble.CONNECTION: 5,
    Trouble.READ_ONLY: 5,
    Trouble.GONE: 3,
}
USUAL = Patience(ATTEMPTS)
ONCE = Patience({})
# Of a run that has begun: its database was there, so it is perhaps being started anew. What the run has read and loaded
# is worth the wait; at the start of a command the address may be wrong, and a person waits.
UNDER_WAY = Patience(ATTEMPTS, waits_for_server=True)
AWAY_SECONDS = 60.0
# One conflict is everyday; at the next one, whoever looks on is told why nothing moves.
HEARD_OF = 2
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

log = logging.getLogger("restock")

Outcome = TypeVar("Outcome")


class DataTrouble(Exception):
    """The database refused a row of the transaction, and nothing of it was kept. `__cause__` says what it refused."""


def with_retries(
    work: Callable[[], Outcome],
    doing: str,
    settled: Callable[[], Outcome | None] | None = None,
    patience: Patience = USUAL,
) -> Outcome:
    """Run a whole transaction until it is through.

    Args:
        work: opens, fills and commits one transaction.
        doing: what it is for, as in "loading chunk 3": goes into the error.
        settled: asks the ledger, after an error from COMMIT, whether the commit happened: its outcome, or None.
        patience: how much is borne.

    Raises:
        DataTrouble: the database refuses a row.
        SinkUnavailable: the database could not be used, or is full.
        ConfigurationError: the database is not as the app expects it; trying again cannot help.
    """
    tries = _Tries(patience)
    for attempt in itertools.count(1):
        try:
            return work()
        except CommitUnknown as error:
            cause: BaseException = error.__cause__ or error
            if settled is not None:
                done = with_retries(settled, doing, patience=patience)
                if done is not None:
                    return done
        except RestockError:
            raise
        except (SQLAlchemyError, ModelRefused, OverflowError, UnicodeEncodeError) as error:
            cause = error
        trouble = trouble_of(cause)
        end = _end_of(trouble, cause, doing, is_last=tries.are_over(trouble, cause))
        if end is not None:
            raise end from cause
        if attempt == HEARD_OF:
            log.warning("Still waiting while %s: %s (%s).", doing, trouble.value, describe(cause))
        time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)))
    raise AssertionError("it is tried until it returns or raises")


class _Tries:
    """What was tried of one transaction, and whether more is borne."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._tried: Counter[Trouble] = Counter()
        self._wait_ends: float | None = None

    def are_over(self, trouble: Trouble, cause: BaseException) -> bool:
        """Whether this trouble was met as often as it is borne, and no server is waited for."""
        if self._patience.waits_for_server and trouble is Trouble.CONNECTION and _was_not_let_in(cause):
            self._wait_ends = self._wait_ends or time.monotonic() + AWAY_SECONDS
            if time.monotonic() < self._wait_ends:
                return False
        self._tried[trouble] += 1
        return self._tried[trouble] >= self._patience.attempts.get(trouble, 1)


def _was_not_let_in(cause: BaseException) -> bool:
    """Whether the driver raised before any statement, and had no connection that could have been lost."""
    return isinstance(cause, DBAPIError) and cause.statement is None and not cause.connection_invalidated


def _end_of(trouble: Trouble, cause: BaseException, doing: str, is_last: bool) -> Exception | None:
    """What ends the attempts; None if there is another one to make."""
    if trouble is Trouble.DATA or (trouble is Trouble.GONE and is_last):
        return DataTrouble(doing)
    if (why := turned_away(cause)) is not None:
        return ConfigurationError(
            f"The database server turned the app away while {doing}: {why} ({describe(cause)}); what is committed is "
            f"kept: {CORRECT_IT}, then start again."
        )
    if trouble is Trouble.FATAL:
        return ConfigurationError(
            f"The database failed while {doing} ({describe(cause)}); what is committed is kept: look at its tables and "
            "rights, then start again."
        )
    if is_last:
        return SinkUnavailable(
            f"The database could not be used while {doing}: {trouble.value} ({describe(cause)}); what is committed is "
            f"kept, so start again {when_over(cause)}."
        )
    return None
