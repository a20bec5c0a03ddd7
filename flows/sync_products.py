"""The flow sync-products: bring a feed in, on a schedule or by hand."""

from __future__ import annotations

from typing import Any

from flows.orchestration.flow_here import run_in_this_process
from flows.orchestration.flow_runs import carry_out, run_date, slot_of_schedule
from flows.orchestration.forms import FeedField, FileField, ForceField, FreshField, MaxRejectsField
from flows.runs.admission import sync
from flows.runs.choices import Choices, read_choices
from flows.runs.door import Door
from flows.runs.progress import Progress
from flows.runs.reports import RunReport, nothing_new
from flows.runs.workplace import open_workplace
from prefect import State, flow, runtime
from restock.errors import ConfigurationError

# Parameters are checked below, in sentences, and also when a run was started past the form and its schema.
SYNC: dict[str, Any] = {"name": "sync-products", "retries": 0, "persist_result": False, "validate_parameters": False}


@flow(flow_run_name=lambda: _run_name(runtime.flow_run.parameters["feed"]), **SYNC)
def sync_products(
    feed: FeedField, file: FileField = "", fresh: FreshField = False, max_rejects: MaxRejectsField = "",
    force: ForceField = False,
) -> State[None]:  # fmt: skip
    """Bring a feed in: read it, and insert or update its rows. An interrupted run of the same content goes on."""
    return _bring_in(feed, file, fresh, max_rejects, force)


@flow(flow_run_name=lambda: _run_name(runtime.deployment.name), **SYNC)
def sync_feed_of_deployment(
    file: FileField = "", fresh: FreshField = False, max_rejects: MaxRejectsField = "", force: ForceField = False
) -> State[None]:
    """Bring in the feed that the deployment is named after, as `sync_products` does. Its form asks for no feed."""
    return _bring_in(runtime.deployment.name, file, fresh, max_rejects, force)


def _bring_in(feed: str, file: object, fresh: object, max_rejects: object, force: object) -> State[None]:
    def work(door: Door) -> list[RunReport]:
        place = open_workplace()
        if not isinstance(feed, str):
            raise ConfigurationError(f"feed is {feed!r}; give the name of a feed.")
        choices = read_choices(file, fresh, max_rejects, force, slot_of_schedule())
        return sync(place, place.feed(feed), door, choices)

    return carry_out(work, nothing_new(feed), feed)


def _run_name(feed: object) -> str:
    return f"{feed} {run_date()}"


def run_sync_flow(feed: str, choices: Choices, progress: Progress, wait: float = 0.0) -> list[RunReport]:
    """Run sync-products in this process, on the Prefect server that is configured.

    Raises:
        RestockError: as `flows.runs.admission.sync` does.
    """
    parameters = {
        "feed": feed,
        "file": choices.file or "",
        "fresh": choices.fresh,
        "max_rejects": str(choices.max_rejects or ""),
        "force": choices.force,
    }
    return run_in_this_process(sync_products, parameters, progress, wait)
