"""The model's own code: which of it runs row by row, so that the feed's rows have to be made objects for it."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from sqlalchemy.orm import Mapper

from restock.feeds import Feed
from sinks.database.app_database import AppDatabase
from sinks.model.last_touch import listeners_of_the_app

log = logging.getLogger("restock")

_ROW_EVENTS = ("before_insert", "after_insert", "before_update", "after_update")
_VERSION_COUNTER = "a version counter"  # the one thing without which bulk methods cannot write at all
_SESSION_EVENTS = ("before_flush", "after_flush", "after_flush_postexec", "before_attach", "after_attach")


def wants_objects(database: AppDatabase, mapper: Mapper[Any], feed: Feed) -> bool:
    """Whether the feed, or else the model, asks for an object of each row; the latter is said once."""
    if feed.writer is not None:
        return feed.writer == "objects"
    skipped = _skipped_in_bulk(database, mapper)
    if skipped:
        _say_why(feed.name, feed.model, tuple(skipped))
    return bool(skipped)


def may_fill_new_object(mapper: Mapper[Any]) -> bool:
    """Whether the model's constructor, or a listener, may fill what a new object lacks."""
    constructor = mapper.class_manager.original_init
    is_own = constructor is not None and not constructor.__module__.startswith("sqlalchemy.")
    return is_own or bool(listeners_of_the_app(mapper, "before_insert"))


def _skipped_in_bulk(database: AppDatabase, mapper: Mapper[Any]) -> list[str]:
    """What the model listens to and bulk methods skip."""
    found = [name for name in _ROW_EVENTS if listeners_of_the_app(mapper, name)]
    found += [f"@validates({', '.join(sorted(mapper.validators))})"] if mapper.validators else []
    listened_to = [prop.key for prop in mapper.column_attrs if len(list(prop.class_attribute.dispatch.set))]
    found += [f"a listener on {name}" for name in listened_to if name not in mapper.validators]
    found += [_VERSION_COUNTER] if mapper.version_id_col is not None else []
    with database.app.app_context(), database.new_session() as session:
        found += [name for name in _SESSION_EVENTS if getattr(session.dispatch, name)]
    return found


@cache  # once for each feed and process, not for each chunk
def _say_why(feed: str, model: str, skipped: tuple[str, ...]) -> None:
    log.warning(
        "Feed %s is written as objects, row by row, because %s has %s, which bulk methods skip%s",
        feed,
        model,
        ", ".join(skipped),
        "." if _VERSION_COUNTER in skipped else "; `writer: copy` in feeds.yaml writes in bulk without.",
    )
