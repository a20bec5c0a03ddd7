"""What takes minutes: Prefect's server is away, its processes are killed, a run has 10,000 chunks. `make nights`."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import pytest
from looking import look_until
from operations.houses import AT_NIGHT, House, kill
from operations.notifying import notify
from takers import Taken

pytestmark = AT_NIGHT
ROWS = 40


def loaded(house: House) -> int:
    return int(house.shop.execute("SELECT count(*) AS n FROM restock_chunk WHERE status = 'loaded'")[0]["n"])


def completed(house: House, run: Any) -> Any:
    state = house.client.read_flow_run(run.id).state
    return state if state.name == "Completed" else None


def artifacts(house: House, run: Any) -> dict[str, Any]:
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    return {artifact.key: artifact.data for artifact in house.client.read_artifacts(artifact_filter=of_run)}


@pytest.mark.parametrize("seconds", [30, 300])
def test_chunks_are_committed_while_the_server_is_away_and_the_state_is_true_afterwards(
    house: House, seconds: int
) -> None:
    pace = seconds / 30
    rows = 320  # at this pace the run would outlast even the slowest start of a server, and ends soon after it
    house.fill(rows)
    with house.told("slow", str(pace)):
        run = house.start("sync-products/products")
        house.has_begun(run)
        kill(house.process("server"))
        before, died = loaded(house), time.monotonic()
        look_until(lambda: True if time.monotonic() - died > seconds else None, seconds + 10)
        meanwhile = loaded(house) - before
        house.succeed("-m", "flows.station", "up")
    state = look_until(lambda: completed(house, run), 90 + 10 * pace)

    print(f"away for {seconds} s: {meanwhile} chunks were loaded meanwhile")
    assert meanwhile > 15
    assert state.message.endswith(f"of {rows} rows: {rows} inserted.")
    assert len(house.shop.rows("product")) == rows
    if seconds < 90:  # after a longer time the server may take the run for dead until it has heard of its end
        assert "Crashed" not in {state.name for state in house.client.read_flow_run_states(run.id)}
    shown = artifacts(house, run)
    assert shown["products-progress"] == 100.0
    assert shown["products-summary"].startswith("# products: completed")


def test_a_run_whose_server_never_came_back_is_complete_and_the_next_one_rewrites_nothing(house: House) -> None:
    house.fill(ROWS)
    with house.told("slow", "0.5"):
        run = house.start("sync-products/products")
        house.has_begun(run)
        kill(house.process("server"))
        look_until(lambda: True if loaded(house) == ROWS // 2 else None, 120)
    finished = "SELECT status FROM restock_run"
    look_until(lambda: True if house.shop.execute(finished) == [{"status": "completed"}] else None)
    time.sleep(5)
    assert house.run("flows.station", "up").returncode == 0

    state = house.client.read_flow_run(run.id).state
    assert state.name in ("Completed", "Running", "Crashed")
    again = house.ended(house.start("sync-products/products"))
    assert again.message.endswith(f"of {ROWS} rows: {ROWS} unchanged.")


def test_a_run_that_died_with_its_machine_is_found_and_the_next_one_goes_on(house: House, mailbox: Taken) -> None:
    address, letters = mailbox
    notify(house, address)
    house.fill(ROWS)
    with house.told("slow", "1"):
        run = house.start("sync-products/products")
        house.has_begun(run)
        kill(house.process("worker"))
    at_death = loaded(house)
    assert house.client.read_flow_run(run.id).state.is_running()
    died = time.monotonic()

    state = house.ended(run, 200)

    print(f"found dead after {time.monotonic() - died:.0f} s")
    assert (state.name, state.message[:22]) == ("Crashed", "Nothing was heard of t")
    look_until(lambda: True if any(" is Crashed" in letter for letter in letters) else None)
    house.succeed("-m", "flows.station", "up")
    assert house.ended(house.start("sync-products/products")).name == "Completed"
    assert len(house.shop.execute("SELECT run_id FROM restock_run")) == 1
    assert 0 < at_death < ROWS // 2
    assert len(house.shop.rows("product")) == ROWS


MEASURED = """
import os, resource, sys, threading, time

def memory():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

from flows.runs.choices import Choices
from flows.runs.progress import Progress
from flows.sync_products import run_sync_flow

class Watching(Progress):
    loaded_chunks = 0
    early = 0
    def loaded(self, ref, outcome):
        self.loaded_chunks += 1
        if self.loaded_chunks == 200:
            self.early = memory()

watching = Watching()
[report] = run_sync_flow("products", Choices(), watching)
print(report.summary.status, report.summary.chunks_loaded, (memory() - watching.early) / 2**20)
"""


def test_ten_thousand_chunks_are_two_hundred_task_runs_and_leave_prefect_small(house: House) -> None:
    house.fill(20_000)
    database = house.folder / ".restock/station/prefect/prefect.db"

    def size() -> float:
        with closing(sqlite3.connect(database, timeout=60)) as server:
            server.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return database.stat().st_size / 2**20

    before = size()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        cwd=house.folder, env=house.environment | house.caller, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    status, chunks, grown = done.stdout.split()
    time.sleep(5)  # the last events are still on their way
    print(f"{chunks} chunks: flow process +{grown} MiB, Prefect's database +{size() - before:.1f} MiB")
    newest = house.client.read_flow_runs(limit=200)
    ours = max(newest, key=lambda run: run.created)
    with closing(sqlite3.connect(database, timeout=60)) as server:
        tasks = server.execute("SELECT count(*) FROM task_run WHERE flow_run_id = ?", (str(ours.id),)).fetchone()[0]
    assert (status, chunks) == ("completed", "10000")
    assert 0 < tasks <= 200
    assert float(grown) < 100
    assert size() - before < 20
