"""How the terminal runs a flow in its own process, and keeps what Prefect says out of a person's sight."""

from __future__ import annotations

import logging
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from queue import Empty
from typing import Any

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker, PrefectConsoleHandler
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.runs.progress import Progress
from flows.runs.reports import RunReport
from prefect import Flow
from restock.errors import RestockError

DRAIN_SECONDS = 5.0
# Of each call to Prefect's server: a person waits at the terminal.
RETRIES = 1
PREFECT_LOGGERS = ("prefect", "prefect._internal", "EventsWorker", "APILogWorker")


@dataclass
class Caller:
    """Who started the flow in this process, what it lends to the flow, and what the flow hands back."""

    progress: Progress
    wait: float = 0.0
    reports: list[RunReport] | None = None
    error: Exception | None = None


# Set while a person at the terminal waits for the flow; a worker has none.
at_terminal: ContextVar[Caller | None] = ContextVar("restock_flow_caller", default=None)


def run_in_this_process(
    flow: Flow[..., Any], parameters: dict[str, Any], progress: Progress, wait: float
) -> list[RunReport]:
    """Run a flow here, for a person at the terminal, and hand back what its work came to.

    Raises:
        RestockError: whatever the work raised, unchanged; or Prefect could not begin the flow run.
    """
    _keep_prefect_off_the_terminal()
    caller = Caller(progress, wait)
    token = at_terminal.set(caller)
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES}):
            flow(**parameters, return_state=True)
    except Exception as error:
        _forget_waiting_events()
        _check_work_was_done(caller, error)
    finally:
        at_terminal.reset(token)
        # What is still under way must arrive before a private server ends.
        for worker in (EventsWorker, APILogWorker):
            worker.drain_all(timeout=DRAIN_SECONDS)
    if caller.error is not None:
        raise caller.error
    if caller.reports is None:
        raise RestockError("Prefect ended the flow run before it began; its page in the Prefect UI says why.")
    return caller.reports


def _check_work_was_done(caller: Caller, error: Exception) -> None:
    """Trouble with Prefect after the work was done changes nothing about the work."""
    if caller.reports is None and caller.error is None:
        raise RestockError(
            f"Prefect could not run the flow ({type(error).__name__}); check its server, or run without Prefect."
        ) from error
    caller.progress.note(f"Prefect could not be told how the run ended ({type(error).__name__}); the ledger knows.")


def _forget_waiting_events() -> None:
    """At exit, Prefect would try for ten seconds to deliver each event to the server that is gone."""
    waiting = EventsWorker.instance()._queue
    with suppress(Empty):
        while True:
            waiting.get_nowait()
            waiting.task_done()


def _keep_prefect_off_the_terminal() -> None:
    """Send Prefect's logs to its server only. Other libraries' warnings go where they went before Prefect came."""
    logging.raiseExceptions = False  # or log records that cannot be delivered are announced on standard error
    for name in PREFECT_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, PrefectConsoleHandler)]
