"""What a writer is, and which one a feed gets: decided over few facts, and logged when the model decides."""

from __future__ import annotations

import logging
import math
from functools import cache
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Mapper, Session

from restock.errors import ConfigurationError
from restock.feeds import Feed
from sinks.database.app_database import AppDatabase
from sinks.model.model_defaults import beyond_sets
from sinks.model.target import Target
from sinks.rows.changes import Changes, Key
from sinks.rows.packing import is_driver_there
from sinks.writers.announcing import is_anybody_listening
from sinks.writers.copy_writer import CopyWriter
from sinks.writers.mappings_writer import MappingsWriter
from sinks.writers.objects_writer import ObjectsWriter

log = logging.getLogger("restock")


class Writer(Protocol):
    """Writes changes in the session's transaction; raises what the database raises.

    Returns the primary keys of the rows it inserted, generated ones included, if anybody listens for them.
    """

    def write(self, session: Session, changes: Changes) -> list[Key]: ...


# Mappings do best with fewer rows at a time: while one chunk is on its way to the server, the next one is read.
_CHUNK_ROWS: dict[type[Writer], int] = {CopyWriter: 50_000, MappingsWriter: 25_000, ObjectsWriter: 50_000}
# On SQLite nobody else writes while a chunk is written: as many rows as keep the file locked for some 0.1 s.
_CHUNK_ROWS_ON_SQLITE: dict[type[Writer], int] = {CopyWriter: 10_000, MappingsWriter: 10_000, ObjectsWriter: 1_000}
# Packed rows are ready before the lock is taken.
_PACKED_CHUNK_ROWS = 50_000

# So many rows are worth a second chunk at a time: while the database is busy with one, the other is read and compared.
_SHARED_ROWS, _SHARING = 200_000, 2
# Connections that the app and the lease's heartbeat are to have left.
_SPARE_CONNECTIONS = 2


def choose_writer(target: Target, feed: Feed) -> Writer:
    """The writer the feed names; else objects where others would skip what the model listens to; else copy.

    Where the model asks for what only single rows can be given, mappings stands in for copy.

    Raises:
        ConfigurationError: the feed names a writer that cannot write the model.
    """
    if target.makes_objects:
        return ObjectsWriter()
    _check_bulk_methods_can(target.mapper, feed)
    if feed.writer == "mappings":
        return MappingsWriter()
    single = beyond_sets(target, feed)
    if single is not None:
        _say_why_mappings(feed.name, feed.model, single)
        return MappingsWriter()
    return CopyWriter()


def usual_chunk_rows(database: AppDatabase, writer: Writer) -> int:
    """How many rows a chunk has, unless the feed says otherwise."""
    if database.dialect != "sqlite":
        return _CHUNK_ROWS[type(writer)]
    if isinstance(writer, CopyWriter) and is_driver_there():
        return _PACKED_CHUNK_ROWS
    return _CHUNK_ROWS_ON_SQLITE[type(writer)]


def usual_workers(database: AppDatabase, writer: Writer, rows: int) -> int:
    """How many chunks are loaded at a time, unless the feed says otherwise.

    One where there is little to load, where a receiver of `rows_loaded` expects one chunk after the other, where the
    pool of the app would be short of connections, and by other writers, which keep the interpreter busy by themselves.
    """
    is_worth_it = isinstance(writer, CopyWriter) and rows >= _SHARED_ROWS
    if (
        not is_worth_it
        or is_anybody_listening()
        or _most_connections(database.engine.pool) < _SHARING + _SPARE_CONNECTIONS
    ):
        return 1
    return _SHARING


def _most_connections(pool: sa.Pool) -> float:
    if isinstance(pool, sa.NullPool):
        return math.inf
    if not isinstance(pool, sa.QueuePool):
        return 1
    return math.inf if pool._max_overflow < 0 or pool.size() == 0 else pool.size() + pool._max_overflow


def _check_bulk_methods_can(mapper: Mapper[Any], feed: Feed) -> None:
    if mapper.version_id_col is not None:
        raise ConfigurationError(
            f"Feed {feed.name!r}: writer {feed.writer} cannot keep the version counter of the model {feed.model}; "
            "leave writer out, or set it to objects."
        )


@cache  # once for each feed and process, not for each chunk
def _say_why_mappings(feed: str, model: str, single: str) -> None:
    log.info(
        "Feed %s is written by mappings, because %s of %s is made for each row by itself; `columns` that always fill "
        "it let the feed be copied.",
        feed,
        single,
        model,
    )
