"""What is put into a new object after the model's own listeners have met it, just before its row is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstanceState, Mapper, Session

from sinks.database.listening import listen_once

Touch = Callable[[InstanceState[Any], Session, sa.Connection], None]

_TOUCHES = "restock_touches"


def touch_last(session: Session, touch: Touch) -> None:
    """Have a touch put to every object that the session inserts, those that the model's own code adds as well."""
    touches = session.info.setdefault(_TOUCHES, [])
    if not touches:
        sa.event.listen(session, "before_flush", _listen_to_new)
    if touch not in touches:
        touches.append(touch)


def listeners_of_the_app(mapper: Mapper[Any], event: str) -> int:
    """How many listeners the app has for an event of the mapper: all but the one of this module."""
    return len(list(getattr(mapper.dispatch, event))) - sa.event.contains(mapper, event, _touch)


def _listen_to_new(session: Session, *_: object) -> None:
    # A listener that comes last is heard last; the app's own have come by the time that it makes objects.
    for mapper in {sa.inspect(instance).mapper for instance in session.new}:
        listen_once(mapper, "before_insert", _touch, raw=True)


def _touch(_mapper: Mapper[Any], connection: sa.Connection, state: InstanceState[Any]) -> None:
    session = state.session
    assert session is not None
    for touch in session.info.get(_TOUCHES, ()):
        touch(state, session, connection)
