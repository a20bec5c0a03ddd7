"""What restock cannot load through: engines of an app with which rows and ledger would not be written together."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from restock.errors import ConfigurationError


def engine_of(session: Session, model: type[Any], app_reference: str) -> sa.Engine:
    """The engine on which the app's sessions read and write a model, for all that restock does with it.

    Raises:
        ConfigurationError: there is none that restock could load through.
    """
    mapper = sa.inspect(model)
    engine = session.get_bind(mapper=mapper)
    updating = session.get_bind(mapper=mapper, clause=sa.update(mapper.tables[0]))
    session._flushing = True  # what a session that tells reads from writes goes by
    try:
        flushing = session.get_bind(mapper=mapper)
    finally:
        session._flushing = False
    if not (engine is updating is flushing):
        # The ledger would be written in one database, and some rows in another.
        raise ConfigurationError(
            f"The sessions of the app {app_reference} read {model.__name__} from one database and write it to another; "
            "give restock an app whose sessions use only the one that is written."
        )
    assert isinstance(engine, sa.Engine)
    _check(engine, app_reference)
    return engine


def _check(engine: sa.Engine, app_reference: str) -> None:
    """Make sure that restock's transactions are transactions on this engine, and reach the tables they name."""
    dialect: Any = engine.dialect
    if dialect.name == "sqlite" and dialect.get_pool_class(engine.url) is sa.SingletonThreadPool:
        raise ConfigurationError(
            f"The app {app_reference} has a SQLite database in memory, which is gone when the command ends; give it a "
            "file."
        )
    if "@" in (engine.url.host or ""):
        raise ConfigurationError(
            f"The database URL of the app {app_reference} has an @ too many, and what is said to be its host may hold "
            "part of a password; write an @ in a password as %40."
        )
    if isinstance(engine.pool, sa.StaticPool | sa.SingletonThreadPool):
        # The heartbeat of the lease would commit what a chunk has written so far, or roll it back.
        raise ConfigurationError(
            f"The engine of the app {app_reference} has a {type(engine.pool).__name__}, with which transactions would "
            "share a connection; leave poolclass out of its options, or set it to NullPool."
        )
    if engine.get_execution_options().get("schema_translate_map"):
        # SQLAlchemy translates its own statements, but neither COPY nor whatever else goes to the driver as it is.
        raise ConfigurationError(
            f"The engine of the app {app_reference} has a schema_translate_map, by which rows could come into a schema "
            "that was not meant; give restock an app without it: name the schema in the model, or in the search_path "
            "of the database's user."
        )


def check_transaction(connection: sa.Connection, app_reference: str) -> None:
    """Make sure that a transaction which has begun is one: engine, driver or a listener may have it otherwise.

    Raises:
        ConfigurationError: each of its statements would be committed by itself.
    """
    if _commits_each_statement(connection):
        raise ConfigurationError(
            f"The connections of the app {app_reference} commit each statement by itself (AUTOCOMMIT), so half a chunk "
            "would stay where the other half fails; leave isolation_level and autocommit out of its engine options."
        )


def _commits_each_statement(connection: sa.Connection) -> bool:
    driver: Any = connection.connection.dbapi_connection
    is_told = driver.get_autocommit() if hasattr(driver, "get_autocommit") else getattr(driver, "autocommit", None)
    if connection.dialect.name == "sqlite":  # an app may begin its transactions itself
        return (is_told is True or driver.isolation_level is None) and not driver.in_transaction
    return bool(is_told)
