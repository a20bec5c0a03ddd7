"""Sends rows into a table column by column, in the fastest way that the driver has for them."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

from sinks.database.driver_calls import execute_by
from sinks.model.values import Values, as_list
from sinks.rows.mariadb_insert import insert_rows
from sinks.rows.postgresql_copy import copy_in


def send(connection: sa.Connection, table: sa.TableClause, columns: Mapping[str, Values]) -> None:
    """Insert rows into a table: values by column, as the driver takes them. A None is NULL.

    Raises:
        SQLAlchemyError: the database refused them.
    """
    if not len(next(iter(columns.values()))):
        return
    if copy_in(connection, table, columns) or insert_rows(connection, table, columns):
        return
    _insert(connection, table, columns)


def _insert(connection: sa.Connection, table: sa.TableClause, columns: Mapping[str, Values]) -> None:
    sent = {f"v{place}": as_list(values) for place, values in enumerate(columns.values())}
    types = [table.c[name].type for name in columns]
    binds = [sa.bindparam(name, type_=type_) for name, type_ in zip(sent, types, strict=True)]
    compiled = sa.insert(table).values(dict(zip(columns, binds, strict=True))).compile(dialect=connection.dialect)
    # The values are bound already: the types of the columns have had their say.
    if isinstance(compiled, SQLCompiler) and compiled.positiontup is not None:
        in_turn = [sent[name] for name in compiled.positiontup]
        # Row by row, as the driver asks for them: a list of them would be made, and looked at by the collector, first.
        execute_by(connection, str(compiled), lambda cursor, sql: cursor.executemany(sql, zip(*in_turn, strict=True)))
    else:
        rows = [dict(zip(sent, row, strict=True)) for row in zip(*sent.values(), strict=True)]
        connection.exec_driver_sql(str(compiled), rows)
