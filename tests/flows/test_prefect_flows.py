"""The two flows on a real Prefect server, run in this process as the terminal runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
from shops import Shop

from flows.reprocess_failed_chunks import run_reprocess_flow
from flows.runs.choices import Choices
from flows.runs.progress import Progress
from flows.sync_products import run_sync_flow
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, ConfigurationError, LeaseLost, RunHeld, TargetBusy


class Notes(Progress):
    def __init__(self) -> None:
        self.loaded_chunks: list[tuple[int, str]] = []
        self.notes: list[str] = []

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        self.loaded_chunks.append((ref.number, type(outcome).__name__))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def run_sync(**keys: Any) -> Any:
    progress = keys.pop("progress", Progress())
    return run_sync_flow("products", Choices(**keys), progress)[0]


def test_a_sync_shows_its_chunks_its_progress_and_its_summary(server: Any, chunked_shop: Shop) -> None:
    notes = Notes()

    report = run_sync(progress=notes)

    assert report.summary.inserted == 6
    assert notes.loaded_chunks == [(1, "WriteCounts"), (2, "WriteCounts"), (3, "WriteCounts")]
    run = server.flow_run()
    assert run.name == f"products {run.start_time:%Y-%m-%d}"
    assert (run.state_name, run.state.message) == (
        "Completed",
        f"Run {report.run.run_id} of feed products is completed; of 6 rows: 6 inserted.",
    )
    loaded = ("Completed", "2 rows: 2 inserted.")
    assert server.task_states(3) == {"chunk 1": loaded, "chunk 2": loaded, "chunk 3": loaded}
    artifacts = server.artifacts()
    assert artifacts["products-progress"] == 100.0
    assert artifacts["products-summary"].startswith("# products: completed\n")


def test_a_run_with_rejects_completes_and_says_so(server: Any, chunked_shop: Shop) -> None:
    chunked_shop.write_csv("products.csv", [{"sku": "A", "name": "Ax"}, {"sku": "B", "name": ""}])

    report = run_sync()

    assert report.summary.rejected == 1
    state = server.flow_run().state
    assert (state.type.value, state.name) == ("COMPLETED", "Completed with rejects")
    assert state.message.endswith("is completed with rejects; of 2 rows: 1 inserted, 1 rejected.")


def test_a_failed_chunk_fails_its_task_run_and_the_flow_goes_on(server: Any, chunked_shop: Shop) -> None:
    chunked_shop.feed(chunk_rows=2, transform=f"{chunked_shop.package}.rules:fail_on_s_00003")
    notes = Notes()

    report = run_sync(progress=notes)

    assert notes.loaded_chunks == [(1, "WriteCounts"), (2, "ChunkFailed"), (3, "WriteCounts")]
    assert (report.summary.status, report.summary.inserted) == ("incomplete", 4)
    tasks = server.task_states(3)
    assert [tasks[f"chunk {number}"][0] for number in (1, 2, 3)] == ["Completed", "Failed", "Completed"]
    assert tasks["chunk 2"][1] == report.failed[0].error
    state = server.flow_run().state
    assert (state.type.value, state.name) == ("FAILED", "Incomplete")
    assert "1 of 3 chunks failed (2)" in state.message


def test_nothing_prefect_is_told_holds_a_value_of_a_row(server: Any, chunked_shop: Shop) -> None:
    chunked_shop.feed(chunk_rows=2, transform=f"{chunked_shop.package}.rules:fail_on_s_00003")

    run_sync()

    told = [server.log(), str(server.flow_run().state), str(server.task_states(3)), str(server.artifacts())]
    assert not [text for text in told if "4711" in text or "S-0000" in text or "Traceback" in text]


def test_failed_chunks_are_loaded_once_their_cause_is_mended(server: Any, chunked_shop: Shop) -> None:
    chunked_shop.feed(chunk_rows=2, transform=f"{chunked_shop.package}.rules:fail_on_s_00003")
    failed = run_sync()
    chunked_shop.feed(chunk_rows=2)

    told = server.newest("products-failed-chunks")

    reports = run_reprocess_flow(failed.run.run_id, [2], Progress())

    assert [report.summary.status for report in reports] == ["completed"]
    assert len(chunked_shop.rows("product")) == 6
    assert [row["chunk"] for row in told] == [2]
    assert server.newest("products-failed-chunks") == []
    run = server.flow_run()
    assert (run.name.split()[0], run.state_name) == (failed.run.run_id, "Completed")
    assert server.task_states(1) == {"chunk 2": ("Completed", "2 rows: 2 inserted.")}


def test_with_nothing_outstanding_a_reprocess_completes_and_says_so(server: Any, chunked_shop: Shop) -> None:
    run_sync()

    assert run_reprocess_flow(None, None, Progress()) == []
    state = server.flow_run().state
    assert (state.name, state.message) == (
        "Completed",
        "There is nothing to load again: no chunk of a feed in feeds.yaml is outstanding.",
    )


def test_a_sync_that_finds_nothing_new_speaks_of_its_own_feed_alone(server: Any, chunked_shop: Shop) -> None:
    """It said that no feed's chunk was outstanding, while another feed owed some."""
    chunked_shop.feed(kind="delta")
    run_sync()

    assert run_sync_flow("products", Choices(), Progress()) == []
    state = server.flow_run().state
    assert (state.name, state.message) == (
        "Completed",
        "There is nothing to load: the source of feed products has nothing new.",
    )


