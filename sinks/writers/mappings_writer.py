"""Writes changes with the session's bulk methods: no ORM events, no cascades, one statement per set of keys."""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.orm import Session

from restock.records import Record
from sinks.model.target import Target
from sinks.rows.changes import Changes, Key
from sinks.writers.announcing import is_anybody_listening


class MappingsWriter:
    """`bulk_insert_mappings` for absent rows, `bulk_update_mappings` for present ones."""

    def write(self, session: Session, changes: Changes) -> list[Key]:
        """Write inserts and updates in the session's transaction, in the order of their keys.

        The same order in every transaction keeps two writers from waiting for each other.

        Returns:
            The primary keys of the inserted rows, if anybody listens for them, else nothing.
        """
        target = changes.rows.target
        keys: list[Key] = []
        # Rows that bring their key come first: else the database might give it to a row that brings none.
        for records in sorted(_by_columns(changes.new_records()), key=lambda each: -len(each[0])):
            ordered = _in_order(records, [name for name in target.key if name in records[0]])
            keys += _insert(session, target, _with_nulls(ordered, target))
        for records in _by_columns(changes.changed_records()):
            ordered = _in_order(records, list(target.primary_key))
            session.bulk_update_mappings(target.mapper, _with_nulls(ordered, target))
        return keys


def _by_columns(records: list[Record]) -> list[list[Record]]:
    """The records in groups with the same columns: one statement each."""
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        groups[tuple(record)].append(record)
    return list(groups.values())


def _insert(session: Session, target: Target, records: list[Record]) -> list[Key]:
    # Without render_nulls a None would become the column's default, and cut the statement in pieces.
    is_told = is_anybody_listening()
    if not is_told or all(name in records[0] for name in target.primary_key):
        session.bulk_insert_mappings(target.mapper, records, render_nulls=True)
        return [tuple(record[name] for name in target.primary_key) for record in records] if is_told else []
    # `return_defaults` of the bulk method would send a statement for every row (measured on SQLite).
    statement = sa.insert(target.mapper).returning(*(target.columns[name] for name in target.primary_key))
    inserted = session.execute(statement, records, execution_options={"render_nulls": True})
    return [tuple(key) for key in inserted]


def _with_nulls(records: list[Record], target: Target) -> list[Record]:
    """The records with NULL where None would become the JSON value `null`."""
    if not target.json:
        return records
    nulls = [{name: sa.null() for name in target.json if record.get(name, "") is None} for record in records]
    return [{**record, **null} for record, null in zip(records, nulls, strict=True)]


def _in_order(records: list[Record], names: list[str]) -> list[Record]:
    return sorted(records, key=lambda record: tuple(record[name] for name in names))
