"""The artifacts of a flow run in the Prefect UI, and its progress among them. Shown as far as the server lets us.

The API is only asked between chunks, for a short time; the first trouble ends the showing, never the load.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.announcements import CHUNKS_ANNOUNCED, chunk_failed
from flows.progress import Progress
from flows.summary_page import key_of
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, TargetBusy
from sinks.ledger_entries import RunEntry

log = logging.getLogger("restock")

UPDATE_SECONDS = 1.0
ANSWER_SECONDS = 5.0


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
    """Shows progress at a door, and in Prefect: as an artifact, and an event for each chunk that failed."""

    def __init__(self, door: Progress, showcase: Showcase) -> None:
        self._door = door
        self._showcase = showcase
        self._artifact: UUID | None = None
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

    def loading(self, run: RunEntry, refs: list[ChunkRef]) -> None:
        self._door.loading(run, refs)
        self._chunks, self._loaded, self._updated_at = len(refs), 0, time.monotonic()
        self._feed, self._failed = run.feed, 0
        description = f"Of {len(refs)} chunks, loaded or failed"
        self._artifact = self._showcase.create("progress", f"{key_of(run.feed)}-progress", self._percent, description)

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        self._door.loaded(ref, outcome)
        self._loaded += 1
        if isinstance(outcome, ChunkFailed):
            self._failed += 1
            if self._failed <= CHUNKS_ANNOUNCED:
                chunk_failed(self._feed, ref, outcome)
        now = time.monotonic()
        is_due = now - self._updated_at >= UPDATE_SECONDS or self._loaded == self._chunks
        if self._artifact is not None and is_due:
            self._updated_at = now
            self._showcase.update(self._artifact, self._percent)

    @property
    def _percent(self) -> float:
        return round(100 * self._loaded / self._chunks, 1) if self._chunks else 100.0
