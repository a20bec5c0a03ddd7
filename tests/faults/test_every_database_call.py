"""Every call that a load makes to its database fails in turn, before and after it was done (T01)."""

from __future__ import annotations

from itertools import cycle, product

import pytest
import sqlalchemy as sa
from faults import oracle
from faults.database_calls import KINDS, Fault, upsetting
from faults.loads import Load
from shops import Shop

from flows import admission, reprocessing
from flows.loading import load_here
from flows.progress import Progress
from flows.workplace import open_workplace
from sinks import retries
from sinks.flask_sink import open_sink

EXECUTIONS = 6


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(retries, "LONGEST_PAUSE_SECONDS", 0.0)


def engine_of(shop: Shop) -> sa.Engine:
    """The engine of the product, which is not the one the oracle asks through."""
    return open_sink(open_workplace().feed(shop.feed_name)).database.engine


def load_until_done(load: Load) -> None:
    """Give the commands that a person would give until nothing is outstanding."""
    place = open_workplace()
    for _ in range(EXECUTIONS):
        load.shop.execute("UPDATE restock_lease SET expires_at = 0")  # the time passes in which this process is dead
        report = admission.sync(place, place.feed("products"), load_here, Progress())
        if not report.summary.outstanding:
            return
        reprocessing.reprocess(place, load_here, Progress())


def sync_once(load: Load) -> None:
    place = open_workplace()
    admission.sync(place, place.feed("products"), load_here, Progress())


def upset_and_recovered(load: Load, engine: sa.Engine, fault: Fault) -> list[str]:
    """What is wrong after a fault, and after the recovery from it."""
    load.reset()
    with upsetting(engine, fault):
        try:
            sync_once(load)
        except Exception as error:
            ended = type(error).__name__
        else:
            ended = "nothing"
    refused = load.refused_falsely() if fault.kind == "data" else frozenset[int]()
    found = load.untruths(refused)
    load_until_done(load)
    refused = load.refused_falsely() if fault.kind == "data" else frozenset[int]()
    found += ["a sound row was rejected"] if len(refused) > 1 else []
    found += load.violations(refused)
    return [f"{fault} (raised {ended}): {each}" for each in found]


def calls_of(load: Load, engine: sa.Engine) -> int:
    """How many calls an undisturbed load makes."""
    sync_once(load)
    load.reset()
    with upsetting(engine, None) as calls:
        sync_once(load)
    assert load.violations() == []
    return calls.made


def test_whichever_call_fails_the_load_comes_to_the_same_end(load: Load) -> None:
    engine = engine_of(load.shop)
    calls = calls_of(load, engine)
    kinds = cycle(KINDS[engine.dialect.name])
    found = []
    for call, when in product(range(1, calls + 1), ("before", "after")):
        found += upset_and_recovered(load, engine, Fault(call, next(kinds), when))
    assert not found, "\n".join(found)
