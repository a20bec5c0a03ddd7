"""Several Prefect workers on one work pool, as on several hosts: of runs that overlap, exactly one writes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from looking import look_until
from operations.houses import AT_NIGHT, House, kill, started

pytestmark = AT_NIGHT
WORKER = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "restock", "--limit", "1", "--name"]
# Another host to a process is one of another name, on which numbers of processes mean others.
ELSEWHERE = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c", 'hostname "$0" && exec "$@"']
LEASE_SECONDS = 10
ROUNDS = 3

Workers = dict[str, "subprocess.Popen[bytes]"]


@pytest.fixture(params=["one host", "two hosts"])
def workers(request: pytest.FixtureRequest, house: House) -> Iterator[Workers]:
    """Two workers in the place of the station's own, each of which takes one run at a time."""
    apart = request.param == "two hosts"
    if apart and subprocess.run([*ELSEWHERE, "elsewhere", "true"], capture_output=True, check=False).returncode:
        pytest.skip("Only root may give a process another host.")
    kill(house.process("worker"))
    with ExitStack() as both:
        there: Workers = {}
        for name in ("ada", "bob"):
            words = [*ELSEWHERE, name, *WORKER, name] if apart else [*WORKER, name]
            environment = house.caller | {"RESTOCK_LEASE_SECONDS": str(LEASE_SECONDS)}
            there[name] = both.enter_context(started(words, house, f"{name}.log", **environment))
        look_until(lambda: True if {"ada", "bob"} <= known(house) else None)
        yield there
    house.succeed("-m", "flows.station", "up")


def known(house: House) -> set[str]:
    return {worker.name for worker in house.client.read_workers_for_work_pool("restock")}


def test_of_two_runs_on_two_workers_one_writes_and_the_other_says_who_does(house: House, workers: Workers) -> None:
    for night in range(1, ROUNDS + 1):
        house.shop.write_csv("products.csv", [{"sku": f"S-{n}", "name": f"Night {night}"} for n in range(8)])
        with house.told("slow", "2"):
            runs = [house.start("sync-products/products") for _ in range(2)]
            states = {state.name: state for state in (house.ended(run) for run in runs)}

        assert set(states) == {"Completed", "Skipped"}, states
        assert re.match(r"The table product is being written by process \d+ on ", states["Skipped"].message)
        written = house.shop.execute("SELECT attempts FROM restock_chunk ORDER BY run_id DESC, number LIMIT 4")
        assert [chunk["attempts"] for chunk in written] == [1, 1, 1, 1]
        assert {row["name"] for row in house.shop.rows("product")} == {f"Night {night}"}
    assert len(house.shop.execute("SELECT run_id FROM restock_run")) == ROUNDS


@pytest.mark.parametrize("workers", ["two hosts"], indirect=True)
def test_what_a_lost_host_has_left_the_other_loads_when_its_lease_has_run_out(house: House, workers: Workers) -> None:
    house.fill(40)
    with house.told("slow", "1"):
        run = house.start("sync-products/products")
        house.has_begun(run)
        lost = house.shop.rows("restock_lease", "owner")[0]["owner"].partition("/")[0]
        kill(workers[lost].pid)
        early = house.ended(house.start("sync-products/products"))
    assert early.name == "Skipped"
    assert f" on {lost}" in early.message

    def later() -> Any:
        again = house.start("sync-products/products")
        return again if house.ended(again).name != "Skipped" else None

    again = look_until(later)
    assert house.ended(again).name == "Completed"
    assert len(house.shop.execute("SELECT run_id FROM restock_run")) == 1
    assert len(house.shop.rows("product")) == 40
