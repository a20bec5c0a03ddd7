"""A process is killed at each place where it matters; the same command afterwards must come to the same end (T02)."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

from faults import children, oracle, upsets
from faults.failpoints import PLACES, Failpoint, count_arrivals
from faults.loads import CHUNK_ROWS, CHUNKS, ROWS, Load
from faults.shops_at_risk import DEADLY

TWO_DAYS = 2 * 86_400


def killed_and_resumed(load: Load, failpoint: Failpoint, prepare: children.Preparation | None = None) -> list[str]:
    """What is wrong after a kill, and after the same command was given again."""
    load.reset()
    status, said = children.run(["sync", "products"], load.shop, failpoint, prepare=prepare)
    found = [] if status == -signal.SIGKILL else [f"it ended with {status}: {said}"]
    found += [f"after the kill: {each}" for each in load.untruths()]
    status, said = children.run(["sync", "products"], load.shop, prepare=prepare)
    found += [] if status == 0 else [f"the second command ended with {status}: {said}"]
    return [f"{failpoint}: {each}" for each in found + load.violations()]


def arrivals(load: Load, prepare: children.Preparation | None = None) -> dict[str, int]:
    """How often an undisturbed load comes to each place."""
    file = load.shop.folder / "arrivals.json"
    children.run(["init"], load.shop)
    status, said = children.run(["sync", "products"], load.shop, prepare=partial(count_arrivals, file, prepare))
    assert status == 0, said
    assert load.violations() == []
    return json.loads(file.read_text(encoding="utf-8"))


def test_wherever_a_process_is_killed_the_same_command_comes_to_the_same_end(loads: list[Load]) -> None:
    times = arrivals(loads[0])
    failpoints = [
        Failpoint(place, arrival) for place, last in times.items() for arrival in sorted({1, (last + 1) // 2, last})
    ]
    idle: SimpleQueue[Load] = SimpleQueue()
    for load in loads:
        idle.put(load)

    def try_one(failpoint: Failpoint) -> list[str]:
        load = idle.get()
        try:
            return killed_and_resumed(load, failpoint)
        finally:
            idle.put(load)

    with ThreadPoolExecutor(len(loads)) as pool:
        found = [each for some in pool.map(try_one, failpoints) for each in some]

    assert times.keys() == PLACES.keys()
    assert not found, "\n".join(found)


def test_who_is_killed_after_every_chunk_comes_to_the_end_all_the_same(sqlite_load: Load) -> None:
    """Each execution brings the run one chunk further, however short it is (T04)."""
    ends = []
    for loaded in range(1, CHUNKS + 1):
        ends.append(children.run(["sync", "products"], sqlite_load.shop, Failpoint("chunk committed"))[0])
        assert oracle.statuses(sqlite_load.shop.engine).count("loaded") == loaded
        assert sqlite_load.untruths() == []

    assert ends == [-signal.SIGKILL] * CHUNKS
    assert children.run(["sync", "products"], sqlite_load.shop)[0] == 0
    assert sqlite_load.violations() == []


def test_two_kills_at_their_worst_leave_nothing_of_a_finished_run_in_the_spool(sqlite_load: Load) -> None:
    """The first one keeps a loaded chunk's file from being removed, the second one the folder of the closed run."""
    for failpoint in (Failpoint("chunk committed", 2), Failpoint("run closed")):
        assert children.run(["sync", "products"], sqlite_load.shop, failpoint)[0] == -signal.SIGKILL

    assert children.run(["sync", "products"], sqlite_load.shop)[0] == 0
    assert sqlite_load.violations() == []


def test_who_is_killed_while_rows_are_put_in_order_begins_anew_and_comes_to_the_same_end(sqlite_load: Load) -> None:
    sqlite_load.write(ROWS, CHUNK_ROWS)
    header, *lines = sqlite_load.file.read_text(encoding="utf-8").splitlines(keepends=True)
    sqlite_load.file.write_text("".join([header, *lines[::2], *lines[1::2]]), encoding="utf-8")
    times = arrivals(sqlite_load, upsets.put_all_in_order)
    found: list[str] = []

    # Chunks are spooled twice, and in between where rows were superseded.
    for arrival in range(CHUNKS + 1, times["chunk spooled"] + 1):
        found += killed_and_resumed(sqlite_load, Failpoint("chunk spooled", arrival), upsets.put_all_in_order)

    assert times["chunk spooled"] > 2 * CHUNKS
    assert not found, "\n".join(found)


def test_what_a_killed_extraction_leaves_in_the_spool_is_pruned(sqlite_load: Load) -> None:
    load = sqlite_load
    children.run(["sync", "products"], load.shop, Failpoint("chunk spooled", 3))
    children.run(["sync", "products"], load.shop)
    [orphan] = (path for path in load.spool.iterdir() if path.is_dir())
    for path in [*orphan.iterdir(), orphan]:
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - TWO_DAYS))

    status, said = children.run(["prune"], load.shop)

    assert status == 0
    assert "1 leaving gone" in said
    assert oracle.spooled(load.spool) == []
    assert load.violations() == []


def test_a_chunk_that_ends_its_process_three_times_fails_and_the_others_load(load: Load) -> None:
    reference = f"{load.shop.package}.deadly:clean"
    (load.shop.folder / load.shop.package / "deadly.py").write_text(DEADLY, encoding="utf-8")
    load.shop.feed(chunk_rows=6, transform=reference)
    ends = [children.run(["sync", "products"], load.shop)[0] for _ in range(3)]
    assert ends == [-signal.SIGKILL] * 3
    assert oracle.statuses(load.shop.engine) == ["loaded", "loading", "planned", "planned"]

    status, said = children.run(["sync", "products"], load.shop)

    assert status == 1
    assert "has ended its process 3 times" in said
    assert load.untruths() == []
    assert oracle.statuses(load.shop.engine) == ["loaded", "failed", "loaded", "loaded"]
    [chunk] = load.shop.execute("SELECT error FROM restock_chunk WHERE status = 'failed'")
    assert "has ended its process 3 times" in chunk["error"]

    load.shop.feed(chunk_rows=6)
    assert children.run(["reprocess"], load.shop)[0] == 0
    assert load.violations() == []
