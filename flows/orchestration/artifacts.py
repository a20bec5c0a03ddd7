"""The artifacts of a flow run in the Prefect UI. Shown as far as the server lets us.

A thread of its own asks the API, so no chunk waits for Prefect; after trouble it rests for a while.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

log = logging.getLogger("restock")

# A busy server takes its time; one that is not there is refused at once.
ANSWER_SECONDS = 15.0
# A server that is away keeps the thread busy for little more than one call in this time.
REST_SECONDS = 20.0
Answer = TypeVar("Answer")
Artifact = Future[UUID | None]


class Rest:
    """Leaves a server alone for a while after trouble, and says so once."""

    def __init__(self) -> None:
        self._until = 0.0
        self._has_told = False

    @property
    def is_over(self) -> bool:
        """Whether the server may be asked."""
        return time.monotonic() >= self._until

    def end(self) -> None:
        """Ask again at once."""
        self._until = 0.0

    @contextmanager
    def after_trouble(self) -> Iterator[None]:
        """Begin to rest after any trouble in the block: what is only shown is nothing to stop a load for."""
        try:
            yield
        except Exception as error:
            self._until = time.monotonic() + REST_SECONDS
            if not self._has_told:
                self._has_told = True
                log.warning(
                    "Prefect does not take what this run shows (%s); the load goes on, and `restock runs` has it all.",
                    type(error).__name__,
                )


class Showcase:
    """The artifacts of one flow run, made and changed one after the other in the background."""

    def __init__(self, thread: ThreadPoolExecutor, flow_run_id: UUID | None) -> None:
        self._thread = thread
        self._context = copy_context()
        self._flow_run_id = flow_run_id
        self._lent = ExitStack()
        self._client: SyncPrefectClient | None = None
        self._rest = Rest()
        self._do(self._open)

    def create(self, kind: str, key: str, data: Any, description: str) -> Artifact:
        """Create an artifact; its id is None if it cannot be shown."""
        artifact = self._artifact(kind, key, data, description)
        return self._ask(lambda client: client.create_artifact(artifact).id)

    def update(self, artifact: Artifact, data: Any) -> None:
        """Change what an artifact shows."""

        def change(client: SyncPrefectClient) -> None:
            artifact_id = artifact.result()
            if artifact_id is not None:
                client.update_artifact(artifact_id, ArtifactUpdate(data=data))

        self._ask(change)

    def clear(self, key: str, description: str) -> None:
        """Let the newest table of a key be empty, if there is one that is not: it tells of an earlier run."""

        def supersede(client: SyncPrefectClient) -> None:
            of_key = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
            if any(newest.data for newest in client.read_latest_artifacts(artifact_filter=of_key)):
                client.create_artifact(self._artifact("table", key, [], description))

        self._ask(supersede)

    def insist(self) -> None:
        """Rest no longer: what comes now is worth asking for, whatever the trouble was."""
        self._do(self._rest.end)

    def close(self) -> None:
        """End the showing when all of it has been shown."""
        self._do(self._lent.close)

    def _artifact(self, kind: str, key: str, data: Any, description: str) -> ArtifactCreate:
        return ArtifactCreate(type=kind, key=key, data=data, description=description, flow_run_id=self._flow_run_id)

    def _open(self) -> None:
        with self._rest.after_trouble():
            self._lent.enter_context(temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}))
            client = get_client(sync_client=True, httpx_settings={"timeout": ANSWER_SECONDS})
            self._client = self._lent.enter_context(client)

    def _ask(self, call: Callable[[SyncPrefectClient], Answer]) -> Future[Answer | None]:
        def ask() -> Answer | None:
            if self._client is None or not self._rest.is_over:
                return None
            with self._rest.after_trouble():
                return call(self._client)
            return None

        return self._do(ask)

    def _do(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Let the thread do it, in one context for all it does: Prefect keeps its settings there."""
        return self._thread.submit(self._context.run, work)


@contextmanager
def open_showcase(flow_run_id: UUID | None) -> Iterator[Showcase]:
    """The artifacts of a flow run, through a client that gives up soon. All are shown when the block has ended."""
    with ThreadPoolExecutor(1, "restock-showcase") as thread:
        showcase = Showcase(thread, flow_run_id)
        try:
            yield showcase
        finally:
            showcase.close()


def key_of(feed: str) -> str:
    """A feed's name as Prefect wants the keys of artifacts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", feed.lower()).strip("-") or "feed"
