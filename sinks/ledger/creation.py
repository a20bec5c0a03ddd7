"""Creates the ledger's tables on first use, and brings those of an older restock up to date.

Several first runs may do that at once.
"""

from __future__ import annotations

from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateColumn

from restock.errors import ConfigurationError, SinkUnavailable
from sinks.database.app_database import AppDatabase
from sinks.database.db_errors import PASSING, trouble_of, when_over
from sinks.database.error_codes import describe
from sinks.database.retries import with_retries
from sinks.ledger.tables import metadata

# Databases whose ledger was seen to lack nothing: a process asks each of them once.
_whole: WeakSet[sa.Engine] = WeakSet()


def create_tables(database: AppDatabase) -> None:
    """Create what the ledger lacks: all of its tables, or the tables and columns that came later.

    Raises:
        ConfigurationError: the database user may not create them.
        SinkUnavailable: the database is away, locked, or takes no writes.
    """
    lacking = _lacking(database)
    others_left = len(metadata.tables) + len(lacking)
    while lacking:
        try:
            with database.engine.begin() as connection:
                for each in lacking:
                    if isinstance(each, sa.Table):
                        each.create(connection)
                    else:
                        _add(connection, each)
            _whole.add(database.engine)
            return
        except SQLAlchemyError as error:
            # Another first run may be creating them in this moment: one by one, on MariaDB, so one may meet each.
            others_left -= 1
            if _lacking(database) and not others_left:
                told = (
                    f"The ledger tables ({', '.join(metadata.tables)}) cannot be created or brought up to date in "
                    f"{database.address} ({describe(error)})"
                )
                if trouble_of(error) in PASSING:
                    raise SinkUnavailable(f"{told}; start again {when_over(error)}.") from error
                raise ConfigurationError(
                    f"{told}; let a database user who may create and alter tables run `restock init` once."
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
            found = sa.inspect(connection).get_multi_columns(filter_names=list(metadata.tables))
        there = {name: {column["name"] for column in columns} for (_, name), columns in found.items()}
        lacking: list[sa.Table | sa.Column[object]] = []
        for table in metadata.sorted_tables:
            names = there.get(table.name)
            lacking += [table] if names is None else [each for each in table.columns if each.name not in names]
        return lacking

    if database.engine in _whole:
        return []
    lacking = with_retries(look, f"looking for the ledger in {database.address}")
    if not lacking:
        _whole.add(database.engine)
    return lacking


def _add(connection: sa.Connection, column: sa.Column[object]) -> None:
    table = connection.dialect.identifier_preparer.format_table(column.table)
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {definition}")
