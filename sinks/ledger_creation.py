"""Creates the ledger's tables on first use, also where several first runs do it at once."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from restock.errors import ConfigurationError
from sinks.app_database import AppDatabase
from sinks.db_errors import describe
from sinks.ledger_tables import metadata
from sinks.retries import with_retries


def create_tables(database: AppDatabase) -> None:
    """Create those of the ledger's tables that are missing.

    Raises:
        ConfigurationError: the database user may not create them.
    """

    def missing() -> bool:
        with database.engine.connect() as connection:
            there = set(sa.inspect(connection).get_table_names())
        return not set(metadata.tables) <= there

    if not with_retries(missing, f"looking for the ledger in {database.address}"):
        return
    for others_left in reversed(range(len(metadata.tables))):
        try:
            with database.engine.begin() as connection:
                metadata.create_all(connection)
            return
        except SQLAlchemyError as error:
            # Another first run may be creating them in this moment: one by one, on MariaDB, so one may meet each.
            if not with_retries(missing, "looking for the ledger"):
                return
            if not others_left:
                raise ConfigurationError(
                    f"The ledger tables ({', '.join(metadata.tables)}) cannot be created in {database.address} "
                    f"({describe(error)}); let a database user who may create tables run `restock init` once."
                ) from error
