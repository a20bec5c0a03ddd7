"""The flow sync-products: bring a feed in, on a schedule or by hand."""

from __future__ import annotations

from prefect import State, flow, runtime

from flows.admission import sync
from flows.flow_runs import carry_out, run_date, run_in_this_process
from flows.progress import Progress
from flows.reports import RunReport
from flows.task_windows import load_in_task_windows
from flows.workplace import open_workplace


def _run_name() -> str:
    return f"{runtime.flow_run.parameters['feed']} {run_date()}"


@flow(name="sync-products", flow_run_name=_run_name, retries=0, persist_result=False)
def sync_products(feed: str, file: str | None = None, force: bool = False) -> State[None]:
    """Bring a feed in: read it, and insert or update its rows. An interrupted run of the same content goes on.

    Args:
        feed: Name of a feed in feeds.yaml, such as buy-com.
        file: A file to read in place of the feed's own source; inside the allowed folders. Leave it empty otherwise.
        force: Go on although a limit of the feed (max_rejects) trips.
    """

    def work(progress: Progress, wait: float) -> list[RunReport]:
        place = open_workplace()
        chosen = place.feed(feed)
        limited = chosen.without_limits() if force else chosen
        return [sync(place, limited, load_in_task_windows, progress, file or None, wait)]

    return carry_out(work)


def run_sync_flow(feed: str, file: str | None, force: bool, progress: Progress, wait: float = 0.0) -> RunReport:
    """Run sync-products in this process, on the Prefect server that is configured.

    Raises:
        RestockError: as `flows.admission.sync` does.
    """
    parameters = {"feed": feed, "file": file, "force": force}
    return run_in_this_process(sync_products, parameters, progress, wait)[0]
