"""What restock cannot load through: engines of an app with which rows and ledger would not be written together."""

from __future__ import annotations

import sqlalchemy as sa

from restock.errors import ConfigurationError


def check_engine(engine: sa.Engine, app_reference: str) -> None:
    """Make sure that restock's transactions are transactions on this engine, and reach the tables they name.

    Raises:
        ConfigurationError: they would not.
    """
    if engine.dialect.name == "sqlite" and engine.dialect.get_pool_class(engine.url) is sa.SingletonThreadPool:
        raise ConfigurationError(
            f"The app {app_reference} has a SQLite database in memory, which is gone when the command ends; give it a "
            "file."
        )
    if isinstance(engine.pool, sa.StaticPool | sa.SingletonThreadPool):
        # The heartbeat of the lease would commit what a chunk has written so far, or roll it back.
        raise ConfigurationError(
            f"The engine of the app {app_reference} has a {type(engine.pool).__name__}, with which transactions would "
            "share a connection; leave poolclass out of its options, or set it to NullPool."
        )
    if "AUTOCOMMIT" in (engine.get_execution_options().get("isolation_level"), _level_of_connections(engine)):
        raise ConfigurationError(
            f"The engine of the app {app_reference} has the isolation level AUTOCOMMIT, with which half a chunk would "
            "stay where the other half fails; leave isolation_level out of its options."
        )
    if engine.get_execution_options().get("schema_translate_map"):
        # SQLAlchemy translates its own statements, but neither COPY nor whatever else goes to the driver as it is.
        raise ConfigurationError(
            f"The engine of the app {app_reference} has a schema_translate_map, by which rows could come into a schema "
            "that was not meant; give restock an app without it: name the schema in the model, or in the search_path "
            "of the database's user."
        )


def _level_of_connections(engine: sa.Engine) -> object:
    """The isolation level that every new connection gets: SQLAlchemy tells it nowhere else."""
    return getattr(engine.dialect, "_on_connect_isolation_level", None)
