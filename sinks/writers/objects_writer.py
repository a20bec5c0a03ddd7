"""Writes changes as objects of the model: events, validators, cascades and Python-side defaults run, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, lazyload, undefer
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import StaleDataError

from restock.errors import RestockError
from restock.records import Record
from sinks.database.data_faults import ModelRefused
from sinks.model.column_specs import members_of
from sinks.model.explicit_nulls import note_nulls
from sinks.model.target import Target
from sinks.rows.changes import Changes, Key
from sinks.staging.comparing import is_same
from sinks.staging.found_by_key import having
from sinks.writers.keys_ahead import give_keys_ahead

# As often as SQLAlchemy itself flushes before it commits.
FLUSHES_PER_COMMIT = 100


class ObjectsWriter:
    """`add_all` for absent rows; for present ones, attributes are set on the loaded instances."""

    def write(self, session: Session, changes: Changes) -> list[Key]:
        """Write inserts and updates through the session's unit of work, which decides their order.

        Returns:
            The primary keys of the inserted rows.

        Raises:
            ModelRefused: the model's constructor, a validator or a listener raised.
        """
        target = changes.rows.target
        members = _members(target)
        records = changes.new_records()
        updates = [_with_members(record, members) for record in changes.changed_records()]
        try:
            present = _load(session, target, updates)
            new = [target.model(**_with_members(record, members)) for record in records]
            note_nulls(session, target, new, records)
            give_keys_ahead(session, session.connection(bind_arguments={"mapper": target.mapper}))
            session.add_all(new)
            for values in updates:
                _change(present[_key(target, values)], values, target)
            changes.leave_alone(
                _tidied_back(session, target, dict(zip(changes.updates, updates, strict=True)), present)
            )
            _flush(session)
        except (SQLAlchemyError, RestockError):
            raise
        except Exception as error:
            # The app's own code runs here, and what it raises is its verdict on a row, the stored one included.
            raise ModelRefused(type(error).__name__) from error
        keys = [tuple(getattr(each, name) for name in target.primary_key) for each in new]
        # The chunk's instances are not needed again, and would only be carried along to its end.
        session.expunge_all()
        return keys


def _flush(session: Session) -> None:
    """Write all that is pending, as COMMIT would: what listeners add after a flush (an audit log, say) as well."""
    for _ in range(FLUSHES_PER_COMMIT):
        session.flush()
        if not (session.new or session.dirty or session.deleted):
            return


def _change(instance: Any, values: Record, target: Target) -> None:
    for name, value in values.items():
        present = getattr(instance, name)
        if name in target.primary_key or is_same(present, value):
            continue
        setattr(instance, name, sa.null() if value is None and name in target.json else value)
        if present == value:
            flag_modified(instance, name)  # else SQLAlchemy, which takes `true` for 1, would see no change


def _tidied_back(
    session: Session, target: Target, updates: dict[int, Record], present: dict[Key, Any]
) -> Iterator[int]:
    """The positions of rows that a validator (one that strips, say) gave the values they have."""
    for position, values in updates.items():
        instance = present[_key(target, values)]
        if not session.is_modified(instance):
            session.expire(instance)  # else listeners for `before_update` are called for it
            yield position


def _members(target: Target) -> dict[str, dict[str | None, Any]]:
    """The members of the app's enumerations, by attribute and stored word."""
    return {name: found for name, column in target.columns.items() if (found := members_of(column.type))}


def _with_members(record: Record, members: dict[str, dict[str | None, Any]]) -> Record:
    """The record with members of enumerations in place of their words, which is what the model's own code expects."""
    return record | {name: found[record[name]] for name, found in members.items() if name in record}


def _key(target: Target, record: Record) -> Key:
    return tuple(record[name] for name in target.primary_key)


def _load(session: Session, target: Target, records: list[Record]) -> dict[Key, Any]:
    columns = [target.columns[name] for name in target.primary_key]
    # Whatever the model says about loading, it takes no statement for each row.
    loading = [lazyload("*"), *(undefer(getattr(target.model, name)) for record in records[:1] for name in record)]
    keys = [_key(target, record) for record in records]
    found: dict[Key, Any] = {}
    for wanted in having(columns, keys):
        # A plain statement about the table, so that no rule of the app hides rows (soft deletes, say) from it.
        rows = sa.select(*target.mapper.local_table.columns).where(wanted)
        for instance in session.scalars(sa.select(target.model).from_statement(rows).options(*loading)):
            found[tuple(getattr(instance, name) for name in target.primary_key)] = instance
    if len(found) != len(keys):
        # A row that was present when it was compared has gone since: the transaction decides again.
        raise StaleDataError(f"{len(keys) - len(found)} rows of {target.name} have gone meanwhile")
    return found
