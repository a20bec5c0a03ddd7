"""The flow reprocess-failed-chunks: load outstanding chunks again, started by hand."""

from __future__ import annotations

from flows.orchestration.flow_here import run_in_this_process
from flows.orchestration.flow_runs import carry_out, run_date
from flows.runs.choices import read_numbers, text_or_none
from flows.runs.door import Door
from flows.runs.progress import Progress
from flows.runs.reports import RunReport, nothing_owed
from flows.runs.reprocessing import reprocess
from flows.runs.workplace import open_workplace
from prefect import State, flow, runtime
from restock.errors import ConfigurationError


def _run_name() -> str:
    return f"{runtime.flow_run.parameters.get('run_id') or 'every unfinished run'} {run_date()}"


# Parameters are checked below, in sentences, and also when a run was started past the form and its schema.
@flow(
    name="reprocess-failed-chunks",
    flow_run_name=_run_name,
    retries=0,
    persist_result=False,
    validate_parameters=False,
)
def reprocess_failed_chunks(run_id: str = "", chunks: str = "") -> State[None]:
    """Load failed and outstanding chunks again from the spool, with today's feed and code.

    Args:
        run_id: Only the chunks of this run. Leave it empty for those of every unfinished run.
        chunks: Only these chunks of that run, such as 3, 7-9. Leave it empty for all of them.
    """

    def work(door: Door) -> list[RunReport]:
        chosen, numbers = text_or_none("run_id", run_id), read_numbers("chunks", chunks)
        if numbers and chosen is None:
            raise ConfigurationError("The chunks were given without their run; give run_id as well.")
        return reprocess(open_workplace(), door, chosen, numbers)

    return carry_out(work, nothing_owed(run_id))


def run_reprocess_flow(
    run_id: str | None, chunks: list[int] | None, progress: Progress, wait: float = 0.0
) -> list[RunReport]:
    """Run reprocess-failed-chunks in this process, on the Prefect server that is configured.

    Raises:
        RestockError: as `flows.runs.reprocessing.reprocess` does.
    """
    parameters = {"run_id": run_id or "", "chunks": ", ".join(str(number) for number in chunks or [])}
    return run_in_this_process(reprocess_failed_chunks, parameters, progress, wait)
