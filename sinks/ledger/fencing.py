"""When in its transaction a chunk's fence is closed: before its rows are written, but on SQLite after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def fenced(connection: sa.Connection, close: Callable[[], None]) -> Iterator[None]:
    """Close the fence of the transaction whose rows are written in the block.

    On SQLite the first write locks the whole file, and most of what a writer does is to make its rows ready: that is
    done before the lock is taken if the fence, which writes as well, comes after the rows. Whoever may not write learns
    of it late, and nothing of the transaction is kept. Elsewhere the fence comes first: another run that takes the
    lease then waits for this transaction, or ends it, before it meets its rows.
    """
    if connection.dialect.name != "sqlite":
        close()
        yield
        return
    is_closed = False

    def close_once(*_savepoint: object) -> None:
        nonlocal is_closed
        if not is_closed:
            is_closed = True
            close()

    # Where the driver has begun no transaction yet, the release of a savepoint would commit what was written in it.
    sa.event.listen(connection, "savepoint", close_once)
    try:
        yield
    finally:
        sa.event.remove(connection, "savepoint", close_once)
    close_once()
