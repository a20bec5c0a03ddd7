"""Nights without pages: what overlaps, comes late or has wrong values ends with a sentence and harms nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from operations.houses import AT_NIGHT, House

pytestmark = AT_NIGHT


def loads_of_each_chunk(house: House) -> list[int]:
    return [each["attempts"] for each in house.shop.execute("SELECT attempts FROM restock_chunk")]


def test_of_runs_started_together_one_writes_and_the_others_end_skipped(house: House) -> None:
    house.fill(8)
    with house.told("slow", "2"):
        runs = [house.start("sync-products/products") for _ in range(2)]
        runs.append(house.start("sync-products/ad-hoc", feed="products"))
        states = [house.ended(run) for run in runs]

    assert sorted(state.name for state in states) == ["Completed", "Skipped", "Skipped"]
    (skipped, other) = [state for state in states if state.name == "Skipped"]
    assert skipped.message.startswith("The table product is being written by process ")
    assert other.type.value == "COMPLETED"
    assert loads_of_each_chunk(house) == [1, 1, 1, 1]
    assert len(house.shop.rows("product")) == 8


def late_run(house: House, days: int) -> Any:
    """A run that a schedule made, so many days ago, and that nobody has executed."""
    from prefect.states import Scheduled

    deployment = house.client.read_deployment_by_name("sync-products/products")
    slot = datetime.now(UTC) - timedelta(days=days)
    run = house.client.create_flow_run_from_deployment(deployment.id, state=Scheduled(scheduled_time=slot))
    # Only the scheduler itself can say so through the API.
    with closing(sqlite3.connect(house.folder / ".restock/station/prefect/prefect.db", timeout=30)) as server:
        server.execute("UPDATE flow_run SET auto_scheduled = 1 WHERE id = ?", (str(run.id),))
        server.commit()
    return run


def test_after_an_outage_of_three_nights_one_run_loads(house: House) -> None:
    with house.told("slow", "1"):
        states = [house.ended(run) for run in [late_run(house, days) for days in (3, 2, 1)]]

    assert sorted(state.name for state in states) == ["Completed", "Skipped", "Skipped"]
    assert loads_of_each_chunk(house) == [1, 1, 1]
    again = house.ended(late_run(house, 1))
    assert again.name == "Skipped"
    assert again.message.endswith("has loaded the same content since then; nothing is left to do.")
    house.fill(7)
    assert house.ended(late_run(house, 1)).name == "Completed"
    assert len(house.shop.rows("product")) == 7


def test_what_the_form_would_refuse_the_run_refuses_in_a_sentence(house: House) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"feed": "nope"}, "There is no feed 'nope' in feeds.yaml; it has: products."),
        ({"feed": 5}, "feed is 5; give the name of a feed."),
        ({"feed": "products", "file": 7}, "file is 7; give a text, or leave it empty."),
        ({"feed": "products", "fresh": "maybe"}, "fresh is 'maybe'; give true or false."),
        ({"feed": "products", "max_rejects": "lots"}, "max_rejects: 'lots' is not a limit;"),
        ({"feed": "products", "file": "/etc/passwd"}, "leads out of the folders that sources may come from"),
    ]

    runs = [house.start_unchecked("sync-products/ad-hoc", parameters) for parameters, _ in wrong]
    states = [house.ended(run) for run in runs]

    for state, (_, sentence) in zip(states, wrong, strict=True):
        assert state.type.value == "FAILED"
        assert sentence in state.message
        assert "Traceback" not in state.message
    assert house.shop.rows("product") == []


def test_a_parameter_that_the_flow_does_not_have_never_reaches_it(house: House) -> None:
    from prefect.client.schemas.filters import LogFilter

    # Prefect binds the parameters before it calls the flow: it is Prefect that ends the run, and names them in its log.
    run = house.start_unchecked("sync-products/ad-hoc", {"feed": "products", "writer": "objects"})

    assert house.ended(run).type.value == "CRASHED"
    of_run = LogFilter.model_validate({"flow_run_id": {"any_": [run.id]}})
    logged = "".join(log.message for log in house.client.read_logs(of_run))
    assert "was provided with parameters ['feed', 'writer']" in logged
    assert house.shop.rows("product") == []


def test_the_deployment_of_a_feed_brings_in_no_other(house: House) -> None:
    state = house.ended(house.start_unchecked("sync-products/products", {"feed": "others"}))

    assert state.type.value == "CRASHED"  # a parameter that its flow does not have
    assert house.shop.rows("product") == []
