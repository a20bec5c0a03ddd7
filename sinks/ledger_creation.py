"""Creates the ledger's tables on first use, and brings those of an older restock up to date.

Several first runs may do that at once.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateColumn

from restock.errors import ConfigurationError
from sinks.app_database import AppDatabase
from sinks.db_errors import describe
from sinks.ledger_tables import metadata
from sinks.retries import with_retries


def create_tables(database: AppDatabase) -> None:
    """Create what the ledger lacks: all of its tables, or the tables and columns that came later.

    Raises:
        ConfigurationError: the database user may not create them.
    """
    lacking = _lacking(database)
    others_left = len(metadata.tables) + len(lacking)
    while lacking:
        try:
            with database.engine.begin() as connection:
                metadata.create_all(connection)
                for column in (each for each in lacking if isinstance(each, sa.Column)):
                    _add(connection, column)
        except SQLAlchemyError as error:
            # Another first run may be creating them in this moment: one by one, on MariaDB, so one may meet each.
            others_left -= 1
            if _lacking(database) and not others_left:
                raise ConfigurationError(
                    f"The ledger tables ({', '.join(metadata.tables)}) cannot be created or brought up to date in "
                    f"{database.address} ({describe(error)}); let a database user who may create and alter tables run "
                    "`restock init` once."
                ) from error
        lacking = _lacking(database)


def is_there(database: AppDatabase) -> bool:
    """Whether the database has a ledger. One of an older restock is brought up to date.

    Raises:
        ConfigurationError: the database user may not do that.
    """
    lacking = _lacking(database)
    if len([each for each in lacking if isinstance(each, sa.Table)]) == len(metadata.tables):
        return False
    if lacking:
        create_tables(database)
    return True


def _lacking(database: AppDatabase) -> list[sa.Table | sa.Column[object]]:
    """The tables that are missing, and the columns that are missing in the others."""

    def look() -> list[sa.Table | sa.Column[object]]:
        with database.engine.connect() as connection:
            inspector = sa.inspect(connection)
            there = set(inspector.get_table_names())
            lacking: list[sa.Table | sa.Column[object]] = []
            for table in metadata.sorted_tables:
                if table.name not in there:
                    lacking.append(table)
                    continue
                names = {column["name"] for column in inspector.get_columns(table.name)}
                lacking += [column for column in table.columns if column.name not in names]
        return lacking

    return with_retries(look, f"looking for the ledger in {database.address}")


def _add(connection: sa.Connection, column: sa.Column[object]) -> None:
    table = connection.dialect.identifier_preparer.format_table(column.table)
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {definition}")
