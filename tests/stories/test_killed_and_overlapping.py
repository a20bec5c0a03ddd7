"""A run is killed in the middle, or two runs want the same table: real processes of the real command.

Most are forked from one that has imported everything, which takes longer than what they do.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from faults import children
from faults.children import Child
from looking import wait_until
from shops import Shop, start_restock
from stories.doorway import run_here
from stories.telling import (
    add_transform,
    check_conservation,
    counts,
    expected,
    product,
    products,
    reprocess,
    statuses,
    sync,
    table,
)

# Stops at the product named SLOW for as long as a file of that name lies beside feeds.yaml.
WAITING = """\
import os, pathlib, time
FLAG = pathlib.Path(os.environ["RESTOCK_FEEDS"]).with_name("slow")

def clean(frame):
    while (frame["name"] == "SLOW").any() and FLAG.exists():
        time.sleep(0.02)
    return frame
"""
NIGHT = [*products([1, 2]), product(3, name="SLOW"), *products([4, 5, 6])]


@contextmanager
def stuck_run(shop: Shop) -> Iterator[tuple[Child, str]]:
    """A command that has loaded the first of three chunks and waits in the second; its process and its run."""
    shop.feed(chunk_rows=2, transform=add_transform(shop, "waiting", WAITING))
    shop.write_csv("products.csv", NIGHT)
    (shop.folder / "slow").touch()
    child = children.start(["sync", "products"], shop)
    try:
        wait_until(lambda: "restock_chunk" in shop.tables() and _statuses(shop)[:2] == ["loaded", "loading"])
        yield child, shop.rows("restock_run")[0]["run_id"]
    finally:
        (shop.folder / "slow").unlink(missing_ok=True)
        child.process.kill()
        child.wait()


def _statuses(shop: Shop) -> list[str]:
    return [row["status"] for row in shop.execute("SELECT status FROM restock_chunk ORDER BY run_id, number")]


def killed_run(shop: Shop) -> str:
    """The run of a command that was killed in its second chunk."""
    with stuck_run(shop) as (child, run_id):
        child.process.kill()
        assert child.wait() == -signal.SIGKILL
    return run_id


def test_after_a_kill_nothing_is_half_written_and_reprocess_loads_the_rest(shop: Shop) -> None:
    run_id = killed_run(shop)
    check_conservation(shop)
    assert statuses(shop, run_id) == ["loaded", "loading", "planned"]
    assert table(shop) == expected(NIGHT[:2])
    (shop.folder / "products.csv").unlink()

    [report] = reprocess(shop)

    assert report.run.run_id == run_id
    assert report.summary.status == "completed"
    assert counts(report) == {"inserted": 6}
    assert table(shop) == expected(NIGHT)


def test_after_a_kill_the_same_sync_goes_on_and_leaves_loaded_chunks_alone(sqlite_shop: Shop) -> None:
    run_id = killed_run(sqlite_shop)
    sqlite_shop.execute("UPDATE product SET name = 'edited' WHERE sku = 'S-001'")

    report = sync(sqlite_shop)

    assert report.run.run_id == run_id
    assert counts(report) == {"inserted": 6}
    assert table(sqlite_shop) == expected([product(1, name="edited"), *NIGHT[1:]])


def test_who_goes_on_with_a_run_is_told_so(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    run_id = killed_run(sqlite_shop)

    said = run_here(capfd, "sync", "products")

    assert f"Run {run_id} of the same content goes on: 2 of its 3 chunks left." in said.err
    assert "of the same content" not in run_here(capfd, "sync", "products").err


def test_after_a_kill_newer_content_wins(sqlite_shop: Shop) -> None:
    run_id = killed_run(sqlite_shop)
    sqlite_shop.write_csv("products.csv", products([2, 3], "!"))

    sync(sqlite_shop)

    assert statuses(sqlite_shop, run_id) == ["loaded", "superseded", "superseded"]
    assert table(sqlite_shop) == expected(NIGHT[:2], products([2, 3], "!"))


def test_a_kill_while_the_source_is_read_leaves_no_run_and_the_next_sync_begins_anew(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.feed(chunk_rows=1000)
    shop.write_csv("products.csv", products(range(150_000)))
    child = children.start(["sync", "products"], shop)
    wait_until(lambda: list((shop.folder / "spool").rglob("*.arrows")))
    child.process.kill()
    child.wait()
    assert shop.rows("restock_run") == []
    assert table(shop) == {}
    shop.write_csv("products.csv", products([1, 2]))

    assert counts(sync(shop)) == {"inserted": 2}


def test_a_killed_run_is_listed_as_interrupted(sqlite_shop: Shop) -> None:
    run_id = killed_run(sqlite_shop)

    _, listed = children.run(["runs"], sqlite_shop, env={"COLUMNS": "200"})

    assert run_id in listed
    assert "incomplete (interrupted)" in listed


def test_a_run_in_progress_is_listed_as_running(sqlite_shop: Shop) -> None:
    with stuck_run(sqlite_shop) as (_, run_id):
        _, listed = children.run(["runs"], sqlite_shop, env={"COLUMNS": "200"})

    assert run_id in listed
    assert "running" in listed


def test_a_second_sync_gives_up_after_its_wait_and_names_the_owner(shop: Shop) -> None:
    with stuck_run(shop) as (child, run_id):
        status, said = children.run(["sync", "products", "--wait", "1"], shop)

        assert child.is_running
    assert status == 4
    assert f"is being written by process {child.pid} on " in said
    assert f"(run {run_id}, for " in said
    assert "Waiting" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [["reprocess"], ["abandon"]])
def test_nothing_else_takes_a_table_away_from_a_living_run(sqlite_shop: Shop, command: list[str]) -> None:
    with stuck_run(sqlite_shop) as (child, run_id):
        arguments = [*command, run_id] if command == ["abandon"] else command
        status, said = children.run([*arguments, "--wait", "0"], sqlite_shop)

        assert child.is_running
    assert status == 4
    assert f"process {child.pid} on " in said


def test_a_second_sync_waits_for_the_first_and_then_finds_nothing_to_write(sqlite_shop: Shop) -> None:
    with stuck_run(sqlite_shop) as (first, _), start_restock(["sync", "products", "--json"], sqlite_shop) as second:
        assert second.stderr is not None
        said = second.stderr.readline() + second.stderr.readline()
        (sqlite_shop.folder / "slow").unlink()
        ended = first.wait()
        answer, _ = second.communicate()

    assert "Waiting" in said
    assert (ended, second.returncode) == (0, 0)
    assert '"unchanged": 6' in answer
    assert table(sqlite_shop) == expected(NIGHT)
    check_conservation(sqlite_shop)


def test_the_table_of_a_killed_owner_is_taken_over_at_once(shop: Shop) -> None:
    run_id = killed_run(shop)

    report = sync(shop)  # waits for nobody

    assert report.run.run_id == run_id
    assert table(shop) == expected(NIGHT)


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_ends_after_its_chunk_and_goes_on_next_time(
    sqlite_shop: Shop, asked: signal.Signals
) -> None:
    with stuck_run(sqlite_shop) as (child, run_id):
        os.kill(child.pid, asked)
        time.sleep(0.1)  # for the signal to arrive before the chunk goes on
        (sqlite_shop.folder / "slow").unlink()
        assert child.wait() == 1
    assert "asked to stop" in child.said().splitlines()[-1]
    assert "Traceback" not in child.said()
    check_conservation(sqlite_shop)
    assert statuses(sqlite_shop, run_id) == ["loaded", "loaded", "planned"]

    report = sync(sqlite_shop)

    assert report.run.run_id == run_id
    assert counts(report) == {"inserted": 6}


def test_who_asks_twice_is_obeyed_at_once_and_the_run_goes_on_next_time(sqlite_shop: Shop) -> None:
    with stuck_run(sqlite_shop) as (child, run_id):
        os.kill(child.pid, signal.SIGINT)
        time.sleep(0.1)  # or both would arrive as one
        os.kill(child.pid, signal.SIGINT)
        assert child.wait() == -signal.SIGINT
    assert statuses(sqlite_shop, run_id) == ["loaded", "loading", "planned"]

    assert counts(sync(sqlite_shop)) == {"inserted": 6}
