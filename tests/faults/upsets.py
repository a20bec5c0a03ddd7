"""A load whose n-th call to the database fails, and its recovery, in this process and in several at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import sqlalchemy as sa
from faults.children import forking
from faults.database_calls import Fault, upsetting
from faults.loads import Load, opened
from shops import Shop

from flows.runs import admission, reprocessing
from flows.runs.door import Door
from flows.runs.loading import load_here
from flows.runs.progress import Progress
from flows.runs.workplace import open_workplace
from sinks.database import retries
from sinks.flask_sink import open_sink
from sinks.model.target import Target
from sources import key_order

EXECUTIONS = 6


def engine_of(shop: Shop) -> sa.Engine:
    """The engine of the product, which is not the one the oracle asks through."""
    return open_sink(open_workplace().feed(shop.feed_name)).database.engine


def try_again_at_once() -> None:
    """Leave out, in this process, the pauses between the sink's attempts."""
    retries.FIRST_PAUSE_SECONDS = retries.LONGEST_PAUSE_SECONDS = 0.0


def sync_once(load: Load, progress: Progress | None = None) -> None:
    """`restock sync` in this process."""
    place = open_workplace()
    admission.sync(place, place.feed(load.shop.feed_name), Door(load_here, progress or Progress()))


def load_until_done(load: Load) -> None:
    """Give the commands that a person would give until nothing is outstanding."""
    place = open_workplace()
    for _ in range(EXECUTIONS):
        load.shop.execute("UPDATE restock_lease SET expires_at = 0")  # the time passes in which this process is dead
        [report] = admission.sync(place, place.feed("products"), Door(load_here))
        if not report.summary.outstanding:
            return
        reprocessing.reprocess(place, Door(load_here))


def upset_and_recovered(load: Load, engine: sa.Engine, fault: Fault) -> list[str]:
    """What is wrong after a fault, and after the recovery from it."""
    load.reset()
    with upsetting(engine, fault) as calls:
        try:
            sync_once(load)
        except Exception as error:
            ended = type(error).__name__
        else:
            ended = "nothing"
    refused = _refused(load, fault)
    found = load.untruths(refused)
    # What is done is left alone: the engine's next run is that of the next fault. And another run would load a row that
    # only the fault made the database refuse.
    if not refused and load.violations():
        load_until_done(load)
    found += ["a sound row was rejected"] if len(refused) > 1 else []
    found += load.violations(refused)
    where = calls.upset[0][:40] if calls.upset else "it never came to that"
    return [f"{fault} ({where}; raised {ended}): {each}" for each in found]


def _refused(load: Load, fault: Fault) -> frozenset[int]:
    """The sound row that the fault has made the database refuse, if it has."""
    return load.refused_falsely() if fault.kind == "data" else frozenset()


def calls_of(load: Load) -> int:
    """How many calls an undisturbed load makes, counted in a process of its own."""
    with ProcessPoolExecutor(1, forking) as pool:
        return pool.submit(_count, load.address).result()


def _count(address: tuple[Path, str, str]) -> int:
    with opened(address) as load:
        engine = engine_of(load.shop)
        sync_once(load)
        load.reset()
        with upsetting(engine, None) as calls:
            sync_once(load)
        assert load.violations() == []
        engine.dispose()
    return calls.made


def upset_in_parallel(loads: Sequence[Load], faults: Sequence[Fault]) -> list[str]:
    """What is wrong after each of the faults, tried in as many processes as there are loads."""
    slices = [list(faults[place :: len(loads)]) for place in range(len(loads))]
    with ProcessPoolExecutor(len(loads), forking) as pool:
        addresses = [load.address for load in loads]
        return [each for found in pool.map(_upset_some, addresses, slices) for each in found]


def _upset_some(address: tuple[Path, str, str], faults: list[Fault]) -> list[str]:
    try_again_at_once()
    with opened(address) as load:
        engine = engine_of(load.shop)
        sync_once(load)  # so that the ledger is there, whatever the first fault hits
        found = [each for fault in faults for each in upset_and_recovered(load, engine, fault)]
        load.reset()
        sync_once(load)
        found += [f"after the last fault: {each}" for each in load.violations()]
        engine.dispose()
    return found


def put_all_in_order() -> None:
    """Let every source of this process be put in the order of its keys, however small and whatever its key."""
    key_order.LEAST_ROWS = 0
    Target.lies_in_key_order = True  # type: ignore[assignment,method-assign]
