"""The database behind a model of the user's Flask app: where transactions of the app's sessions begin and end."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import NoSuchTableError, SAWarning, SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from restock.errors import ConfigurationError
from restock.paths import shown
from restock.references import resolve
from sinks.database.engine_rules import check_transaction, engine_of
from sinks.database.time_limits import limit_transaction, usual_lease_seconds
from sinks.database.user_app import open_app

log = logging.getLogger("restock")

_engines = WeakSet[sa.Engine]()


def _leave_connections() -> None:
    """A connection belongs to the process that opened it; this one, which was forked from that, opens its own."""
    for engine in list(_engines):
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_connections)


class CommitUnknown(Exception):
    """COMMIT raised, so nobody here knows whether it happened: only the ledger does. `__cause__` is the error."""


class AppDatabase:
    """One bind of one Flask app: the database that holds a model, and the ledger beside it."""

    def __init__(self, app: Flask, model: type[Any], app_reference: str, lease_seconds: float | None = None) -> None:
        self.app = app
        self.model = model
        self.app_reference = app_reference
        self.db_session: scoped_session[Session] = app.extensions["sqlalchemy"].session
        self._sessions: sessionmaker[Session] = self.db_session.session_factory
        with app.app_context(), self._sessions() as session:
            self.engine = engine = engine_of(session, model, app_reference)
        _engines.add(engine)
        # For so long a lease here lasts unless it is renewed, and a transaction may be silent.
        self.lease_seconds = lease_seconds or usual_lease_seconds(engine.dialect.name)
        pool = type(engine.pool)
        logging.getLogger(f"{pool.__module__}.{pool.__name__}").addFilter(_without_traceback)
        if engine.dialect.name == "postgresql":
            # It warns once for every row that is looked for under savepoints; what was refused, the rejects say.
            logging.getLogger("psycopg").setLevel(logging.ERROR)

    @property
    def dialect(self) -> str:
        """sqlite, postgresql, mysql or mariadb."""
        return self.engine.dialect.name

    @property
    def identity(self) -> str:
        """What tells databases apart. Their addresses for people may be one, where only a socket's folder differs."""
        return self.engine.url.render_as_string()

    @property
    def address(self) -> str:
        """Where the database is, without user name, password or options."""
        url = self.engine.url
        if self.dialect == "sqlite":
            return f"the SQLite file {shown(url.database or '')}"
        host = f"{url.host}:{url.port}" if url.host and url.port else url.host or ""
        return f"{url.get_backend_name()}://{host}/{url.database or ''}"

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction in a fresh app context and session, committed at the end of the block.

        Raises:
            CommitUnknown: COMMIT itself raised. After any other error nothing of the block is kept.
            ConfigurationError: the app's connections commit each statement.
        """
        with self.app.app_context(), self.new_session() as session:
            committing = False
            try:
                connection = self.connection(session)
                check_transaction(connection, self.app_reference)
                limit_transaction(connection, self.lease_seconds)
                yield session
                committing = True
                session.commit()
            except BaseException as error:
                _roll_back(session)
                if committing and isinstance(error, Exception):
                    raise CommitUnknown from error
                raise

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Such a transaction for whoever needs no session of it: the connection that the ledger is written through."""
        with self.transaction() as session:
            yield self.connection(session)

    def columns_of(self, table: sa.Table) -> dict[str, sa.types.TypeEngine[Any]] | None:
        """The columns that the database has in a table, with their types, or None if it has no such table.

        Nothing is made by asking: SQLite would make the file that is missing.
        """
        file = Path(self.engine.url.database or "")
        if self.dialect == "sqlite" and file.is_absolute() and file.parent.is_dir() and not file.exists():
            return None
        with self.engine.connect() as connection, warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # of a type that SQLAlchemy does not know
            try:
                found = sa.inspect(connection).get_columns(table.name, schema=table.schema)
            except NoSuchTableError:
                return None
        return {column["name"]: column["type"] for column in found}

    def new_session(self) -> Session:
        """A session of the app's own factory, with its listeners; to be used inside an app context, and closed."""
        return self._sessions()

    def connection(self, session: Session) -> sa.Connection:
        """The connection of the session's transaction on the model's bind."""
        return session.connection(bind_arguments={"mapper": sa.inspect(self.model)})


def _roll_back(session: Session) -> None:
    """End the transaction for certain: a COMMIT that failed on SQLite leaves its connection inside the transaction.

    What ended the block is for the caller to know, so an error from the rollback is no more than logged.
    """
    try:
        session.rollback()
    except SQLAlchemyError as error:
        # For one: a deadlock on MariaDB ends the transaction, and then its savepoints cannot be rolled back.
        session.invalidate()
        log.info("A connection was closed, since it could not be rolled back (%s).", type(error).__name__)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Keep from the logs what a pool tells of a connection that is lost on its way back: it quotes earlier rows."""
    record.exc_info = None
    return True


def open_database(app_reference: str, model_reference: str, feed: str, lease_seconds: float | None) -> AppDatabase:
    """The database of a feed's app and model, made once per process.

    Args:
        lease_seconds: how long a lease lasts there unless it is renewed; None for what suits the kind of database.

    Raises:
        ConfigurationError: the app or the model cannot be imported or used.
    """
    return _open_database(app_reference, model_reference, feed, lease_seconds, os.getpid())


@cache
def _open_database(
    app_reference: str, model_reference: str, feed: str, lease_seconds: float | None, _process: int
) -> AppDatabase:
    app = open_app(app_reference, _process)
    model = resolve(model_reference, f"the model of feed {feed}")
    if not isinstance(model, type) or sa.inspect(model, raiseerr=False) is None:
        raise ConfigurationError(
            f"The model of feed {feed}, {model_reference}, is not a mapped SQLAlchemy class; name one of the app's "
            "models."
        )
    try:
        return AppDatabase(app, model, app_reference, lease_seconds)
    except SQLAlchemyError as error:
        raise ConfigurationError(
            f"The model {model_reference} of feed {feed} does not belong to the app {app_reference}: its database has "
            f"no bind for it ({type(error).__name__}); name the app that defines the model."
        ) from error
