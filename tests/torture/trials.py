"""The trials of a database: one load with one random misfortune each, and the oracle's word on its end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

from faults import children, oracle, upsets
from faults.database_calls import EVER_AFTER, KINDS, Fault
from faults.failpoints import Failpoint
from faults.loads import Load
from faults.sleepers import woken
from torture.grounds import Ground

from flows.runs import admission
from flows.runs.door import Door, Outcome
from flows.runs.loading import load_here
from flows.runs.workplace import open_workplace
from restock.chunks import ChunkRef
from restock.feeds import Feed

MANY_ROWS = 240
SOME_ROWS = 20
POISON = frozenset({77, 131})
# One load ends in less.
SECONDS_OF_A_LOAD = 1.2
BYTES_OF_A_LOAD = 60_000
COMMITS_OF_A_LOAD = 16
CALLS_OF_A_LOAD = 110
# Those that a feed may name.
WRITERS: tuple[str, ...] = get_args(get_args(Feed.model_fields["writer"].annotation)[0])


@dataclass(frozen=True)
class Trial:
    """One kind of misfortune.

    `runs` is how often it is tried on each kind of database, `share` its part of the time. `try_it` gives what is
    wrong, and how often the misfortune really happened.
    """

    name: str
    try_it: Callable[[Ground, random.Random], tuple[list[str], int]]
    runs: dict[str, int]
    share: float


def kill_at_random(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """SIGKILL at a random moment, up to three times over, then to the end."""
    load, kills, found = ground.load, 0, list[str]()
    load.write(MANY_ROWS, SOME_ROWS, POISON, **_some_way(chance))
    load.reset()
    for _ in range(chance.randint(1, 3)):
        child = children.start(["sync", "products"], load.shop)
        time.sleep(chance.uniform(0.05, SECONDS_OF_A_LOAD))
        os.kill(child.pid, signal.SIGKILL) if child.process.is_alive() else None
        kills += child.wait() == -signal.SIGKILL
        found += load.untruths()
    return found + _to_the_end(load), kills


def sleep_too_long(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """SIGSTOP for longer than the lease, while somebody else does the work; then SIGCONT."""
    _usual(ground, chance)
    places = ["attempt counted"]
    if ground.load.shop.engine.dialect.name != "sqlite":
        # While a chunk is read and transformed the one before is written, and on SQLite with the only write lock.
        places += ["chunk read", "chunk transformed"]
    place = chance.choice(places)
    # A load has three chunks; where it reads the first, it may be at admission still, where duplicates are marked.
    arrival = chance.randint(2 if place == "chunk read" else 1, 3)
    return woken(ground.load, Failpoint(place, arrival, "stop")), 1


def sleep_inside_a_transaction(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """The same inside the data transaction, which has to be ended by others."""
    _usual(ground, chance)
    place = chance.choice(["transaction fenced", "rows written", "loaded entered"])
    return woken(ground.load, Failpoint(place, chance.randint(1, 3), "stop")), 1


def upset_a_call(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """Any error, at any call to the database, once, several times or ever after."""
    load, engine = ground.load, upsets.engine_of(ground.load.shop)
    load.write(**_some_way(chance))
    kind = chance.choice(KINDS[engine.dialect.name])
    times = 1 if kind == "data" else chance.choice([1, 1, 2, 5, EVER_AFTER])
    fault = Fault(chance.randint(1, CALLS_OF_A_LOAD), kind, chance.choice(["before", "after"]), times)
    return upsets.upset_and_recovered(load, engine, fault), 1


def lose_a_commit(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """A COMMIT, or the answer to one, is lost on its way."""
    assert ground.line is not None
    _usual(ground, chance)
    ground.line.lose_commit(chance.randint(1, COMMITS_OF_A_LOAD), chance.choice(["request", "reply"]))
    return _on_a_bad_line(ground)


def cut_the_line(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """The connection is cut after any byte that was sent."""
    assert ground.line is not None
    _usual(ground, chance)
    ground.line.lose_after(chance.randint(1, BYTES_OF_A_LOAD))
    return _on_a_bad_line(ground)


def _on_a_bad_line(ground: Ground) -> tuple[list[str], int]:
    with suppress(Exception):
        upsets.sync_once(ground.load)
    assert ground.line is not None
    ground.line.lose_nothing()
    found = ground.load.untruths()
    upsets.load_until_done(ground.load)
    return found + ground.load.violations(), ground.line.lost


def restart_the_server(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """The server ends in the middle of a load, in good order or without a word, and is started again."""
    load, server = ground.load, ground.server
    assert server is not None
    load.write(MANY_ROWS, SOME_ROWS, POISON, **_some_way(chance))
    load.reset()
    child = children.start(["sync", "products"], load.shop)
    time.sleep(chance.uniform(0.2, SECONDS_OF_A_LOAD))
    upsets.engine_of(load.shop).dispose()
    server.restart(is_sudden=chance.random() < 0.5)
    child.wait()
    return load.untruths() + _to_the_end(load), 1


def shuffle_the_chunks(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """Chunks of any size, in any order."""
    load = ground.load
    load.write(chunk_rows=chance.randint(1, 24), **_some_way(chance))
    load.reset()

    def in_any_order(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
        return load_here(feed, chance.sample(refs, len(refs)))

    place = open_workplace()
    admission.sync(place, place.feed("products"), Door(in_any_order))
    return load.violations(), 1


def poison_the_rows(ground: Ground, chance: random.Random) -> tuple[list[str], int]:
    """One row in 1, 2, 10 or 1000 is one that only the database can refuse."""
    load = ground.load
    one_in = chance.choice([1, 2, 10, 1000])
    rows = chance.randint(100, 400)
    poison = frozenset(number for number in range(1, rows + 1) if chance.randrange(one_in) == 0)
    load.write(rows, chance.randint(20, 200), poison, **_some_way(chance))
    load.reset()
    upsets.sync_once(load)
    return load.violations(), 1


def _some_way(chance: random.Random) -> dict[str, Any]:
    """One of the ways in which rows can be written: by any writer, one chunk at a time or several."""
    return {"writer": chance.choice([None, *WRITERS]), "workers": chance.choice([1, 4])}


def _usual(ground: Ground, chance: random.Random) -> None:
    ground.load.write(**_some_way(chance))
    ground.load.reset()


def _to_the_end(load: Load) -> list[str]:
    """Give the commands that a person would give, and ask the oracle."""
    found = []
    for command in ("sync", "reprocess", "sync"):
        status, said = children.run([command, *["products"][: command == "sync"]], load.shop)
        found = [f"{command} ended with {status}: {said}"] if status else []
        if not status and set(oracle.statuses(load.shop.engine)) <= {"loaded", "superseded"}:
            break
    return found + load.violations()


def _each(sqlite: int, postgresql: int, mariadb: int) -> dict[str, int]:
    return {"sqlite": sqlite, "postgresql": postgresql, "mariadb": mariadb}


TRIALS = (
    Trial("kill -9 at a random moment", kill_at_random, _each(500, 200, 200), 0.40),
    Trial("error at a random database call", upset_a_call, _each(400, 300, 300), 0.16),
    Trial("COMMIT or its answer lost", lose_a_commit, _each(0, 200, 200), 0.10),
    Trial("connection cut at a random byte", cut_the_line, _each(0, 200, 200), 0.10),
    Trial("asleep beyond the lease", sleep_too_long, _each(50, 50, 50), 0.08),
    Trial("asleep inside the transaction", sleep_inside_a_transaction, _each(0, 30, 30), 0.05),
    Trial("server restarted", restart_the_server, _each(0, 20, 20), 0.08),
    Trial("chunks of any size in any order", shuffle_the_chunks, _each(80, 80, 80), 0.05),
    Trial("one row in 1, 2, 10, 1000 refused", poison_the_rows, _each(40, 40, 40), 0.05),
)