def test_a_run_over_its_limit_is_held_until_it_is_forced(server: Any, chunked_shop: Shop) -> None:
    chunked_shop.feed(chunk_rows=2, max_rejects=0)
    chunked_shop.write_csv("products.csv", [{"sku": "A", "name": "Ax"}, {"sku": "B", "name": ""}])

    held = run_sync()

    state = server.flow_run().state
    assert (held.summary.status, state.type.value, state.name) == ("held", "FAILED", "Held")
    assert state.message == held.run.reason
    assert not held.was_held
    assert run_sync(force=True).summary.status == "completed with rejects"


@pytest.mark.parametrize("kind, is_any_new", [("full", False), ("delta", False), ("delta", True)])
def test_a_held_run_that_is_tried_again_is_still_held_and_calls_for_nobody_anew(
    server: Any, chunked_shop: Shop, kind: str, is_any_new: bool
) -> None:
    """At each slot of its schedule a delta feed was Held, with a letter each time."""
    chunked_shop.feed(chunk_rows=2, max_rejects=0, kind=kind, source="products*.csv")
    chunked_shop.write_csv("products.csv", [{"sku": "A", "name": "Ax"}, {"sku": "B", "name": ""}])
    held = run_sync()
    if is_any_new:
        chunked_shop.write_csv("products2.csv", [{"sku": "C", "name": "Cap"}])

    with pytest.raises(RunHeld) if is_any_new else nullcontext():
        assert run_sync().was_held

    state = server.flow_run().state
    assert (state.type.value, state.name) == ("FAILED", "Still held")
    assert state.message == f"{held.run.reason} It had been held before."


