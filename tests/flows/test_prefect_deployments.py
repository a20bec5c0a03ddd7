"""The deployments of prefect.yaml, with a real server and a real worker."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))


@pytest.fixture
def environment(prefect_url: str, tmp_path: Path) -> dict[str, str]:
    """What a worker is started with."""
    return os.environ | {
        "PREFECT_API_URL": prefect_url,
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'shop.sqlite'}",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "RESTOCK_SPOOL": str(tmp_path / "spool"),
    }


def prefect(environment: dict[str, str], *words: str) -> None:
    finished = subprocess.run(
        [PREFECT, *words], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[None]:
    """A worker, while the block lasts, with every process it starts."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [PREFECT, "worker", "start", "--pool", "restock"],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_prefect_yaml_deploys_as_it_is_and_a_worker_brings_the_feed_in(
    server: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    from prefect.deployments import run_deployment

    prefect(environment, "work-pool", "create", "restock", "--type", "process")
    prefect(environment, "--no-prompt", "deploy", "--all")

    with worker(environment, tmp_path / "worker.log"):
        run = run_deployment("sync-products/ad-hoc", parameters={"feed": "buy-com"}, timeout=60, poll_interval=0.5)

    assert run.state.name == "Completed", (run.state.message, (tmp_path / "worker.log").read_text())
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as shop:
        assert shop.execute("SELECT count(*) FROM product").fetchone() == (1092,)
    assert "Traceback" not in (tmp_path / "worker.log").read_text()
    nightly = server.client.read_deployment_by_name("sync-products/buy-com")
    assert [(each.schedule.cron, each.schedule.timezone) for each in nightly.schedules] == [("15 2 * * *", "UTC")]
    # With SQLAlchemy 2.1, Prefect 3.8.8 shows the schedule as active and never makes a run of it.
    scheduled = server.scheduled_runs(nightly.id)
    assert {run.expected_start_time.strftime("%H:%M") for run in scheduled} == {"02:15"}
    by_hand = server.client.read_deployment_by_name("reprocess-failed-chunks/by-hand")
    told = {name: entry["description"] for name, entry in by_hand.parameter_openapi_schema["properties"].items()}
    assert set(told) == {"run_id", "chunks"}
    assert all(told.values())
