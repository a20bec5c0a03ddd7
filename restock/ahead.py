"""Work in the background: ahead of the caller, or beside others."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Thing = TypeVar("Thing")
Made = TypeVar("Made")

# More would not be faster: the thread that takes the things and uses what was made of them keeps up with no more. Nor
# would more than there are cores, and each holds a thing in memory.
THREADS = max(2, min(4, os.cpu_count() or 1))


def background(work: Callable[[], Thing]) -> Future[Thing]:
    """Do some work in a thread of its own, in the caller's context. The process may end before the work does."""
    outcome: Future[Thing] = Future()
    context = copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(work))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="restock-background", daemon=True).start()
    return outcome


def in_order(
    work: Callable[[Thing], Made], things: Iterable[Thing], ready: int = THREADS
) -> Generator[Made, None, None]:
    """What some work makes of each thing, in the order of the things. Where it fails, its error comes in its turn.

    Some threads work ahead of the caller; the things themselves are made in the caller's. Whoever stops early, and
    closes the iterator, waits for those that are begun.

    Args:
        ready: how many things are made and not yet handed over. With one more than there are threads none of them
            waits while the caller makes the next, which is worth it where a thing takes little memory.
    """
    source, begun = iter(things), deque[Future[Made]]()
    pool = ThreadPoolExecutor(THREADS, "restock-in-order")
    try:
        while True:
            try:
                for thing in islice(source, ready - len(begun)):
                    begun.append(pool.submit(copy_context().run, work, thing))
            except Exception as error:  # what came before it comes first
                begun.append(Future())
                begun[-1].set_exception(error)
            if not begun:
                return
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
