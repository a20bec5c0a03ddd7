"""Where the time of a run goes, by stage: the stacks of its threads are looked at every few milliseconds from outside.

The product holds no timing code; a stack's innermost frame in one of our rooms says which stage is at work.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parent.parent
PAUSE_SECONDS = 0.004
STAGES = (
    "extract", "duplicates", "spool", "transform", "contract", "encode", "database", "ledger", "Prefect", "flow",
)  # fmt: skip
ROOMS = ("restock", "sources", "transforms", "sinks", "flows")
WAITING = ("threading.py", "queue.py", "_base.py", "thread.py", "selectors.py")


@contextmanager
def sampling() -> Iterator[dict[str, float]]:
    """Seconds by stage of what happens inside the block; complete when it ends.

    Where several threads are at work, each counts, so the sum may be more than the block took.
    """
    seconds: dict[str, float] = defaultdict(float)
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(seconds, ended, threading.get_ident()), daemon=True)
    sampler.start()
    try:
        yield seconds
    finally:
        ended.set()
        sampler.join()


def _sample(seconds: dict[str, float], ended: threading.Event, main: int) -> None:
    before = time.perf_counter()
    while not ended.wait(PAUSE_SECONDS):
        frames = sys._current_frames()
        now = time.perf_counter()
        # A look may come late, while a library keeps the interpreter to itself: the time since the last one counts.
        for thread, frame in frames.items():
            stage = _stage(frame, thread == main)
            if stage is not None:
                seconds[stage] += now - before
        before = now


def _stage(frame: FrameType, is_main: bool) -> str | None:
    waits = Path(frame.f_code.co_filename).name in WAITING
    stack = [(_place(each), each.f_code.co_name) for each in _outwards(frame)]
    ours = [(place, name) for place, name in stack if place.partition("/")[0] in ROOMS]
    if not ours or (waits and not is_main):
        return None
    if waits and (ours[0][0] == "flows/runs/loading" or not any("prefect" in place for place, _ in stack)):
        return None  # for its own threads, which count themselves
    if any(name == "canonical_keys" for _, name in ours):
        return "duplicates"
    for place, name in ours:
        stage = _stage_of(place, name, stack)
        if stage is not None:
            return stage
    return "Prefect" if stack[0][0].startswith("prefect") or _inside_prefect(stack) else "flow"


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frame: FrameType) -> str:
    """Room and module of a frame of ours; of others, the path below the packages."""
    path = frame.f_code.co_filename
    if path.startswith(str(ROOT)) and "site-packages" not in path:
        return path[len(str(ROOT)) + 1 :].removesuffix(".py")
    return path.rpartition("site-packages/")[2]


def _stage_of(place: str, name: str, stack: list[tuple[str, str]]) -> str | None:
    """The stage of a frame of ours, or None for one that only passes things on."""
    room, *inner, module = place.split("/")
    if room == "sources":
        return "spool" if module == "spool" else "duplicates" if inner == ["duplicates"] else "extract"
    if room == "transforms":
        return "contract" if any(each == "transforms/contract_check" for each, _ in stack) else "transform"
    if module == "records" or "encod" in module or "encod" in name:
        return "encode"
    if room == "sinks":
        return "ledger" if inner == ["ledger"] else "database"
    return None


def _inside_prefect(stack: list[tuple[str, str]]) -> bool:
    """Whether the innermost frame of a library that we called belongs to Prefect or what it stands on."""
    for place, _ in stack:
        if place.partition("/")[0] in ROOMS:
            return False
        if place.startswith("prefect"):
            return True
    return False
