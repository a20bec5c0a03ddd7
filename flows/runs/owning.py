"""Who may write: the lease of a target, held for as long as something is loaded into it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flows.runs.door import Door
from flows.runs.stopping import check_stop
from restock.errors import TargetBusy
from sinks.ledger.bookkeeping import Ledger
from sinks.ledger.lease import Lease, keeping, take_lease


@dataclass(frozen=True)
class Owned:
    """A target that is owned: the lease of it, and whether another run owned it when it was asked for."""

    lease: Lease
    was_waited_for: bool


@contextmanager
def own_target(ledger: Ledger, door: Door, brings_in: str | None = None) -> Iterator[Owned]:
    """Hold the lease of a ledger's target while the block lasts; wait for another owner as long as the door does.

    Args:
        brings_in: the feed whose source is brought in meanwhile; none where chunks, mended rows or one file are loaded.

    Raises:
        TargetBusy: the other run has not ended in time, or is not waited for.
        RunInterrupted: the process was asked to stop meanwhile.
    """
    until, is_waiting = time.monotonic() + door.wait, False
    while True:
        try:
            owned = Owned(take_lease(ledger.database, ledger.target, brings_in), was_waited_for=is_waiting)
            break
        except TargetBusy as busy:
            if time.monotonic() >= until or (busy.by_own_feed and not door.waits_for_own_feed):
                raise
            if not is_waiting:
                door.progress.waiting(busy)
            is_waiting = True
            check_stop()
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
    with keeping(ledger.database, owned.lease):
        yield owned
