"""What both flows share: how their work is carried out in Prefect, and how a flow run ends there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime

from prefect.context import FlowRunContext
from prefect.exceptions import FailedRun, TerminationSignal
from prefect.states import Completed, Failed

from flows.orchestration.announcements import run_stopped
from flows.orchestration.artifacts import open_showcase
from flows.orchestration.flow_here import Caller, at_terminal
from flows.orchestration.shown_progress import ShownProgress
from flows.orchestration.task_windows import explained, load_in_task_windows, told
from flows.runs.door import Door
from flows.runs.progress import Progress
from flows.runs.reports import RunReport
from flows.runs.stopping import check_stop, heeding_signals
from prefect import State, get_run_logger, runtime
from restock.errors import (
    AlreadyServed,
    RunHeld,
    RunIncomplete,
    RunInterrupted,
    SinkUnavailable,
    TargetBusy,
)
from restock.wording import counted

# A deployed run waits so long for a table that another feed's run writes: nobody else would bring in what it brings.
WAIT_SECONDS = 3600.0
# Worst first: a flow run over several runs ends as the worst of them.
STATES = ("Held", "Still held", "Incomplete", "Completed with rejects", "Completed")


class LoggedProgress(Progress):
    """Progress of a deployed flow run: task runs and an artifact show it, and notes go to its log."""

    def note(self, sentence: str) -> None:
        get_run_logger().info(sentence)


Work = Callable[[Door], list[RunReport]]


def carry_out(work: Work, idle: str, feed: str | None = None) -> State[None]:
    """Do the work of a flow run, show it in Prefect, and say how it ended.

    Errors become states: raised, Prefect would log them with their chain, which may quote rows.

    Args:
        idle: what there is to say if the work finds nothing to load.
        feed: the feed that the flow run brings in, if it is one.
    """
    person = at_terminal.get()
    caller = person or Caller(LoggedProgress(), WAIT_SECONDS)
    with open_showcase(runtime.flow_run.id) as showcase:
        try:
            check_stop()
            # A worker's SIGTERM is Prefect's to answer: only it knows whether the run was cancelled. It rolls back.
            with heeding_signals() if person else nullcontext():
                progress = ShownProgress(caller.progress, showcase)
                reports = work(Door(load_in_task_windows, progress, caller.wait, waits_for_own_feed=bool(person)))
        except Exception as error:
            caller.error = error
            if isinstance(error.__cause__, TerminationSignal):
                raise error.__cause__ from None
            if isinstance(error, SinkUnavailable) and feed is not None:
                run_stopped(feed, str(error))
            return _stopped_state(error)
        caller.reports = reports
    return _end_state(reports) if reports else Completed(message=idle)


def _stopped_state(error: Exception) -> State[None]:
    if isinstance(error, AlreadyServed) or (isinstance(error, TargetBusy) and error.by_own_feed):
        return Completed(name="Skipped", message=str(error))
    return Failed(name=_name_of(error), message=explained(error))


def _name_of(error: Exception) -> str:
    """What an end by an error is called. By some of these names an automation calls for a person: once for a thing."""
    if isinstance(error, RunHeld):
        return "Still held" if error.again else "Held"
    names: dict[type[Exception], str] = {RunIncomplete: "Incomplete", RunInterrupted: "Interrupted"}
    return names.get(type(error), "Failed")


def _end_state(reports: list[RunReport]) -> State[None]:
    name, message = min((_ending(report) for report in reports), key=lambda ending: STATES.index(ending[0]))
    more = f" ({len(reports)} runs in all.)" if len(reports) > 1 else ""
    return (Completed if name.startswith("Completed") else Failed)(name=name, message=message + more)


def _ending(report: RunReport) -> tuple[str, str]:
    """The name of the state that a run has earned, and its sentence."""
    if report.trouble is not None:
        return _name_of(report.trouble), str(report.trouble)
    summary = report.summary
    begin = f"Run {summary.run_id} of feed {summary.feed} is {summary.status}"
    sentence = f"{begin}; of {counted(summary.read, 'row')}: {told(summary)}."
    return "Completed with rejects" if summary.rejected else "Completed", sentence


def run_date() -> str:
    """The day a flow run belongs to: the one it was scheduled for."""
    scheduled = runtime.flow_run.scheduled_start_time
    assert isinstance(scheduled, datetime)
    return f"{scheduled:%Y-%m-%d}"


def slot_of_schedule() -> datetime | None:
    """When the schedule of a deployment wanted this flow run; None for a run that somebody started."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or not context.flow_run.auto_scheduled:
        return None
    return context.flow_run.expected_start_time


def _is_worth_reading(record: logging.LogRecord) -> bool:
    """Prefect logs a returned failed state as if it had been raised, but the state's sentence says it all."""
    if record.exc_info is not None and record.exc_info[1] is None:
        record.exc_info = None
    return record.exc_info is None or not isinstance(record.exc_info[1], FailedRun)


for each in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(each).addFilter(_is_worth_reading)
