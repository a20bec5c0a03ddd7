"""Progress of a flow run, shown at a door and in the Prefect UI."""

from __future__ import annotations

import time

from flows.orchestration.announcements import CHUNKS_ANNOUNCED, chunk_failed, run_completed, run_held
from flows.orchestration.artifacts import Artifact, Showcase, key_of
from flows.orchestration.summary_page import show_summary
from flows.runs.progress import Progress
from flows.runs.reports import RunReport
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, TargetBusy
from restock.wording import counted

UPDATE_SECONDS = 1.0


class ShownProgress(Progress):
    """Shows progress at a door, and in Prefect: as artifacts, and as events of failed chunks and of the end of runs."""

    def __init__(self, door: Progress, showcase: Showcase) -> None:
        self._door = door
        self._showcase = showcase
        self._artifact: Artifact | None = None
        self._chunks = 0
        self._loaded = 0
        self._updated_at = 0.0
        self._feed = ""
        self._failed = 0

    def waiting(self, busy: TargetBusy) -> None:
        self._door.waiting(busy)

    def reading(self, rows: int) -> None:
        self._door.reading(rows)

    def note(self, sentence: str) -> None:
        self._door.note(sentence)

    def loading(self, feed: str, refs: list[ChunkRef]) -> None:
        self._door.loading(feed, refs)
        self._chunks, self._loaded, self._updated_at = len(refs), 0, time.monotonic()
        self._feed, self._failed = feed, 0
        description = f"Of {counted(len(refs), 'chunk')}, loaded or failed"
        self._artifact = self._showcase.create("progress", f"{key_of(feed)}-progress", self._percent, description)

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        self._door.loaded(ref, outcome)
        self._loaded += 1
        if isinstance(outcome, ChunkFailed):
            self._failed += 1
            if self._failed <= CHUNKS_ANNOUNCED:
                chunk_failed(self._feed, ref, outcome)
        now = time.monotonic()
        is_last = self._loaded == self._chunks
        if is_last:
            self._showcase.insist()  # this and the summary are what is looked at afterwards
        is_due = now - self._updated_at >= UPDATE_SECONDS or is_last
        if self._artifact is not None and is_due:
            self._updated_at = now
            self._showcase.update(self._artifact, self._percent)

    def ended(self, report: RunReport) -> None:
        self._door.ended(report)
        show_summary(report, self._showcase)
        if report.summary.status == "held" and not report.was_held:
            run_held(report)
        elif not report.summary.outstanding:
            run_completed(report)

    @property
    def _percent(self) -> float:
        return round(100 * self._loaded / self._chunks, 1) if self._chunks else 100.0
