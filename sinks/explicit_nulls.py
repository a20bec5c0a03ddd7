"""None means NULL, whoever writes: in an object SQLAlchemy would make it the column's default, or the JSON `null`."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.attributes import set_committed_value

from restock.records import Record
from sinks.target import Target

_NOTES = "restock_nulls"
_listening: WeakSet[Mapper[Any]] = WeakSet()
_lock = Lock()


def note_nulls(session: Session, target: Target, instances: Iterable[Any], records: Iterable[Record]) -> None:
    """Have the session insert NULL wherever a record says None and the model's own code leaves it at that.

    The NULL is put in after the model's listeners, so that these meet None, which they can test and compare.
    """
    names = [name for name, column in target.columns.items() if _becomes_something_else(column)]
    if not names:
        return
    notes = session.info.setdefault(_NOTES, {})
    for instance, record in zip(instances, records, strict=True):
        nulls = [name for name in names if name in record and record[name] is None]
        if nulls:
            notes[sa.inspect(instance)] = nulls
    with _lock:
        if target.mapper not in _listening:
            sa.event.listen(target.mapper, "before_insert", _put_nulls, raw=True)
            _listening.add(target.mapper)


def listeners_of_the_app(mapper: Mapper[Any], event: str) -> int:
    """How many listeners the app has for an event of the mapper: all but the one of this module."""
    ours = event == "before_insert" and mapper in _listening
    return len(list(getattr(mapper.dispatch, event))) - ours


def _becomes_something_else(column: sa.Column[Any]) -> bool:
    return column.default is not None or column.server_default is not None or isinstance(column.type, sa.JSON)


def _put_nulls(_mapper: Mapper[Any], _connection: sa.Connection, state: InstanceState[Any]) -> None:
    session = state.session
    assert session is not None
    for name in session.info.get(_NOTES, {}).get(state, ()):
        if state.dict.get(name) is None:
            set_committed_value(state.obj(), name, sa.null())
