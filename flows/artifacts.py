"""What a flow run shows in the Prefect UI: its progress, and a summary of each run. Shown as far as the server lets us.

The API is only asked between chunks, for a short time; the first trouble ends the showing, never the load.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.progress import Progress
from flows.reports import RunReport
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, TargetBusy
from restock.reasons import sentence
from sinks.ledger_entries import RunEntry

log = logging.getLogger("restock")

UPDATE_SECONDS = 1.0
ANSWER_SECONDS = 5.0
REASONS_SHOWN = 10
FAILED_SHOWN = 50
COUNTS = ("inserted", "updated", "unchanged", "superseded", "stale", "rejected", "skipped", "abandoned", "outstanding")


class Showcase:
    """The artifacts of one flow run."""

    def __init__(self, client: SyncPrefectClient, flow_run_id: UUID | None) -> None:
        self._client = client
        self._flow_run_id = flow_run_id
        self._is_open = True

    def create(self, kind: str, key: str, data: Any, description: str) -> UUID | None:
        """Create an artifact; None if it cannot be shown."""
        artifact = ArtifactCreate(type=kind, key=key, data=data, description=description, flow_run_id=self._flow_run_id)
        created: list[UUID] = []
        self._ask(lambda: created.append(self._client.create_artifact(artifact).id))
        return created[0] if created else None

    def update(self, artifact_id: UUID, data: Any) -> None:
        """Change what an artifact shows."""
        self._ask(lambda: self._client.update_artifact(artifact_id, ArtifactUpdate(data=data)))

    def _ask(self, call: Callable[[], None]) -> None:
        if not self._is_open:
            return
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                call()
        except (httpx.HTTPError, PrefectException, OSError) as error:
            self._is_open = False
            log.warning(
                "Prefect does not take what this run would show (%s); the load goes on, and `restock runs` has it all.",
                type(error).__name__,
            )


@contextmanager
def open_showcase(flow_run_id: UUID | None) -> Iterator[Showcase]:
    """The artifacts of a flow run, through a client that gives up soon."""
    with get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS}) as client:
        yield Showcase(client, flow_run_id)


class ShownProgress(Progress):
    """Shows progress at a door, and as a progress artifact in the Prefect UI."""

    def __init__(self, door: Progress, showcase: Showcase) -> None:
        self._door = door
        self._showcase = showcase
        self._artifact: UUID | None = None
        self._chunks = 0
        self._loaded = 0
        self._updated_at = 0.0

    def waiting(self, busy: TargetBusy) -> None:
        self._door.waiting(busy)

    def reading(self, rows: int) -> None:
        self._door.reading(rows)

    def note(self, sentence: str) -> None:
        self._door.note(sentence)

    def loading(self, run: RunEntry, refs: list[ChunkRef]) -> None:
        self._door.loading(run, refs)
        self._chunks, self._loaded, self._updated_at = len(refs), 0, time.monotonic()
        description = f"Chunks of run {run.run_id} that have been loaded or have failed"
        self._artifact = self._showcase.create("progress", f"{key_of(run.feed)}-progress", self._percent, description)

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        self._door.loaded(ref, outcome)
        self._loaded += 1
        now = time.monotonic()
        is_due = now - self._updated_at >= UPDATE_SECONDS or self._loaded == self._chunks
        if self._artifact is not None and is_due:
            self._updated_at = now
            self._showcase.update(self._artifact, self._percent)

    @property
    def _percent(self) -> float:
        return round(100 * self._loaded / self._chunks, 1) if self._chunks else 100.0


def show_summary(report: RunReport, showcase: Showcase) -> None:
    """Show the summary of a run as a markdown artifact."""
    run = report.run
    showcase.create("markdown", f"{key_of(run.feed)}-summary", summary_page(report), f"Summary of run {run.run_id}")


def key_of(feed: str) -> str:
    """A feed's name as Prefect wants the keys of artifacts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", feed.lower()).strip("-") or "feed"


def summary_page(report: RunReport) -> str:
    """A run in markdown: counts that add up, failed chunks, reasons of rejects, and how to go on."""
    run, summary = report.run, report.summary
    counts = summary.as_dict()
    lines = [
        f"# {_cell(run.feed)}: {summary.status}",
        f"Run `{run.run_id}` of {_cell(run.source)}, generation {run.generation}; "
        f"{summary.chunks_loaded} of {summary.chunks_planned} chunks are loaded.",
        *_table(
            ("rows", "number"), [(name, f"{counts[name]:,}") for name in COUNTS] + [("**read**", f"**{run.read:,}**")]
        ),
    ]
    if report.failed:
        shown = [(str(chunk.number), f"{chunk.rows:,}", chunk.error or "") for chunk in report.failed[:FAILED_SHOWN]]
        lines += ["## Failed chunks", *_table(("chunk", "rows", "reason"), shown), *_more(report.failed, FAILED_SHOWN)]
    if report.reasons:
        top = [(f"{rows:,}", code, sentence(code, column)) for code, column, rows in report.reasons[:REASONS_SHOWN]]
        lines += ["## Rejected rows", *_table(("rows", "code", "reason"), top), *_more(report.reasons, REASONS_SHOWN)]
    return "\n\n".join(lines + _advice(report)) + "\n"


def _advice(report: RunReport) -> list[str]:
    run_id = report.run.run_id
    advice = []
    if report.summary.outstanding:
        advice.append(
            "Mend the cause, then load what is outstanding: run the deployment `reprocess-failed-chunks/by-hand` with "
            f"`run_id` = `{run_id}`, or `restock reprocess --run {run_id}`."
        )
    if report.reasons:
        advice.append(
            f"To mend rejected rows: `restock rejects {run_id} --csv rejects.csv`, edit the file, then "
            "`restock reprocess --rejects rejects.csv`."
        )
    return ["## What to do", *advice] if advice else []


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *(tuple(_cell(cell) for cell in row) for row in rows)]
    return ["\n".join("| " + " | ".join(line) + " |" for line in lines)]


def _more(found: list[Any], shown: int) -> list[str]:
    return [f"and {len(found) - shown} more"] if len(found) > shown else []


def _cell(text: str) -> str:
    """Text that cannot break out of its place in the page."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