def test_an_error_that_nobody_expected_says_what_to_do(
    server: Any, chunked_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("4711")

    monkeypatch.setattr("flows.runs.admission.check_rules", fail)
    with pytest.raises(ZeroDivisionError):
        run_sync()

    message = server.flow_run().state.message
    assert "An unexpected ZeroDivisionError in " in message
    assert "what is committed is kept. Start again to go on; if it comes back, " in message
    assert "RESTOCK_DEBUG=1" in message
    assert "4711" not in message


def test_a_run_of_a_table_that_another_run_writes_is_skipped(server: Any, chunked_shop: Shop) -> None:
    from flows.runs.workplace import open_workplace
    from sinks.flask_sink import open_sink
    from sinks.ledger.lease import keeping, take_lease

    sink = open_sink(open_workplace().feed("products"))
    sink.ledger.create()
    with (
        keeping(sink.database, take_lease(sink.database, sink.target.name, sink.feed.name)),
        pytest.raises(TargetBusy) as busy,
    ):
        run_sync()

    state = server.flow_run().state
    assert (state.type.value, state.name, state.message) == ("COMPLETED", "Skipped", str(busy.value))
    assert state.message.endswith(" s); it brings the same feed in, so start again only if that has changed since.")
    assert chunked_shop.rows("product") == []


@pytest.mark.parametrize("other", ["stock", None])  # another feed's run; a reprocess, a correction, an abandoning
@pytest.mark.parametrize("ends", [True, False])
def test_a_deployed_run_waits_for_a_table_that_is_written_without_bringing_its_feed_in(
    server: Any, chunked_shop: Shop, monkeypatch: pytest.MonkeyPatch, ends: bool, other: str | None
) -> None:
    from flows.runs.workplace import open_workplace
    from flows.sync_products import sync_products
    from sinks.flask_sink import open_sink
    from sinks.ledger.lease import keeping, take_lease

    monkeypatch.setattr("flows.orchestration.flow_runs.WAIT_SECONDS", 20.0 if ends else 0.5)
    sink = open_sink(open_workplace().feed("products"))
    sink.ledger.create()
    with ExitStack() as held:
        held.enter_context(keeping(sink.database, take_lease(sink.database, sink.target.name, other)))
        if ends:  # as soon as it is waited for
            monkeypatch.setattr("flows.orchestration.flow_runs.LoggedProgress.waiting", lambda *_: held.close())
        state = sync_products(feed="products", return_state=True)

    assert state.name == ("Completed" if ends else "Failed")
    assert ends or str(state.message).endswith(" s); wait for it to end, then start again.")
    assert len(chunked_shop.rows("product")) == (6 if ends else 0)


def test_a_deployed_run_does_not_wait_for_its_own_feed(server: Any, chunked_shop: Shop) -> None:
    from flows.runs.workplace import open_workplace
    from flows.sync_products import sync_products
    from sinks.flask_sink import open_sink
    from sinks.ledger.lease import keeping, take_lease

    sink = open_sink(open_workplace().feed("products"))
    sink.ledger.create()
    with keeping(sink.database, take_lease(sink.database, sink.target.name, "products")):
        assert sync_products(feed="products", return_state=True).name == "Skipped"


def test_a_deployed_run_of_a_file_waits_for_its_own_feed_which_does_not_bring_that_file_in(
    server: Any, chunked_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.runs.workplace import open_workplace
    from flows.sync_products import sync_products
    from sinks.flask_sink import open_sink
    from sinks.ledger.lease import keeping, take_lease

    monkeypatch.setattr("flows.orchestration.flow_runs.WAIT_SECONDS", 0.5)
    sink = open_sink(open_workplace().feed("products"))
    sink.ledger.create()
    with keeping(sink.database, take_lease(sink.database, sink.target.name, "products")):
        assert sync_products(feed="products", file="products.csv", return_state=True).name == "Failed"


def test_a_wrong_call_fails_with_its_sentence_and_reaches_the_caller(server: Any, chunked_shop: Shop) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        run_sync_flow("produkts", Choices(), Progress())

    state = server.flow_run().state
    assert (state.name, state.message) == ("Failed", str(wrong.value))
    with pytest.raises(ConfigurationError, match="run_id"):
        run_reprocess_flow(None, [1], Progress())


def test_what_stops_a_run_comes_after_the_chunks_before_it(server: Any, chunked_shop: Shop) -> None:
    from flows.orchestration.task_windows import load_in_task_windows
    from flows.runs.admission import sync
    from flows.runs.door import Door
    from flows.runs.workplace import open_workplace
    from prefect import flow
    from restock.feeds import Feed

    seen: list[int] = []

    def lost_after_the_first(feed: Feed, refs: list[ChunkRef]) -> Any:
        stolen = [refs[0], *(ChunkRef(**{**vars(ref), "token": ref.token - 1}) for ref in refs[1:])]
        for ref, outcome in load_in_task_windows(feed, stolen):
            seen.append(ref.number)
            yield ref, outcome

    @flow
    def steal() -> None:
        place = open_workplace()
        with pytest.raises(LeaseLost):
            sync(place, place.feed("products"), Door(lost_after_the_first))

    steal()

    assert seen == [1]
    assert server.task_states(2)["chunk 2"][0] == "Failed"


def test_tasks_in_threads_under_an_app_context_get_a_session_each(server: Any, sqlite_shop: Shop) -> None:
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows.runs.workplace import open_workplace
    from prefect import flow, task
    from sinks.flask_sink import open_sink

    database = open_sink(open_workplace().feed("products")).database
    together = threading.Barrier(12, timeout=30)  # an app's pool has 15 connections

    @task
    def hold_a_session() -> int:
        with database.transaction() as session:
            together.wait()
            return id(session)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=12))
    def hold_twelve() -> list[int]:
        with database.app.app_context():
            futures: list[Future[int]] = [hold_a_session.submit() for _ in range(12)]  # type: ignore[misc]
            return [future.result() for future in futures]

    assert len(set(hold_twelve())) == 12


