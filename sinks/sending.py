"""Sends rows into a table column by column, in the fastest way that the driver has for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from sinks.mariadb_insert import insert_rows
from sinks.postgresql_copy import copy_in
from sinks.rows import Values, as_list


def send(connection: sa.Connection, table: sa.TableClause, columns: Mapping[str, Values]) -> None:
    """Insert rows into a table: values by column, as the driver takes them. A None is NULL.

    Raises:
        SQLAlchemyError: the database refused them.
    """
    if not len(next(iter(columns.values()))):
        return
    if copy_in(connection, table, columns) or insert_rows(connection, table, columns):
        return
    with _before_the_transaction(connection):
        _insert(connection, table, columns)


def _insert(connection: sa.Connection, table: sa.TableClause, columns: Mapping[str, Values]) -> None:
    sent = {f"v{place}": as_list(values) for place, values in enumerate(columns.values())}
    types = [table.c[name].type for name in columns]
    binds = [sa.bindparam(name, type_=type_) for name, type_ in zip(sent, types, strict=True)]
    compiled = sa.insert(table).values(dict(zip(columns, binds, strict=True))).compile(dialect=connection.dialect)
    # The values are bound already: the types of the columns have had their say.
    if isinstance(compiled, SQLCompiler) and compiled.positiontup is not None:
        rows: list[Any] = list(zip(*(sent[name] for name in compiled.positiontup), strict=True))
    else:
        rows = [dict(zip(sent, row, strict=True)) for row in zip(*sent.values(), strict=True)]
    connection.exec_driver_sql(str(compiled), rows)


@contextmanager
def _before_the_transaction(connection: sa.Connection) -> Iterator[None]:
    """On SQLite, leave no transaction open that was not: it would hold on to what it has read.

    The driver begins one with any INSERT, also into a temporary table; reading in it, and writing when another program
    has written meanwhile, would fail at once.
    """
    driver: Any = connection.connection.dbapi_connection
    was_begun = connection.dialect.name != "sqlite" or driver.in_transaction
    yield
    if not was_begun:
        driver.commit()
