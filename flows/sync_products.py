"""The flow sync-products: bring a feed in, on a schedule or by hand."""

from __future__ import annotations

from typing import Annotated

from flows.admission import sync
from flows.choices import Choices, read_choices
from flows.flow_runs import carry_out, run_date, run_in_this_process, slot_of_schedule
from flows.forms import ConfiguredFeeds
from flows.progress import Progress
from flows.reports import RunReport
from flows.task_windows import load_in_task_windows
from flows.workplace import Workplace, open_workplace
from prefect import State, flow, runtime
from restock.errors import ConfigurationError


def _run_name() -> str:
    return f"{runtime.flow_run.parameters['feed']} {run_date()}"


# Parameters are checked below, in sentences, and also when a run was started past the form and its schema.
@flow(name="sync-products", flow_run_name=_run_name, retries=0, persist_result=False, validate_parameters=False)
def sync_products(
    feed: Annotated[str, ConfiguredFeeds()],
    file: str = "",
    fresh: bool = False,
    max_rejects: str = "",
    force: bool = False,
) -> State[None]:
    """Bring a feed in: read it, and insert or update its rows. An interrupted run of the same content goes on.

    Args:
        feed: The feed to bring in.
        file: A file to read this time in place of the feed's own source, inside the allowed folders. Usually empty.
        fresh: Begin anew where an interrupted run of the same content would go on.
        max_rejects: Hold this run after so many rejected rows, such as 100 or 1%. Empty for the feed's own limit.
        force: Go on although a limit of rejected rows trips.
    """

    def work(progress: Progress, wait: float) -> list[RunReport]:
        place = open_workplace()
        choices = read_choices(file, fresh, max_rejects, force, slot_of_schedule())
        _check_deployment(place, feed)
        return [sync(place, place.feed(feed), load_in_task_windows, progress, choices, wait)]

    return carry_out(work, feed)


def _check_deployment(place: Workplace, feed: str) -> None:
    """The deployment of a feed brings in that feed: its name stands in every list and notification."""
    if not isinstance(feed, str):
        raise ConfigurationError(f"feed is {feed!r}; give the name of a feed.")
    deployment = runtime.deployment.name
    if deployment in place.feeds and deployment != feed:
        raise ConfigurationError(
            f"The deployment {deployment} brings in the feed {deployment} only; to bring in {feed}, run its own."
        )


def run_sync_flow(feed: str, choices: Choices, progress: Progress, wait: float = 0.0) -> RunReport:
    """Run sync-products in this process, on the Prefect server that is configured.

    Raises:
        RestockError: as `flows.admission.sync` does.
    """
    parameters = {
        "feed": feed,
        "file": choices.file or "",
        "fresh": choices.fresh,
        "max_rejects": str(choices.max_rejects or ""),
        "force": choices.force,
    }
    return run_in_this_process(sync_products, parameters, progress, wait)[0]
