"""Ends a run in good order when the process is asked to stop: Ctrl-C in a terminal, SIGTERM from anybody."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from restock.errors import RunInterrupted

# A chunk under way may end by itself for so long, then it is rolled back. Who sends SIGTERM usually kills after 30 s.
PATIENCE_SECONDS = 12

# Signals belong to the process, and so does what they asked for.
_asked_to_stop = threading.Event()


@contextmanager
def heeding_signals() -> Iterator[None]:
    """Stop between two chunks at the first SIGINT or SIGTERM while the block lasts, and at once at the second.

    Only the main thread of a process may listen; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not any(signal.getsignal(number) is _ask for number in (signal.SIGINT, signal.SIGTERM)):
        _asked_to_stop.clear()  # listened to further out, a request that has been heard must not be forgotten
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, _ask),
        signal.SIGTERM: signal.signal(signal.SIGTERM, _ask),
        signal.SIGALRM: signal.signal(signal.SIGALRM, _roll_back),
    }
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def is_asked_to_stop() -> bool:
    """Whether nothing new should be begun."""
    return _asked_to_stop.is_set()


def check_stop() -> None:
    """Go on, unless the process was asked to stop.

    Raises:
        RunInterrupted: it was.
    """
    if _asked_to_stop.is_set():
        raise RunInterrupted("restock was asked to stop and did. Nothing is half done; start again to go on.")


def _ask(number: int, _frame: FrameType | None) -> None:
    if _asked_to_stop.is_set():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _asked_to_stop.set()
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)


def _roll_back(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
