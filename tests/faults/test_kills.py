"""A process is killed at each place where it matters; the same command afterwards must come to the same end (T02)."""

from __future__ import annotations

import json
import signal
from functools import partial

import pytest
from faults import children
from faults.failpoints import PLACES, Failpoint, count_arrivals
from faults.loads import Load, make_load
from shops import Shop


@pytest.fixture
def load(shop: Shop) -> Load:
    return make_load(shop)


def killed_and_resumed(load: Load, failpoint: Failpoint) -> list[str]:
    """What is wrong after a kill, and after the same command was given again."""
    load.reset()
    status, said = children.run(["sync", "products"], load.shop, failpoint)
    found = [] if status == -signal.SIGKILL else [f"it ended with {status}: {said}"]
    found += [f"after the kill: {each}" for each in load.untruths()]
    status, said = children.run(["sync", "products"], load.shop)
    found += [] if status == 0 else [f"the second command ended with {status}: {said}"]
    return [f"{failpoint}: {each}" for each in found + load.violations()]


def arrivals(load: Load) -> dict[str, int]:
    """How often an undisturbed load comes to each place."""
    file = load.shop.folder / "arrivals.json"
    status, said = children.run(["sync", "products"], load.shop, prepare=partial(count_arrivals, file))
    assert status == 0, said
    assert load.violations() == []
    return json.loads(file.read_text(encoding="utf-8"))


def test_wherever_a_process_is_killed_the_same_command_comes_to_the_same_end(load: Load) -> None:
    times = arrivals(load)
    assert times.keys() == PLACES.keys()
    found = []
    for place, last in times.items():
        for arrival in sorted({1, (last + 1) // 2, last}):
            found += killed_and_resumed(load, Failpoint(place, arrival))
    assert found == []
