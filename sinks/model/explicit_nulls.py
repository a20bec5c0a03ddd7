"""None means NULL, whoever writes: in an object SQLAlchemy would make it the column's default, or the JSON `null`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.attributes import set_committed_value

from restock.records import Record
from sinks.model.last_touch import touch_last
from sinks.model.target import Target

_NOTES = "restock_nulls"


def note_nulls(session: Session, target: Target, instances: Iterable[Any], records: Iterable[Record]) -> None:
    """Have the session insert NULL wherever a record says None and the model's own code leaves it at that.

    The NULL is put in after the model's listeners, so that these meet None, which they can test and compare.
    """
    names = [name for name, column in target.columns.items() if name in target.json or _has_default(column)]
    if not names:
        return
    notes = session.info.setdefault(_NOTES, {})
    for instance, record in zip(instances, records, strict=True):
        nulls = [name for name in names if name in record and record[name] is None]
        if nulls:
            notes[sa.inspect(instance)] = nulls
    touch_last(session, _put_nulls)


def _has_default(column: sa.Column[Any]) -> bool:
    return column.default is not None or column.server_default is not None


def _put_nulls(state: InstanceState[Any], session: Session, _connection: sa.Connection) -> None:
    for name in session.info[_NOTES].get(state, ()):
        if state.dict.get(name) is None:
            set_committed_value(state.obj(), name, sa.null())
