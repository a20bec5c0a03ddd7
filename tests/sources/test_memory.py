"""Memory that one chunk has used serves the next, unless the environment has chosen an allocator."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pyarrow as pa
import pytest

FIVE_PIECES = """\
import resource
import pyarrow as pa
from sources.chunks.memory import settle_memory

settle_memory()
faults = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [bytes([1]) * (20 * 2**20) for _ in range(5)]
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    del pieces
print(faults[-1], pa.default_memory_pool().backend_name)
"""


def settled(**environment: str) -> tuple[int, str]:
    """Pages that were given anew for five pieces when there had been five before, and what Arrow takes memory from."""
    plain = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    told = subprocess.run(
        [sys.executable, "-c", FIVE_PIECES], env=plain | environment, capture_output=True, text=True, check=True
    )
    pages, backend = told.stdout.split()
    return int(pages), backend


@pytest.mark.skipif(not hasattr(ctypes.pythonapi, "mallopt"), reason="This system's allocator takes no such wishes.")
def test_pieces_take_the_memory_of_those_before_them() -> None:
    pages, _ = settled()

    assert pages < 1000


@pytest.mark.skipif("jemalloc" not in pa.supported_memory_backends(), reason="PyArrow comes without jemalloc here.")
def test_arrow_takes_memory_from_what_gives_it_back() -> None:
    assert settled()[1] == "jemalloc"


def test_whoever_chooses_an_allocator_for_arrow_has_it() -> None:
    assert settled(ARROW_DEFAULT_MEMORY_POOL="system")[1] == "system"
