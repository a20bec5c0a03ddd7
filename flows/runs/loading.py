"""Loads chunks: plain Python, used by every door. The sink says how one is written; here is the order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain, groupby, islice, pairwise
from threading import Lock

from flows.runs.door import Door, Outcome
from flows.runs.reports import RunReport, read_report
from flows.runs.stopping import check_stop, is_asked_to_stop
from restock.ahead import background
from restock.chunks import Chunk, ChunkRef, WriteCounts
from restock.errors import ChunkFailed, RestockError, RunHeld, RunInterrupted, SourceError
from restock.feeds import Feed
from restock.interpreter import settle_interpreter
from restock.references import add_to_import_path
from restock.settings import read_settings
from sinks.flask_sink import FlaskSink, open_sink
from sinks.ledger.bookkeeping import AlreadyLoaded
from sinks.ledger.history import History
from sinks.ledger.lease import Lease
from sinks.rows.columnar import Rows
from sources.chunks.spool import Spool
from transforms.apply import transform_chunk

# So long a chunk that was begun in vain may still be read before it is left behind.
GRACE_SECONDS = 2.0


class Attempt:
    """One attempt at a chunk: counted in the ledger at once, and made ready for the database in the background.

    Args:
        turn: held while the chunk is made ready, by attempts that share it: so transforms meet one chunk at a time.

    Raises:
        RunInterrupted: the process was asked to stop; nothing was begun.
        SinkUnavailable, LeaseLost: the run stops here.
    """

    def __init__(self, ref: ChunkRef, feed: Feed, turn: Lock | None = None) -> None:
        check_stop()
        self._ref, self._feed, self._turn = ref, feed, turn or Lock()
        self._spool, self._sink = Spool(read_settings().spool), _open_sink(feed)
        self._outcome: Outcome | None = None
        self._counted = ExitStack()
        try:
            self._counted.enter_context(self._sink.attempt(ref))
            self._ready = background(self._prepare)
        except AlreadyLoaded as done:
            self._outcome = done.counts
        except ChunkFailed as error:
            self._outcome = error

    def wait_until_ready(self) -> None:
        """Return when nothing but the database is left to wait for."""
        if self._outcome is None:
            wait([self._ready])

    def end(self) -> Outcome:
        """Write the chunk, and say what became of it. One that is loaded already is left alone.

        Raises:
            SinkUnavailable, LeaseLost, RunHeld: the run stops here.
        """
        if self._outcome is None:
            self._outcome = self._load()
        if isinstance(self._outcome, WriteCounts):
            self._spool.remove(self._ref.spool_file)
        return self._outcome

    def give_up(self) -> None:
        """Say that the attempt is not made after all."""
        if self._outcome is None:
            wait([self._ready], GRACE_SECONDS)
            with suppress(RunInterrupted), self._counted:
                raise RunInterrupted("It was begun in vain.")

    def _prepare(self) -> tuple[Chunk, Rows]:
        try:
            raw = self._spool.read(self._ref)
        except SourceError as error:
            raise ChunkFailed(str(error)) from error
        with self._turn:
            chunk = transform_chunk(raw, self._ref, self._feed, self._sink.target.contract)
            return chunk, self._sink.prepare(chunk)

    def _load(self) -> Outcome:
        try:
            with self._counted:
                return self._sink.load(*self._ready.result())
        except AlreadyLoaded as done:
            return done.counts
        except ChunkFailed as error:
            return error


def load_chunk(ref: ChunkRef, feed: Feed, turn: Lock | None = None) -> Outcome:
    """Read one spooled chunk, transform it and load it; raises as `Attempt` and its `end` do."""
    return Attempt(ref, feed, turn).end()


def _open_sink(feed: Feed) -> FlaskSink:
    """The sink of a feed, also in a process that has met no feed yet."""
    settings = read_settings()
    add_to_import_path(str(settings.folder))
    return open_sink(feed, settings.lease_seconds)


def load_here(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
    """Load chunks in this process, and tell of them in their order.

    Raises:
        SinkUnavailable, LeaseLost, RunHeld, RunInterrupted: the run stops; the chunks it had begun are put back.
    """
    workers = _open_sink(feed).workers(sum(ref.rows for ref in refs))
    if workers == 1 or len(refs) == 1:
        yield from _in_turn(feed, refs)
    else:
        yield from _side_by_side(feed, refs, workers)


def _in_turn(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
    """One chunk after the other: while the database writes one, the next is made ready for it."""
    begun: deque[Attempt] = deque()
    try:
        for ref, following in pairwise([*refs, None]):
            assert ref is not None, "only the last one is followed by nothing"
            if not begun:
                begun.append(Attempt(ref, feed))
            begun[0].wait_until_ready()
            if following is not None and not is_asked_to_stop():
                with suppress(RestockError):  # it is met again in its own turn
                    begun.append(Attempt(following, feed))
            yield ref, begun.popleft().end()
    finally:
        for attempt in begun:
            attempt.give_up()


def _side_by_side(feed: Feed, refs: list[ChunkRef], workers: int) -> Iterator[tuple[ChunkRef, Outcome]]:
    """Several chunks at a time, each in a transaction of its own. What was begun is ended, whatever stops the run.

    Only where the process itself is to end, nobody waits: what is under way is put back, and not committed any more.
    """
    waiting, begun, turn = iter(refs), deque[tuple[ChunkRef, Future[Outcome]]](), Lock()
    try:
        while True:
            for ref in islice(waiting, workers - len(begun)):
                begun.append((ref, background(partial(load_chunk, ref, feed, turn))))
            if not begun:
                return
            ref, coming = begun[0]
            outcome = coming.result()
            begun.popleft()
            yield ref, outcome
    except Exception:
        wait([coming for _, coming in begun])
        raise
    except BaseException:
        for ref in [ref for ref, coming in begun if not coming.done()]:
            with suppress(RestockError):
                _open_sink(feed).ledger.put_back(ref)
        raise


def load_run(sink: FlaskSink, lease: Lease, run_id: str, door: Door, numbers: set[int] | None = None) -> RunReport:
    """Load the outstanding chunks of a run, or those of them with the given numbers, and close the execution.

    Returns:
        The report of the run, whatever its status is now.

    Raises:
        SinkUnavailable, LeaseLost, RunInterrupted: the run stopped; it can be resumed.
    """
    started = time.monotonic()
    settle_interpreter()
    history = History(sink.database)
    refs = [ref for ref in history.outstanding(run_id, lease) if numbers is None or ref.number in numbers]
    was_held = sink.ledger.resume(lease, run_id) == "held"
    door.progress.loading(sink.feed.name, refs)
    held: str | None = None
    rows = 0
    try:
        for ref, outcome in chain.from_iterable(door.load(sink.feed, some) for some in _apart(refs)):
            rows += ref.rows if isinstance(outcome, WriteCounts) else 0
            door.progress.loaded(ref, outcome)
    except RunHeld as limit:
        held = str(limit)
    except (RunInterrupted, KeyboardInterrupt):
        sink.ledger.settle(run_id)
        raise
    sink.ledger.settle(run_id, held)
    report = read_report(history, run_id).executed(time.monotonic() - started, rows, was_held)
    door.progress.ended(report)
    return report


def _apart(refs: list[ChunkRef]) -> Iterator[list[ChunkRef]]:
    """The chunks in order; one whose attempt ended its process comes alone, so that no other is blamed for it."""
    for is_suspect, some in groupby(refs, key=lambda ref: ref.was_cut_short):
        if is_suspect:
            yield from ([ref] for ref in some)
        else:
            yield list(some)
