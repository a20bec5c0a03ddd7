"""Loads chunks as Prefect task runs, one after the other or on a cluster: each loads a window of consecutive chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.exceptions import TerminationSignal
from prefect.states import Completed, Failed
from prefect.utilities.annotations import quote

from flows.runs.door import Outcome
from flows.runs.loading import load_here
from prefect import State, task
from restock.chunks import OUTCOMES, ChunkRef, RunSummary, WriteCounts
from restock.errors import ChunkFailed, ConfigurationError, RestockError, RunInterrupted
from restock.feeds import Feed
from restock.references import place_of
from restock.settings import read_settings
from restock.wording import counted

# A task run costs Prefect's server 0.04 s of a processor, a seventh of what a chunk of usual size costs restock. So a
# run has a few of them anyway, more if each has so many rows, and no more than Prefect still shows at once.
FEW_TASK_RUNS, WORTH_ROWS, MOST_TASK_RUNS = 8, 200_000, 200


@dataclass(frozen=True)
class WindowOutcome:
    """What became of each chunk of a window, and what stopped the run in it, if anything did."""

    # Kept out of what Prefect logs: the state's message says it.
    outcomes: list[tuple[ChunkRef, Outcome]] = field(repr=False)
    stop: Exception | None = field(default=None, repr=False)


def load_in_task_windows(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
    """Load chunks in task runs of the current flow run. A failed chunk fails its task run, and the flow goes on.

    Raises:
        ConfigurationError: they shall be loaded by Dask, and it is not installed.
    """
    calls = [{"name": window_name(window), "feed": feed, "window": window} for window in windows(refs)]
    settings = read_settings()
    is_far = (feed.task_runner or settings.task_runner) == "dask"
    try:
        for state in _states_on_dask(feed, calls, settings.dask_scheduler) if is_far else _states_here(feed, calls):
            done: Any = state.result(raise_on_failure=False)
            yield from done.outcomes
            if done.stop is not None:
                raise done.stop
    except TerminationSignal as signal:
        raise RunInterrupted("Prefect stopped the flow run; what is committed is kept.") from signal


def _states_here(feed: Feed, calls: list[dict[str, Any]]) -> Iterator[State[Any]]:
    """The task runs share one stream of chunks, so that while one of them writes the chunk of the next is prepared."""
    coming = load_here(feed, [ref for call in calls for ref in call["window"]])
    for call in calls:
        # Prefect would look through them for states of other task runs, again and again.
        quoted = {"feed": quote(feed), "window": quote(call["window"]), "coming": quote(coming)}
        yield load_window(name=call["name"], return_state=True, **quoted)


def _states_on_dask(feed: Feed, calls: list[dict[str, Any]], scheduler: str | None) -> Iterator[State[Any]]:
    try:
        from flows.orchestration.dask_windows import states_on_dask
    except ImportError as error:
        raise ConfigurationError(
            f"Feed {feed.name!r} is to be loaded by Dask, which is not installed; `pip install 'restock[dask]'`."
        ) from error
    yield from states_on_dask(load_window, calls, scheduler)


def windows(refs: list[ChunkRef]) -> list[list[ChunkRef]]:
    """The chunks in order, in windows of equal size: of one chunk, or of more where there are many."""
    worth_it = max(FEW_TASK_RUNS, sum(ref.rows for ref in refs) // WORTH_ROWS)
    size = max(1, math.ceil(len(refs) / min(worth_it, MOST_TASK_RUNS)))
    return [refs[start : start + size] for start in range(0, len(refs), size)]


def window_name(window: list[ChunkRef]) -> str:
    """A window by the numbers of its chunks."""
    first, last = window[0].number, window[-1].number
    if first == last:
        return f"chunk {first}"
    is_whole = last - first == len(window) - 1
    return f"chunks {first}-{last}" if is_whole else f"chunks {first}-{last} ({len(window)} of them)"


# Retries, results and caches are the ledger's business: Prefect only shows what happened.
@task(name="load-window", task_run_name="{name}", retries=0, cache_policy=NO_CACHE, persist_result=False)
def load_window(
    name: str, feed: Feed, window: list[ChunkRef], coming: Iterator[tuple[ChunkRef, Outcome]] | None = None
) -> State[WindowOutcome]:
    """Load the chunks of a window, those that are `coming` next or all by itself.

    Errors are part of the outcome: raised, they would be logged with their chain, which may quote rows.
    """
    outcomes: list[tuple[ChunkRef, Outcome]] = []
    try:
        outcomes.extend(islice(load_here(feed, window) if coming is None else coming, len(window)))
    except Exception as error:
        return Failed(message=explained(error), data=WindowOutcome(outcomes, error))
    return _ended(WindowOutcome(outcomes))


def _ended(done: WindowOutcome) -> State[WindowOutcome]:
    failed = [str(outcome) for _, outcome in done.outcomes if isinstance(outcome, ChunkFailed)]
    if failed:
        others = f" ({len(failed)} chunks of this window failed.)" if len(failed) > 1 else ""
        return Failed(message=failed[0] + others, data=done)
    counts = sum((outcome for _, outcome in done.outcomes if isinstance(outcome, WriteCounts)), WriteCounts())
    return Completed(message=f"{counted(counts.total, 'row')}: {told(counts)}.", data=done)


def told(counts: WriteCounts | RunSummary) -> str:
    """What became of some rows, in words."""
    named = ((name, getattr(counts, name, 0)) for name in OUTCOMES)
    return ", ".join(f"{rows:,} {name}" for name, rows in named if rows) or "none"


def explained(error: Exception) -> str:
    """An error as one sentence without the values it may hold."""
    if isinstance(error, RestockError):
        return str(error)
    return (
        f"An unexpected {type(error).__name__} in {place_of(error)} stopped the run; what is committed is kept. Start "
        "again to go on; if it comes back, do the same in a terminal with RESTOCK_DEBUG=1 to see where it comes from, "
        "and please report it."
    )
