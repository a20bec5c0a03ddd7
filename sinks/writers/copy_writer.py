"""Writes changes set by set: new rows in the driver's fastest way, changed ones out of the stage, without records."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from sinks.model.model_defaults import made_by_model
from sinks.model.values import Values, as_list
from sinks.model.write_rules import offered
from sinks.rows.attaching import attach
from sinks.rows.changes import Changes, Key
from sinks.rows.columnar import POSITION, Rows
from sinks.rows.postgresql_copy import can_copy, copy_rows
from sinks.rows.sending import send
from sinks.staging.found_by_key import primary_keys
from sinks.staging.stage import Stage, is_one_of
from sinks.writers.announcing import is_anybody_listening
from sinks.writers.mappings_writer import MappingsWriter


class CopyWriter:
    """COPY on PostgreSQL, packed rows on SQLite, the driver's multi-row insert elsewhere; one UPDATE from the stage."""

    def write(self, session: Session, changes: Changes) -> list[Key]:
        """Write inserts and updates in the session's transaction, new rows in the order of their keys.

        Returns:
            The primary keys of the inserted rows, if anybody listens for them, else nothing.
        """
        rows = changes.rows
        connection = session.connection(bind_arguments={"mapper": rows.target.mapper})
        keys = self._insert(session, connection, changes)
        if changes.updates:
            update_from_stage(connection, Stage(connection, rows.target, tuple(rows.attributes)), list(changes.updates))
        return keys

    def _insert(self, session: Session, connection: sa.Connection, changes: Changes) -> list[Key]:
        rows, target = changes.rows, changes.rows.target
        places = rows.bound.places_of(np.asarray(changes.inserts))
        # Rows that bring their key come first: else the database might give it to a row that brings none.
        keyless = rows.lacks(target.primary_key)[places]
        is_told = is_anybody_listening()
        if is_told and rows.lacks(target.key)[places].any():
            # COPY does not tell the keys that the database makes, and these rows can be found by nothing else.
            return MappingsWriter().write(session, Changes(rows, changes.inserts))
        for some, left_out in ((places[~keyless], ()), (places[keyless], target.primary_key)):
            if len(some):
                _bring_in(connection, NewRows(rows, some, left_out, connection.dialect))
        return primary_keys(connection, rows, changes.inserts) if is_told else []


class NewRows:
    """New rows of a chunk, by their places in its frame; the columns they fill, and what the model makes in others."""

    def __init__(self, rows: Rows, places: np.ndarray, left_out: tuple[str, ...], dialect: sa.Dialect) -> None:
        target = rows.target
        without = {target.columns[name].name for name in left_out}
        self.rows, self.places = rows, places
        self.names = [name for name in rows.bound.columns if name not in without]
        self.made = made_by_model(target, set(self.names), len(places), dialect)
        self.table = sa.table(
            target.table.name, *(sa.column(c.name, c.type) for c in target.table.c), schema=target.table.schema
        )

    @property
    def are_keyed(self) -> bool:
        """Whether all of them bring their key."""
        return not self.rows.lacks(self.rows.target.key)[self.places].any()

    @property
    def positions(self) -> np.ndarray:
        """The position of each."""
        return self.rows.bound.positions[self.places]


def _bring_in(connection: sa.Connection, new: NewRows) -> None:
    """Insert new rows in the order of their keys, in the fastest way that there is for them."""
    if not (_copy_encoded(connection, new) or _insert_packed(connection, new)):
        sent = new.rows.bound.at(new.rows.in_key_order(new.places)).columns
        send(connection, new.table, {name: sent[name] for name in new.names} | new.made)


def _copy_encoded(connection: sa.Connection, new: NewRows) -> bool:
    """As they were encoded for PostgreSQL, if they bring all columns that are to be filled; whether it was done."""
    keyed = new.rows.keyed
    if new.made or new.names != list(keyed.columns) or not new.are_keyed or not can_copy(connection):
        return False
    some = None if len(new.places) == len(keyed) else np.sort(keyed.places_of(new.positions))
    return copy_rows(connection, new.table, new.rows, some)


def _insert_packed(connection: sa.Connection, new: NewRows) -> bool:
    """As they were packed for SQLite, if each column that the model fills has one value; whether it was done."""
    same = _same_in_all_rows(new.made)
    packed = None if same is None or not new.are_keyed else attach(connection, new.rows)
    if packed is None or same is None:
        return False
    fixed: list[sa.BindParameter[Any]] = [
        sa.bindparam(f"restock_{place}", value) for place, value in enumerate(same.values())
    ]
    asked = sa.select(*(packed.c[name] for name in new.names), *fixed)
    if len(new.places) < len(new.rows.keyed):
        asked = asked.where(is_one_of(packed.c[POSITION], new.positions.tolist(), connection.dialect.name))
    connection.execute(sa.insert(new.table).from_select([*new.names, *same], asked))
    return True


def _same_in_all_rows(made: dict[str, Values]) -> dict[str, Any] | None:
    """Of each column the one value that all rows have in it; None if there is a column with several."""
    listed = {name: as_list(values) for name, values in made.items()}
    if any(value != values[0] for values in listed.values() for value in values):
        return None
    return {name: values[0] for name, values in listed.items()}


def update_from_stage(connection: sa.Connection, stage: Stage, positions: list[int]) -> None:
    """Update the rows that the staged rows at these positions meet, by one statement.

    Raises:
        StaleDataError: they are not those any more that were compared.
    """
    target = stage.target
    is_one = is_one_of(stage.position, positions, connection.dialect.name)
    # Under names of their own: what the model says of updates may name columns of the table in plain text. Only those
    # rows: MariaDB makes a table of them.
    labelled = (column.label(f"restock_{place}") for place, column in enumerate(stage.table.c))
    staged = sa.select(*labelled).where(is_one).subquery("staged")
    by_name = dict(zip(stage.table.c.keys(), staged.c, strict=True))
    sent = {name: by_name[target.columns[name].name] for name in stage.attributes}
    names = [name for name in target.changeable if name in stage.attributes]
    is_met = [target.columns[name] == sent[name] for name in target.key]
    statement = (
        sa.update(target.table)
        .values({target.columns[name]: offered(target, name, sent[name]) for name in names})
        .where(*is_met)
    )
    met = connection.execute(statement).rowcount
    if met != len(positions):
        # A row that was present when it was compared has gone since, or there are two: the transaction decides again.
        raise StaleDataError(f"{len(positions)} rows of {target.name} have become {met} meanwhile")
