"""The write path: one chunk, one transaction, into one mapped model of the user's Flask app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from restock.chunks import Chunk, ChunkRef, WriteCounts
from restock.errors import ChunkFailed, LeaseLost, RestockError
from restock.feeds import Feed
from restock.references import place_of
from sinks.database.app_database import AppDatabase, open_database
from sinks.database.error_codes import describe
from sinks.database.lending import lent
from sinks.database.retries import UNDER_WAY, DataTrouble, with_retries
from sinks.isolation.guilty_rows import write_isolated
from sinks.ledger.bookkeeping import AlreadyLoaded, Ledger
from sinks.ledger.corrections import CorrectionBook
from sinks.ledger.earlier_rows import loaded_before
from sinks.ledger.entries import RunEntry
from sinks.ledger.fencing import fenced
from sinks.ledger.reject_limits import check_limits
from sinks.ledger.results import Result, result_of
from sinks.model.table_fit import check_fit, was_named
from sinks.model.target import Target, read_target
from sinks.plan import Plan, choose_plan
from sinks.presence import Mode, all_absent, compare
from sinks.rows.changes import Changes, Key
from sinks.rows.columnar import Rows
from sinks.rows.postgresql_copy import types_seen
from sinks.staging.equal_rows import equal_rows
from sinks.staging.filling import Staging
from sinks.staging.key_forms import OtherForms
from sinks.staging.stage import drop_stage
from sinks.writers.announcing import WrittenKeys
from sinks.writers.choice import Writer, choose_writer, usual_chunk_rows, usual_workers
from sinks.writers.dropped_rows import none_dropped
from sinks.writers.sequences import keep_sequence_ahead


class Book(Protocol):
    """What is written beside a chunk's rows, in their transaction: the ledger, or a correction's entries in it."""

    def fence(self, connection: sa.Connection, ref: ChunkRef) -> None: ...

    def loaded(self, connection: sa.Connection, ref: ChunkRef, result: Result) -> None: ...

    def counts_if_loaded(self, ref: ChunkRef) -> WriteCounts | None: ...


@dataclass(frozen=True)
class FlaskSink:
    """Loads chunks into one mapped model of the user's Flask app."""

    feed: Feed
    database: AppDatabase
    target: Target
    ledger: Ledger
    writer: Writer
    other_forms: OtherForms
    mode: Mode
    book: Book

    def prepare(self, chunk: Chunk) -> Rows:
        """The chunk's rows as far as they can be made ready without the database: so while it is busy with others."""
        rows = Rows(chunk.frame, self.target, self.database.engine.dialect)
        with self.database.app.app_context():  # the types of a model may ask the app, for a secret perhaps
            rows.make_ready(types_seen(self.database.engine, self.target.table))
        return rows

    def load(self, chunk: Chunk, rows: Rows | None = None) -> WriteCounts:
        """Commit the chunk's rows, its rejects and its ledger entry together, or none of them.

        Args:
            chunk: what is loaded.
            rows: its rows, if they have been prepared ahead.

        Raises:
            ChunkFailed: the chunk cannot be loaded as it is.
            RunHeld: it has one reject too many.
            SinkUnavailable: the database could not be used.
            LeaseLost: another run owns the target now.
            AlreadyLoaded: somebody else has loaded the chunk.
        """
        rows = rows or self.prepare(chunk)
        keys = WrittenKeys()
        try:
            counts = self._until_through(chunk, rows, keys, isolating=False)
        except DataTrouble:
            # Nothing of that transaction is left; a new one finds the guilty rows and loads the others.
            counts = self._load_isolated(chunk, rows, keys)
        keys.announce(self.database, self.feed, chunk.ref)
        return counts

    def _commit(self, chunk: Chunk, rows: Rows, keys: WrittenKeys, isolating: bool) -> WriteCounts:
        with self.database.transaction() as session, lent(session, self.database.db_session, self.feed.model):
            connection = self.database.connection(session)
            # Compared before anything is locked: a row found equal is left alone and needs no lock.
            changes = self._compare(session, chunk.ref, rows, isolating)
            with fenced(connection, lambda: self.book.fence(connection, chunk.ref)):
                written, inserted = self._write(session, changes, isolating)
            keep_sequence_ahead(connection, written)
            keys.note(written, inserted)
            result = result_of(chunk, self.feed, written)
            check_limits(connection, self.feed, chunk.ref, result)
            self.book.loaded(connection, chunk.ref, result)
            drop_stage(connection)
        return result.counts

    def _compare(self, session: Session, ref: ChunkRef, rows: Rows, isolating: bool) -> Changes:
        connection = self.database.connection(session)
        rows, faults = self.other_forms.as_the_table_writes(connection, rows, ref.token)
        plan = Plan.STAGED if isolating or faults else choose_plan(connection, ref, rows, self.mode)
        if plan is Plan.STRAIGHT:
            return all_absent(rows)
        equal = equal_rows(connection, rows) if plan is Plan.EQUAL_FIRST else None
        staging = Staging(session, connection, isolating)
        changes = compare(staging, rows, self.mode, loaded_before(connection, ref), equal)
        changes.faults += faults
        return changes

    def _write(self, session: Session, changes: Changes, isolating: bool) -> tuple[Changes, list[Key]]:
        if not isolating:
            with none_dropped(self.database.connection(session), changes):
                return changes, self.writer.write(session, changes)
        refused, keys = write_isolated(session, self.writer, changes)
        return changes.without(refused), keys

    def _load_isolated(self, chunk: Chunk, rows: Rows, keys: WrittenKeys) -> WriteCounts:
        try:
            return self._until_through(chunk, rows, keys, isolating=True)
        except DataTrouble as error:
            raise ChunkFailed(
                f"The database refused the commit of {chunk.ref} as a whole ({describe(error.__cause__ or error)}), "
                f"perhaps for a deferred constraint; mend that and reprocess it, or "
                f"{self.feed.how_to_mend(chunk.ref.run_id)}."
            ) from error

    def _until_through(self, chunk: Chunk, rows: Rows, keys: WrittenKeys, isolating: bool) -> WriteCounts:
        return with_retries(
            lambda: self._commit(chunk, rows, keys, isolating),
            f"loading {chunk.ref}",
            settled=lambda: self.book.counts_if_loaded(chunk.ref),
            patience=UNDER_WAY,
        )

    @property
    def usual_chunk_rows(self) -> int:
        """How many rows a chunk has, unless the feed says otherwise."""
        return usual_chunk_rows(self.database, self.writer)

    def workers(self, rows: int) -> int:
        """How many chunks are loaded at a time, of so many rows in all, unless the feed says otherwise."""
        if self.database.dialect == "sqlite":
            return 1  # it has one writer
        return self.feed.workers or usual_workers(self.database, self.writer, rows)

    def check_table(self) -> None:
        """Make sure that the table can take the feed's rows, before a source is read for it.

        Raises:
            ConfigurationError: it is not there, or not what the model says of it.
            SinkUnavailable: the database could not be asked.
        """
        check_fit(self.database, self.target, self.feed)

    def is_target_of(self, run: RunEntry) -> bool:
        """Whether a run was brought into the table of this sink, by whatever name.

        Raises:
            SinkUnavailable: the database could not be asked.
        """
        return was_named(self.database, self.target, run.target)

    def correcting(self, rows: list[int]) -> FlaskSink:
        """The same sink for the mended rows of one chunk, which no limit counts a second time."""
        return replace(self, feed=self.feed.without_limits(), book=CorrectionBook(self.ledger, rows))

    def only_adding(self) -> FlaskSink:
        """The same sink, rejecting rows that would change a present one."""
        return replace(self, mode="only_adding")

    @contextmanager
    def attempt(self, ref: ChunkRef) -> Iterator[None]:
        """One attempt at a chunk: counted before it is made, and marked in the ledger if it ends in failure.

        Raises:
            AlreadyLoaded: there is nothing to do.
            ChunkFailed: also for an error nobody foresaw: it names the place, and the run goes on.
        """
        self.ledger.begin_attempt(ref)
        try:
            yield
        except (AlreadyLoaded, LeaseLost):
            raise
        except ChunkFailed as error:
            self.ledger.failed(ref, str(error))
            done = with_retries(lambda: self.ledger.counts_if_loaded(ref), f"asking for {ref}", patience=UNDER_WAY)
            if done is not None:  # by another worker, who also took away what this one went on to look for
                raise AlreadyLoaded(done) from error
            raise
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, RestockError):
                failure = ChunkFailed(f"The {ref} met an unexpected {type(error).__name__} in {place_of(error)}.")
                self.ledger.failed(ref, str(failure))
                raise failure from error
            # Stopped for no fault of the chunk, by a signal perhaps, whatever it is raised as. If even this cannot be
            # written, the chunk stays `loading`, which is outstanding as well.
            with suppress(RestockError):
                self.ledger.put_back(ref)
            raise


def open_sink(feed: Feed, lease_seconds: float | None = None) -> FlaskSink:
    """The sink of a feed, with everything about its model checked.

    Raises:
        ConfigurationError: the app, the model or the feed's rules about it cannot be used.
    """
    database = open_database(feed.app, feed.model, feed.name, lease_seconds)
    target = read_target(database, feed)
    ledger, other_forms = Ledger(database, target.name), OtherForms(database, target, feed.key_form)
    return FlaskSink(feed, database, target, ledger, choose_writer(target, feed), other_forms, feed.mode, book=ledger)
