"""Work in the background: one step ahead of the caller, or beside others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Thing = TypeVar("Thing")


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


def ahead(things: Iterable[Thing]) -> Iterator[Thing]:
    """The same things in the same order. Where making one fails, its error comes in its turn.

    At most two things exist at a time: the one in use and the next. Whoever stops early waits for the next to be made.
    """
    source = iter(things)
    coming = background(lambda: list(islice(source, 1)))
    try:
        while made := coming.result():
            coming = background(lambda: list(islice(source, 1)))
            yield made.pop()
    finally:
        wait([coming])
