"""Two processes want the same table or the same chunk; one of them may have slept for too long (T16, T17)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from faults import children, oracle
from faults.failpoints import Failpoint
from faults.loads import CHUNKS, Load
from faults.shops_at_risk import SLEEPY
from faults.sleepers import SHORT_LEASE, woken
from looking import wait_until

from flows.runs import admission, stopping
from flows.runs.door import Door, Outcome
from flows.runs.loading import load_chunk
from flows.runs.workplace import open_workplace
from restock.chunks import ChunkRef, WriteCounts
from restock.feeds import Feed

# What is promised to whoever asks a run to stop.
SECONDS_TO_STOP = 20


# Places where no chunk is being written, as on SQLite the sleeper would hold the only write lock.
@pytest.mark.parametrize("place, arrival", [("attempt counted", 3), ("chunk transformed", 1)])
def test_who_wakes_after_its_lease_was_taken_keeps_nothing(load: Load, place: str, arrival: int) -> None:
    found = woken(load, Failpoint(place, arrival, "stop"))
    assert not found, "\n".join(found)


# The first chunk ends its writes with many statements that are sent at once, which PostgreSQL's own limit does not see.
@pytest.mark.parametrize("place, arrival", [("transaction fenced", 2), ("rows written", 1), ("loaded entered", 2)])
def test_who_falls_asleep_inside_its_transaction_loses_it(load: Load, place: str, arrival: int) -> None:
    if load.shop.engine.dialect.name == "sqlite":
        pytest.skip("On SQLite the sleeper holds the only write lock, and nobody else can begin.")
    found = woken(load, Failpoint(place, arrival, "stop"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("gap", [0.0, 0.15])
def test_two_commands_for_one_feed_load_each_chunk_once(load: Load, gap: float) -> None:
    first = children.start(["sync", "products"], load.shop)
    time.sleep(gap)
    second = children.start(["sync", "products"], load.shop)

    assert (first.wait(), second.wait()) == (0, 0), first.said() + second.said()
    assert load.violations() == []


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_the_app_chooses_how_far_its_transactions_are_isolated(load: Load, level: str) -> None:
    """What cannot be put in order then is tried again as a whole, the look at what is present included (T13)."""
    if load.shop.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one level of isolation.")
    package = load.shop.folder / load.shop.package / "__init__.py"
    options = f'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {{"isolation_level": "{level}"}}'
    text = package.read_text(encoding="utf-8").replace("    db.init_app(app)", f"    {options}\n    db.init_app(app)")
    package.write_text(text, encoding="utf-8")
    at_once = [children.start(["sync", "products"], load.shop, env=SHORT_LEASE) for _ in range(2)]

    assert [child.wait() for child in at_once] == [0, 0], [child.said() for child in at_once]
    assert load.violations() == []


def test_two_workers_with_the_same_chunk_write_it_once(load: Load) -> None:
    outcomes: list[tuple[Outcome, Outcome]] = []

    def each_twice(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
        with ThreadPoolExecutor(2) as pool:
            for ref in refs:
                one, other = pool.map(load_chunk, [ref, ref], [feed, feed])
                outcomes.append((one, other))
                yield ref, one

    place = open_workplace()
    admission.sync(place, place.feed("products"), Door(each_twice))

    assert load.violations() == []
    assert len(outcomes) == CHUNKS
    for one, other in outcomes:
        assert isinstance(one, WriteCounts)
        assert one == other


@pytest.fixture
def sleepy(load: Load) -> Path:
    """The file that makes the second chunk sleep while it is there."""
    (load.shop.folder / load.shop.package / "sleepy.py").write_text(SLEEPY, encoding="utf-8")
    load.shop.feed(chunk_rows=6, transform=f"{load.shop.package}.sleepy:clean")
    flag = load.shop.folder / "asleep"
    flag.touch()
    return flag


def lose_patience_soon() -> None:
    """Give a chunk one second to end in place of twelve."""
    stopping.PATIENCE_SECONDS = 1


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_chunk_that_does_not_end_in_time_is_rolled_back_and_goes_on_next_time(
    load: Load, sleepy: Path, asked: signal.Signals
) -> None:
    child = children.start(["sync", "products"], load.shop, prepare=lose_patience_soon)
    wait_until(lambda: "loading" in oracle.statuses(load.shop.engine)[1:])
    os.kill(child.pid, asked)

    assert child.wait(20) == 1
    assert "Interrupted. Nothing is half done" in child.said()
    assert oracle.statuses(load.shop.engine) == ["loaded", "planned", "planned", "planned"]
    assert load.untruths() == []

    sleepy.unlink()
    assert children.run(["sync", "products"], load.shop)[0] == 0
    assert load.violations() == []


def test_who_waits_for_a_lock_in_the_database_can_be_stopped_too(load: Load) -> None:
    if load.shop.engine.dialect.name == "sqlite":
        pytest.skip("On SQLite nobody waits for a row, only for five seconds for the file.")
    with load.shop.engine.connect() as outsider:
        outsider.execute(sa.text("UPDATE product SET name = name WHERE sku = 'S-00004'"))
        child = children.start(["sync", "products"], load.shop, prepare=lose_patience_soon)
        wait_until(lambda: "loading" in oracle.statuses(load.shop.engine))
        time.sleep(0.5)
        os.kill(child.pid, signal.SIGTERM)
        ended = child.wait(SECONDS_TO_STOP - stopping.PATIENCE_SECONDS + 1)
        outsider.rollback()
    assert ended == 1
    assert "Interrupted. Nothing is half done" in child.said()
    assert oracle.statuses(load.shop.engine) == ["planned"] * CHUNKS
    assert load.untruths() == []
    assert children.run(["sync", "products"], load.shop)[0] == 0
    assert load.violations() == []
