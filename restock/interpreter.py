"""How the interpreter divides its time while a source is read and chunks are loaded."""

from __future__ import annotations

import gc
import sys
from functools import cache

# A thread that comes back from the database waits so long for one that computes: COPY sends a chunk in many pieces. So
# does one that comes back from Arrow, while a source is read.
SWITCH_SECONDS = 0.0005


@cache
def settle_interpreter() -> None:
    """Let threads take turns sooner, and let the collector leave alone what there is already; once in a process.

    Prefect, pandas and the app are half a million objects that stay anyway: every look at all of them takes a third of
    a second, and a long run has many.
    """
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
