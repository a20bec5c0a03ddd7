"""Listens to what SQLAlchemy tells: once, however many threads ask for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import sqlalchemy as sa

_lock = Lock()


def listen_once(target: Any, event: str, heard: Callable[..., Any], **how: Any) -> None:
    """Have an event of a target told to a listener, unless it is already."""
    with _lock:
        if not sa.event.contains(target, event, heard):
            sa.event.listen(target, event, heard, **how)
