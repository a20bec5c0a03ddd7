"""Writes changes as objects of the model: events, validators, cascades and Python-side defaults run, row by row."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError

from restock.records import Record
from sinks.db_errors import ModelRefused
from sinks.presence import KEYS_PER_STATEMENT, Changes, Key, slices
from sinks.target import Target


class ObjectsWriter:
    """`add_all` for absent rows; for present ones, attributes are set on the loaded instances."""

    def write(self, session: Session, target: Target, changes: Changes) -> list[Key]:
        """Write inserts and updates through the session's unit of work, which decides their order.

        Returns:
            The primary keys of the inserted rows.

        Raises:
            ModelRefused: the model's constructor, a validator or a listener raised.
        """
        present = _load(session, target, [_key(target, record) for _, record in changes.updates])
        try:
            new = [_made(target, record) for _, record in changes.inserts]
            session.add_all(new)
            for _, record in changes.updates:
                _change(present[_key(target, record)], _values(target, record), target)
            session.flush()
        except SQLAlchemyError:
            raise
        except Exception as error:
            # The app's own code runs here, and what it raises is its verdict on a row.
            raise ModelRefused(type(error).__name__) from error
        keys = [tuple(getattr(each, name) for name in target.primary_key) for each in new]
        # The chunk's instances are not needed again, and would only be carried along to its end.
        session.expunge_all()
        return keys


def _made(target: Target, record: Record) -> Any:
    instance = target.model(**_values(target, record))
    for name, value in record.items():
        column = target.columns[name]
        has_default = column.default is not None or column.server_default is not None
        if value is None and (has_default or isinstance(column.type, sa.JSON)):
            # An object's None would become the default or, in JSON, the value `null`. None means NULL, whoever writes.
            set_committed_value(instance, name, sa.null())
    return instance


def _change(instance: Any, values: Record, target: Target) -> None:
    for name, value in values.items():
        if name not in target.primary_key and getattr(instance, name) != value:
            is_json = isinstance(target.columns[name].type, sa.JSON)
            setattr(instance, name, sa.null() if value is None and is_json else value)


def _values(target: Target, record: Record) -> Record:
    """The record with the members of the app's enumerations, which is what the model's own code expects."""
    return {name: _member(target.columns[name], value) for name, value in record.items()}


def _member(column: sa.Column[Any], value: Any) -> Any:
    members = getattr(column.type, "enum_class", None)
    if members is None or value is None:
        return value
    # What is stored are names, or whatever the model's values_callable makes of the members, in their order.
    return dict(zip(getattr(column.type, "enums", ()), members, strict=True))[value]


def _key(target: Target, record: Record) -> Key:
    return tuple(record[name] for name in target.primary_key)


def _load(session: Session, target: Target, keys: list[Key]) -> dict[Key, Any]:
    columns = [target.columns[name] for name in target.primary_key]
    found: dict[Key, Any] = {}
    for some in slices(keys, KEYS_PER_STATEMENT // len(columns)):
        wanted = columns[0].in_([key[0] for key in some]) if len(columns) == 1 else sa.tuple_(*columns).in_(some)
        for instance in session.scalars(sa.select(target.model).where(wanted)):
            found[tuple(getattr(instance, name) for name in target.primary_key)] = instance
    if len(found) != len(keys):
        # A row that was present when it was compared has gone since: the transaction decides again.
        raise StaleDataError(f"{len(keys) - len(found)} rows of {target.name} have gone meanwhile")
    return found
