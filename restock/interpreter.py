"""How the interpreter divides its time, and keeps its memory, while a feed is read and its chunks are loaded."""

from __future__ import annotations

import gc
import sys
from functools import cache

# A thread that comes back from the database waits so long for one that computes. COPY sends a chunk in many pieces.
SWITCH_SECONDS = 0.0005
# What GNU's C library takes for large is mapped anew each time it is asked for, until something larger is given back.
# This is the most that it learns from (M_MMAP_THRESHOLD in mallopt(3)); other libraries learn nothing and lose nothing.
LARGE_BYTES = 31 * 1024 * 1024


@cache
def settle_interpreter() -> None:
    """Let threads take turns sooner, the collector leave alone what there is, and memory stay; once in a process.

    Blocks and chunks of some megabytes come and go thousands of times: where the kernel has to clear each of their
    pages again, a load takes a tenth more of the processor.

    Prefect, pandas and the app are half a million objects that stay anyway: every look at all of them takes a third of
    a second, and a long run has many.
    """
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
    bytes(LARGE_BYTES)  # given back at once
