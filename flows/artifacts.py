"""The artifacts of a flow run in the Prefect UI. Shown as far as the server lets us.

The API is only asked between chunks, for a short time; the first trouble ends the showing, never the load.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

log = logging.getLogger("restock")

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


def key_of(feed: str) -> str:
    """A feed's name as Prefect wants the keys of artifacts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", feed.lower()).strip("-") or "feed"
