"""One real Prefect server for all tests of this folder that ask for it, and ways to look at what it was told."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from looking import look_until
from shops import Shop

from flows.orchestration.prefect_server import quiet_server

# What a test's transform needs to fail the second of its chunks.
RULES = """
def fail_on_s_00003(frame):
    if (frame["sku"] == "S-00003").any():
        raise ValueError("secret value 4711")
    return frame
"""


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the Prefect server started for these tests."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def prefect_url(session_home: Path) -> Iterator[str]:
    """The API address of that server."""
    with quiet_server(session_home) as url:
        yield url


@pytest.fixture
def prefect_home(prefect_url: str, session_home: Path, tmp_path: Path) -> Path:
    """A home for a server of the test's own, with its tables in place: making them takes seconds."""
    home = tmp_path / "private"
    home.mkdir()
    with (
        closing(sqlite3.connect(session_home / "prefect.db")) as made,
        closing(sqlite3.connect(home / "prefect.db")) as copied,
    ):
        made.backup(copied)
    return home


@dataclass
class Server:
    """What the Prefect server knows, through its API."""

    client: Any

    def flow_run(self) -> Any:
        """The newest flow run that has begun: other tests' deployments have theirs waiting here."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime
        from prefect.client.schemas.sorting import FlowRunSort

        begun = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
        return self.client.read_flow_runs(flow_run_filter=begun, sort=FlowRunSort.START_TIME_DESC, limit=1)[0]

    def task_states(self, count: int) -> dict[str, tuple[str, str | None]]:
        """Name -> state and message of the newest flow run's task runs, once there are so many ended ones."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        of_run = FlowRunFilter(id=FlowRunFilterId(any_=[self.flow_run().id]))

        def ended() -> dict[str, tuple[str, str | None]] | None:
            found = self.client.read_task_runs(flow_run_filter=of_run)
            states = {run.name: (run.state_name, run.state.message) for run in found if run.state.is_final()}
            return states if len(states) == count else None

        return look_until(ended)

    def artifacts(self) -> dict[str, Any]:
        """Key -> data of the newest flow run's artifacts."""
        from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[self.flow_run().id]))
        return {artifact.key: artifact.data for artifact in self.client.read_artifacts(artifact_filter=of_run)}

    def newest(self, key: str) -> Any:
        """The data of the newest artifact of that key, whichever run made it."""
        from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

        of_key = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
        (artifact,) = self.client.read_latest_artifacts(artifact_filter=of_key)
        return artifact.data

    def log(self) -> str:
        """Everything the newest flow run logged."""
        from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

        of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[self.flow_run().id]))

        def finished() -> str | None:
            text = "\n".join(entry.message for entry in self.client.read_logs(log_filter=of_run))
            return text if "Finished in state" in text else None

        return look_until(finished)


@pytest.fixture
def server(prefect_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The Prefect server, in which the flows of the test run."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # Flows run from the terminal change these for the rest of their process, which here is that of all tests.
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    monkeypatch.setattr(logging.getLogger(), "handlers", list(logging.getLogger().handlers))
    with temporary_settings({PREFECT_API_URL: prefect_url}), get_client(sync_client=True) as client:
        yield Server(client)


@pytest.fixture
def chunked_shop(sqlite_shop: Shop) -> Shop:
    """A shop with six products in its feed and two in a chunk, and a transform that can fail the second chunk."""
    (sqlite_shop.folder / sqlite_shop.package / "rules.py").write_text(RULES, encoding="utf-8")
    sqlite_shop.feed(chunk_rows=2)
    sqlite_shop.write_csv("products.csv", [{"sku": f"S-{n:05}", "name": f"Product {n}"} for n in range(1, 7)])
    return sqlite_shop
