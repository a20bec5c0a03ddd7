"""Every call that a load makes to its database fails in turn, before or after it was done (T01)."""

from __future__ import annotations

from itertools import cycle

import pytest
from faults import upsets
from faults.database_calls import EVER_AFTER, KINDS, Fault
from faults.loads import Load

# Coprime to the number of kinds, so that each kind meets both.
WHEN = ("before", "after")


@pytest.mark.parametrize("times", [1, EVER_AFTER], ids=["once", "ever after"])
def test_whichever_call_fails_the_load_comes_to_the_same_end(loads: list[Load], times: int) -> None:
    calls = upsets.calls_of(loads[0])
    kinds, whens = cycle(KINDS[loads[0].shop.engine.dialect.name]), cycle(WHEN)
    step = 1 if times == 1 else 8
    faults = [Fault(call, next(kinds), next(whens), times) for call in range(1, calls + 1, step)]

    found = upsets.upset_in_parallel(loads, faults)

    assert not found, "\n".join(found)