def test_the_command_prints_nothing_of_prefect(prefect_url: str, chunked_shop: Shop) -> None:
    chunked_shop.feed(chunk_rows=2, transform=f"{chunked_shop.package}.rules:fail_on_s_00003")

    finished = subprocess.run(
        [sys.executable, "-W", "always", "-m", "flows.cli", "sync", "products", "--json"],
        cwd=chunked_shop.folder,
        env=os.environ | {"PREFECT_API_URL": prefect_url},
        capture_output=True,
        encoding="utf-8",
    )

    assert finished.returncode == 1
    opening, chunk, verdict = finished.stderr.splitlines()
    assert opening.startswith("Opening feed products")
    assert chunk.startswith("Chunk 2 failed: ")
    assert "is incomplete: 1 of 3 chunks failed (2)" in verdict
    assert '"chunks_failed": 1' in finished.stdout


def test_the_command_stops_between_two_chunks_when_it_is_told_to(prefect_url: str, chunked_shop: Shop) -> None:
    (chunked_shop.folder / "terminating.py").write_text(TERMINATING, encoding="utf-8")
    chunked_shop.feed(chunk_rows=2, transform="terminating:terminate")

    finished = subprocess.run(
        [sys.executable, "-m", "flows.cli", "sync", "products", "--json"],
        cwd=chunked_shop.folder,
        env=os.environ | {"PREFECT_API_URL": prefect_url},
        capture_output=True,
        encoding="utf-8",
    )

    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert json.loads(finished.stdout)["error"]["kind"] == "RunInterrupted"
    assert [row["sku"] for row in chunked_shop.rows("product")] == ["S-00001", "S-00002"]


# Ends the process of the first chunk, while that chunk is being loaded.
TERMINATING = """
import os, signal

def terminate(frame):
    os.kill(os.getpid(), signal.SIGTERM)
    return frame
"""


def test_a_load_goes_on_when_its_prefect_server_dies(prefect_home: Path, chunked_shop: Shop) -> None:
    chunked_shop.feed(chunk_rows=1)  # so that more is left to tell the server than Prefect could try in time

    finished = subprocess.run(
        [sys.executable, "-c", DYING_SERVER, str(prefect_home)],
        capture_output=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    told = finished.stdout.splitlines()
    assert told[0] == "Prefect could not be told how the run ended (ConnectError); the ledger knows."
    assert told[1] == "completed 6"
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    assert len(chunked_shop.rows("product")) == 6


# Kills the server of the run after its first chunk.
DYING_SERVER = """
import os, sys
from pathlib import Path
from flows.orchestration import prefect_server
from flows.runs.progress import Progress

servers = []
start = prefect_server._start

def remember(home, log):
    servers.append(start(home, log))
    return servers[-1]

prefect_server._start = remember

class Killing(Progress):
    def loaded(self, ref, outcome):
        servers[0][0].kill()

    def note(self, sentence):
        print(sentence)

home = Path(sys.argv[1])
with prefect_server.quiet_server(home) as url:
    os.environ |= {"PREFECT_API_URL": url, "PREFECT_HOME": str(home)}
    from flows.runs.choices import Choices
    from flows.sync_products import run_sync_flow
    summary = run_sync_flow("products", Choices(), Killing())[0].summary
    print(summary.status, summary.inserted)
"""
