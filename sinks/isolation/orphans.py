"""Rows of a chunk whose parent is in no table: likely to be refused, all of them, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from sinks.database.db_errors import Trouble, trouble_of
from sinks.staging.stage import Stage


def likely_orphans(stage: Stage) -> set[int]:
    """The positions of staged rows that refer to rows of other tables which are not there.

    It is for the database to refuse them. Where it may not be asked the guess is none.
    """
    connection = stage.connection
    try:
        with connection.begin_nested():
            asked = sa.select(stage.position).where(sa.or_(sa.false(), *_lacks_parent(stage)))
            return set(connection.execute(asked).scalars())
    except SQLAlchemyError as error:
        if trouble_of(error) is not Trouble.FATAL:
            raise  # it may have ended the transaction
        return set()  # the app's user may not read the other table, perhaps


def _lacks_parent(stage: Stage) -> Iterator[sa.ColumnElement[bool]]:
    """Whether a staged row lacks one, for each foreign key that the chunk fills into another table than its own."""
    table = stage.target.table
    for each in sa.inspect(stage.connection).get_foreign_keys(table.name, table.schema):
        columns, referred = each["constrained_columns"], each["referred_columns"]
        is_filled = set(columns) <= set(stage.table.c.keys())
        if each["referred_table"] == table.name or not is_filled or len(columns) != len(referred):
            continue
        others: list[sa.ColumnClause[Any]] = [sa.column(name) for name in referred]
        parents = sa.table(each["referred_table"], *others, schema=each["referred_schema"])
        sent = [stage.table.c[name] for name in columns]
        is_there = (
            sa.exists()
            .select_from(parents)
            .where(*(parents.c[other] == value for other, value in zip(referred, sent, strict=True)))
        )
        yield sa.and_(*(value.is_not(None) for value in sent), sa.not_(is_there))
