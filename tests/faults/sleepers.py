"""A process that sleeps for so long that its lease ends, and wakes up when another one has done its work (T17)."""

from __future__ import annotations

import os
import signal
from functools import partial

from faults import children
from faults.failpoints import Failpoint
from faults.loads import Load

from sinks.ledger import lease

SHORT_LEASE = {"RESTOCK_LEASE_SECONDS": "1"}
TAKEN_OVER = "Another run has taken over the table"


def without_heartbeat(prepare: children.Preparation | None) -> None:
    """Renew no lease in the background: on SQLite, who is stopped in the middle of that holds the file for ever."""
    lease.BEATS_PER_LEASE = 0.001
    if prepare is not None:
        prepare()


def woken(load: Load, failpoint: Failpoint, prepare: children.Preparation | None = None) -> list[str]:
    """What is wrong after a process was stopped, a second one took its table over, and the first woke up."""
    with_wait = ["sync", "products", "--wait", "30"]
    if load.shop.engine.dialect.name == "sqlite":
        prepare = partial(without_heartbeat, prepare)
    sleeper = children.start(with_wait, load.shop, failpoint, SHORT_LEASE, prepare)
    sleeper.wait_until_stopped()
    status, said = children.run(with_wait, load.shop, None, SHORT_LEASE)
    found = [] if status == 0 else [f"the second command ended with {status}: {said}"]
    found += [f"before it woke: {each}" for each in load.violations(is_quiet=False)]
    os.kill(sleeper.pid, signal.SIGCONT)
    if sleeper.wait() != 1 or TAKEN_OVER not in sleeper.said():
        found.append(f"the one that slept did not notice: {sleeper.said()}")
    return found + load.violations()
