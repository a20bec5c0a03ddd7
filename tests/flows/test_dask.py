"""The flow on a real Dask cluster of several processes, and what is left when one of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from looking import wait_until
from shops import Shop

from flows.runs.choices import Choices
from flows.runs.progress import Progress
from flows.sync_products import run_sync_flow
from restock.errors import RunInterrupted

# Dask's client leaves sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ROWS = 24
CHUNKS = 8
# The worker that comes by first in the middle of the file waits to be killed; every chunk leaves its process behind.
RULES = """
import os
import time
from pathlib import Path

here = Path(__file__).parent

def trace(frame):
    sku = frame["sku"].iloc[0]
    (here / f"{sku}.{os.getpid()}").touch()
    time.sleep(0.2)
    if sku == "S-00010" and not (here / "victim").exists():
        (here / "victim.new").write_text(str(os.getpid()))
        (here / "victim.new").rename(here / "victim")
        time.sleep(60)
    return frame

def kill(frame):
    if frame["sku"].iloc[0] == "S-00010":
        os.kill(os.getpid(), 9)
    return frame
"""


@pytest.fixture
def far_shop(make_shop: MakeShop, make_database: MakeDatabase) -> Shop:
    """A shop on PostgreSQL with three rows in a chunk, loaded by Dask."""
    shop = make_shop(make_database("postgresql"))
    (shop.folder / shop.package / "rules.py").write_text(RULES, encoding="utf-8")
    shop.feed(chunk_rows=3, task_runner="dask", transform=f"{shop.package}.rules:trace")
    shop.write_csv("products.csv", [{"sku": f"S-{n:05}", "name": f"Product {n}"} for n in range(1, ROWS + 1)])
    return shop


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, far_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A scheduler and two workers, as one would start them on three hosts; the environment names the scheduler.

    The parameter says how many workers a task may have ended before Dask gives it up.
    """
    pytest.importorskip("distributed", reason="The extra dask is not installed.")
    file = tmp_path / "scheduler.json"
    where = ["--scheduler-file", str(file), "--no-dashboard"]
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", str(request.param))
    with ExitStack() as started:
        started.enter_context(_dask("scheduler", "--host", "127.0.0.1", "--port", "0", *where))
        wait_until(file.exists)
        for _ in range(2):
            started.enter_context(_dask("worker", "--nthreads", "1", "--host", "127.0.0.1", *where))
        monkeypatch.setenv("RESTOCK_DASK_SCHEDULER", json.loads(file.read_text(encoding="utf-8"))["address"])
        yield


@contextmanager
def _dask(*arguments: str) -> Iterator[None]:
    command = [sys.executable, "-m", "dask", *arguments]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # a worker's nanny has the worker beside it


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_a_worker_killed_in_the_middle_leaves_the_same_table_and_no_chunk_twice(
    server: Any, far_shop: Shop, cluster: None
) -> None:
    victim = far_shop.folder / far_shop.package / "victim"
    with ThreadPoolExecutor(1) as executor:
        killing = executor.submit(_kill, victim)
        [report] = run_sync_flow("products", Choices(), Progress())
        killing.result()

    assert (report.summary.inserted, report.summary.chunks_loaded, report.summary.outstanding) == (ROWS, CHUNKS, 0)
    assert sorted(row["sku"] for row in far_shop.rows("product")) == [f"S-{n:05}" for n in range(1, ROWS + 1)]
    attempts = {chunk.number: chunk.attempts for chunk in report.chunks}
    assert {number for number, count in attempts.items() if count > 1} == {4}
    processes = {path.suffix for path in victim.parent.glob("S-*.*")}
    assert len(processes) >= 2
    assert os.getpid() not in {int(suffix[1:]) for suffix in processes}
    loaded = ("Completed", "3 rows: 3 inserted.")
    assert server.task_states(CHUNKS) == {f"chunk {n}": loaded for n in range(1, CHUNKS + 1)}


@pytest.mark.parametrize("cluster", [0], indirect=True)
def test_a_chunk_that_ends_its_workers_stops_the_run_and_can_be_loaded_later(
    server: Any, far_shop: Shop, cluster: None
) -> None:
    far_shop.feed(chunk_rows=3, task_runner="dask", transform=f"{far_shop.package}.rules:kill")

    with pytest.raises(RunInterrupted, match="its workers ended again and again"):
        run_sync_flow("products", Choices(), Progress())

    far_shop.feed(chunk_rows=3)
    [report] = run_sync_flow("products", Choices(), Progress())
    assert report.summary.outstanding == 0
    assert len(far_shop.rows("product")) == ROWS


def _kill(victim: Path) -> None:
    """Kill the process whose number appears in a file."""
    wait_until(victim.exists)
    os.kill(int(victim.read_text(encoding="utf-8")), signal.SIGKILL)
