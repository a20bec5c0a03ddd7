"""How this process divides its time and keeps its memory while feeds are read and chunks are loaded."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache

import pyarrow as pa

# A thread that comes back from the database waits so long for one that computes. COPY sends a chunk in many pieces.
SWITCH_SECONDS = 0.0005

# The numbers that glibc's malloc.h has for these options.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# Memory of up to so many bytes is kept when it is free: the next chunk needs as much. More than 32 MiB glibc refuses.
_KEPT_BYTES = 32 * 2**20
# Free memory at the end of the heap goes back to the system when there is so much of it.
_LEFT_OVER_BYTES = 256 * 2**20
# Every arena keeps free memory of its own; many threads take turns at one chunk's.
_ARENAS = 2


@cache
def settle_interpreter() -> None:
    """Let threads take turns sooner, keep freed memory, and let the collector leave alone what there is already.

    Once in a process. Prefect, pandas and the app are half a million objects that stay anyway: every look at all of
    them takes a third of a second, and a long run has many.
    """
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
    _keep_memory()


def _keep_memory() -> None:
    """Have Arrow and everybody else take memory from one place, which keeps what is freed.

    Left to themselves, each gives back what a chunk took and fetches it anew for the next one: a sixth of the
    processor's time of a nightly feed goes into empty pages.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # not glibc: what another C library does with freed memory is not known here
    set_option(_ARENA_MAX, _ARENAS)
    set_option(_MMAP_THRESHOLD, _KEPT_BYTES)
    set_option(_TRIM_THRESHOLD, _LEFT_OVER_BYTES)
    pa.set_memory_pool(pa.system_memory_pool())
