"""Places in the product where a test can end, stop or upset a process. The product knows nothing of them.

`arm` wraps functions of the product in this process: where nobody arms anything, nothing is there.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal

# Name -> the function, as it is looked up by its caller, and whether the place is before or after it.
PLACES: dict[str, tuple[str, Literal["before", "after"]]] = {
    "lease taken": ("flows.runs.owning:take_lease", "after"),
    "chunk spooled": ("sources.chunks.spool:RunSpool.write", "after"),
    "superseded row listed": ("sources.duplicates.superseded:SupersededList.add", "after"),
    "source read": ("flows.runs.spooling:extract", "after"),
    "run admitted": ("sinks.ledger.bookkeeping:Ledger.admit", "after"),
    "attempt counted": ("sinks.ledger.bookkeeping:Ledger.begin_attempt", "after"),
    "chunk read": ("sources.chunks.spool:Spool.read", "after"),
    "chunk transformed": ("flows.runs.loading:transform_chunk", "after"),
    "transaction fenced": ("sinks.ledger.bookkeeping:Ledger.fence", "after"),
    "rows half written": ("sinks.writers.copy_writer:update_from_stage", "before"),
    "rows written": ("sinks.flask_sink:FlaskSink._write", "after"),
    "loaded entered": ("sinks.ledger.bookkeeping:Ledger.loaded", "after"),
    "before a commit": ("sqlalchemy.engine.default:DefaultDialect.do_commit", "before"),
    "during a commit": ("sqlalchemy.engine.default:DefaultDialect.do_commit", "after"),
    "chunk committed": ("sinks.flask_sink:FlaskSink.load", "after"),
    "spool file removed": ("sources.chunks.spool:Spool.remove", "after"),
    "before the run is closed": ("sinks.ledger.bookkeeping:Ledger.settle", "before"),
    "run closed": ("sinks.ledger.bookkeeping:Ledger.settle", "after"),
}


@dataclass(frozen=True)
class Failpoint:
    """What happens to the process when it comes to a place for the n-th time."""

    place: str
    arrival: int = 1
    deed: Literal["kill", "stop"] = "kill"

    def __str__(self) -> str:
        return f"{self.deed} at {self.place!r}, arrival {self.arrival}"


def arm(failpoint: Failpoint) -> None:
    """Let this process meet its fate at the failpoint."""
    number = signal.SIGKILL if failpoint.deed == "kill" else signal.SIGSTOP
    arrivals = Counter[str]()

    def arrived(place: str) -> None:
        arrivals[place] += 1
        if arrivals[place] == failpoint.arrival:
            os.kill(os.getpid(), number)

    _watch([failpoint.place], arrived)


def count_arrivals(file: Path, prepare: Callable[[], None] | None = None) -> None:
    """Keep count, in a file, of how often this process comes to each place; it may need some preparation besides."""
    if prepare is not None:
        prepare()
    arrivals = Counter[str]()

    def arrived(place: str) -> None:
        arrivals[place] += 1
        file.write_text(json.dumps(arrivals), encoding="utf-8")

    _watch(list(PLACES), arrived)


def _watch(places: list[str], arrived: Callable[[str], None]) -> None:
    for place in places:
        reference, when = PLACES[place]
        owner, name, function = find(reference)
        setattr(owner, name, _wrapped(function, place, when, arrived))


def find(reference: str) -> tuple[Any, str, Any]:
    """The function that a reference `module:Class.function` names, with its owner and its name there."""
    module, _, path = reference.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    return owner, name, getattr(owner, name)


def _wrapped(function: Any, place: str, when: str, arrived: Callable[[str], None]) -> Any:
    @wraps(function)
    def watched(*arguments: Any, **keys: Any) -> Any:
        if when == "before":
            arrived(place)
            return function(*arguments, **keys)
        result = function(*arguments, **keys)
        arrived(place)
        return result

    return watched
