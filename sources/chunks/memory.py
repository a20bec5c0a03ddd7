"""Where Arrow takes memory from, and how long a process holds on to what it has had."""

from __future__ import annotations

import ctypes
import os

import pyarrow as pa

# What glibc calls them in malloc.h: how much free memory at the end of its heap goes back to the system at once; from
# which size on a piece is asked of the system alone, and goes back when it is free; among how many heaps threads are
# divided.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# The rows of a chunk, of 50,000 of usual width, are a quarter of it.
_PIECE = 64 * 2**20
_KEPT = 256 * 2**20


def settle_memory() -> None:
    """Let each chunk use the memory of those before it, unless the environment has chosen an allocator for Arrow.

    To be given a page anew costs more than to fill it: without this, a night spent a sixth of its time in the kernel,
    for pages that it had just given back. Arrow's own pieces come from jemalloc, which gives back after a second what
    is not used again: of its usual allocator, ten million rows took twice as much memory, and of glibc's a half more.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" in os.environ:
        return
    mallopt = getattr(ctypes.pythonapi, "mallopt", None)  # of glibc, and of no other
    if mallopt is not None:
        for parameter, value in ((_MMAP_THRESHOLD, _PIECE), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, 2)):
            mallopt(parameter, value)
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
