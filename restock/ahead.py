"""One step ahead: the next thing is made in a thread while the caller uses the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

Thing = TypeVar("Thing")


def ahead(things: Iterable[Thing]) -> Iterator[Thing]:
    """The same things in the same order. Where making one fails, its error comes in its turn.

    At most two things exist at a time: the one in use and the next. Whoever stops early waits for the next to be made.
    """
    context, source = copy_context(), iter(things)

    def make() -> list[Thing]:
        return context.run(lambda: list(islice(source, 1)))

    with ThreadPoolExecutor(1, thread_name_prefix="restock-ahead") as pool:
        coming = pool.submit(make)
        while made := coming.result():
            coming = pool.submit(make)
            yield made.pop()
