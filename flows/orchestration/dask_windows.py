"""Loads windows of chunks as task runs on a Dask cluster: in several processes, on this machine or on others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

from distributed import KilledWorker
from prefect_dask.task_runners import DaskTaskRunner

from flows.runs.stopping import check_stop
from prefect import State, Task
from restock.errors import RunInterrupted

# How long a request to stop may go unheard.
LOOK_SECONDS = 0.5


def states_on_dask(task: Task[..., Any], calls: list[dict[str, Any]], scheduler: str | None) -> Iterator[State[Any]]:
    """Call a task on a cluster, as much at a time as it has hands; the states come in the order of the calls.

    A call whose worker died is made again by another one.

    Args:
        scheduler: the address of the cluster's scheduler; None for a cluster of this machine's cores, made for the run.

    Raises:
        RunInterrupted: this process was asked to stop, or workers died again and again; no further call is begun.
    """
    with _task_runner(scheduler) as runner:
        futures = [runner.submit(task, parameters=call) for call in calls]
        try:
            for future in futures:
                yield _ended(future)
        finally:
            runner.client.cancel([future.wrapped_future for future in futures])


def _task_runner(scheduler: str | None) -> DaskTaskRunner:
    if scheduler is not None:
        return DaskTaskRunner(address=scheduler)
    # Chunks keep the interpreter busy: a process for each. No page of the cluster's own is opened on a port.
    return DaskTaskRunner(cluster_kwargs={"threads_per_worker": 1, "dashboard_address": None})


def _ended(future: Any) -> State[Any]:
    while not future.wrapped_future.done():
        check_stop()
        future.wait(LOOK_SECONDS)
    try:
        state: State[Any] = future.wrapped_future.result()
    except (KilledWorker, CancelledError) as error:
        raise RunInterrupted(
            "Dask gave a task run up because its workers ended again and again; what is committed is kept: look at "
            "their memory and logs, then start again to go on."
        ) from error
    return state
