"""Whether the table in the database is what the model says of it: looked at before a source is read for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from restock.contract import Kind
from restock.errors import ConfigurationError
from restock.feeds import Feed
from sinks.database.app_database import AppDatabase
from sinks.database.engine_rules import check_transaction
from sinks.database.retries import with_retries
from sinks.model.column_specs import stored_kind
from sinks.model.conflict_clauses import conflict_clauses
from sinks.model.keys_as_text import key_in_another_form
from sinks.model.target import Target

# Text and numbers are compared by other rules: `00123` and `123` are two keys or one.
_FAMILIES = {Kind.TEXT: "text", **dict.fromkeys((Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT), "a number")}

_WITHOUT_TRANSACTIONS = sa.text("""
    SELECT engine FROM information_schema.tables JOIN information_schema.engines USING (engine)
    WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name AND transactions = 'NO'
""")


def check_fit(database: AppDatabase, target: Target, feed: Feed) -> None:
    """Make sure that the table is there, with the columns that the feed uses and keys of the model's family of types.

    It also has to have transactions, and to refuse what breaks its constraints.

    Raises:
        ConfigurationError: it is not.
        SinkUnavailable: the database could not be asked.
    """
    there = with_retries(
        lambda: database.columns_of(target.table), f"looking for the table {target.name} in {database.address}"
    )
    if there is None:
        raise ConfigurationError(
            f"The table {target.name} of the model {feed.model} does not exist in {database.address}; create it first, "
            "as your app does (`flask db upgrade`, `db.create_all()`)."
        )
    # Only PostgreSQL tells names apart by their case.
    known_as = str if database.dialect == "postgresql" else str.casefold
    stored = {known_as(name): type_ for name, type_ in there.items()}
    found = {name: stored.get(known_as(target.columns[name].name)) for name in _used(target, feed)}
    lacking = [str(target.columns[name].name) for name, type_ in found.items() if type_ is None]
    if lacking:
        raise ConfigurationError(
            f"The table {target.name} in {database.address} lacks columns of the model {feed.model}: "
            f"{', '.join(lacking)}; migrate it first (`flask db upgrade`)."
        )
    _check_key_family(database, target, feed, found)
    with_retries(lambda: _look_at(database, target), f"looking at the table {target.name} in {database.address}")


def was_named(database: AppDatabase, target: Target, name: str) -> bool:
    """Whether a table that a ledger names is the target: perhaps renamed since, or named without its usual schema.

    Raises:
        SinkUnavailable: the database could not be asked.
    """
    if name == target.name:
        return True
    schema, _, table = name.rpartition(".")

    def look() -> bool:
        inspector = sa.inspect(database.engine)
        usual = inspector.default_schema_name
        if (schema or usual, table) == (target.table.schema or usual, target.table.name):
            return True
        return table not in inspector.get_table_names(schema or None)

    return with_retries(look, f"looking for the table {name} in {database.address}")


def _used(target: Target, feed: Feed) -> list[str]:
    """The attributes that the feed fills or is compared by; all, where its source decides what it fills."""
    named = {*(feed.columns or target.columns), *target.key, *target.primary_key}
    # One that the database keeps by itself, as PostgreSQL does `xmin`, is in no list of a table's columns.
    return [name for name, column in target.columns.items() if name in named and not column.system]


def _check_key_family(
    database: AppDatabase, target: Target, feed: Feed, found: Mapping[str, sa.types.TypeEngine[Any] | None]
) -> None:
    dialect = database.engine.dialect
    for name in target.key:
        types = (target.columns[name].type, found[name])
        modelled, stored = (_FAMILIES.get(stored_kind(type_, dialect)) for type_ in types if type_ is not None)
        if modelled and stored and modelled != stored:
            raise ConfigurationError(
                f"The key {target.columns[name].name} is {modelled} in the model {feed.model} and {stored} in the "
                f"table {target.name} in {database.address}, so one product could become two rows; correct one of them."
            )


def _look_at(database: AppDatabase, target: Target) -> None:
    table, place = target.table, f"The table {target.name} in {database.address}"
    with database.engine.connect() as connection:
        connection.begin()
        check_transaction(connection, database.app_reference)
        engine = _engine_without_transactions(connection, table)
        if engine is not None:
            raise ConfigurationError(
                f"{place} is kept by {engine}, which has no transactions, so a chunk that fails would leave some of "
                f"its rows; first `ALTER TABLE {target.name} ENGINE = InnoDB`."
            )
        if "IGNORE" in conflict_clauses(connection, table):
            raise ConfigurationError(
                f"{place} says ON CONFLICT IGNORE, so rows that it passes over would be counted as inserted; take that "
                "out of its definition."
            )
        name = key_in_another_form(connection, target)
        if name is not None:
            raise ConfigurationError(
                f"{place} has rows whose key {name} is text of another form than the app writes (a UUID with hyphens, "
                "a moment without microseconds), and none would be met; write these keys anew through the app's model."
            )


def _engine_without_transactions(connection: sa.Connection, table: sa.Table) -> str | None:
    """The engine of MySQL or MariaDB that keeps a table, if it keeps what a transaction wrote and took back."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return None
    return connection.execute(_WITHOUT_TRANSACTIONS, {"name": table.name, "schema": table.schema}).scalar()
