"""Lends a transaction to the app: while it lasts, the app's own code meets its session as `db.session`.

Listeners, validators, constructors and defaults of Flask-SQLAlchemy apps add to `db.session` and ask it. If that were
another session than the one a chunk is written through, nobody would commit what they add, and they would not find
the rows beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from restock.errors import ConfigurationError


@contextmanager
def lent(session: Session, db_session: scoped_session[Session], model: str) -> Iterator[None]:
    """Let a session that has begun its transaction be the app's `db.session`, inside an app context of its own.

    The app keeps it until that context ends and closes it, for a COMMIT may have more of the app's code run.

    Args:
        model: whose code runs, as an error is to name it.

    Raises:
        ConfigurationError: the app's code commits the transaction, or has rolled it back.
    """
    begun, is_refused = session.get_transaction(), False

    def refuse(committing: Session) -> None:
        nonlocal is_refused
        if not committing.in_nested_transaction():  # the end of a savepoint commits nothing
            is_refused = True
            raise _ended(model, "commits")

    def check(met: SQLAlchemyError | None = None) -> None:
        if is_refused or session.get_transaction() is not begun:
            raise _ended(model, "commits" if is_refused else "rolls back") from met

    db_session.registry.set(session)
    sa.event.listen(session, "before_commit", refuse)
    try:
        yield
    except SQLAlchemyError as error:  # within a flush, which says no more than that its transaction is closed
        check(error)
        raise
    finally:
        sa.event.remove(session, "before_commit", refuse)
    check()  # the app's code may have gone on


def _ended(model: str, does: str) -> ConfigurationError:
    return ConfigurationError(
        f"Code of the model {model} (a listener, validator, constructor or default) {does} db.session while a chunk is "
        "written, so half of the chunk would stay; have it add and ask only, or set `writer: copy` if listeners may be "
        "skipped."
    )
