"""What Prefect does by itself, on a real server: it calls for a person, and goes on once after trouble."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from operations.houses import AT_NIGHT, House, look_until

pytestmark = AT_NIGHT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mailbox() -> Iterator[tuple[str, list[str]]]:
    """An address that takes notifications, and what was sent there."""
    letters: list[str] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            letters.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", letters
    server.shutdown()
    thread.join()
    server.server_close()


def register(house: House, *words: str) -> str:
    done = house.run("flows.cli", "automations", *words, **house.caller)
    return done.stdout + done.stderr


def test_a_held_run_calls_for_a_person_and_says_why(house: House, mailbox: tuple[str, list[str]]) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    address, letters = mailbox
    block = CustomWebhookNotificationBlock(
        name="operators", url=address, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    block.save("operators", overwrite=True)

    told = register(house, "--notify", "custom-webhook/operators")
    again = register(house, "--notify", "custom-webhook/operators")

    assert told == again
    assert "Registered: restock calls for a person" in told
    house.shop.write_csv("products.csv", [{"sku": "A", "name": ""}])
    deployment = house.client.read_deployment_by_name("sync-products/products")
    run = house.client.create_flow_run_from_deployment(deployment.id, parameters={"max_rejects": "0"})
    state = house.ended(run)
    assert state.name == "Held"
    letter = json.loads(look_until(lambda: letters[0] if letters else None))
    assert letter["subject"].startswith("restock: products ")
    assert letter["subject"].endswith(" is Held")
    assert state.message in letter["body"]


def test_after_trouble_what_is_outstanding_is_loaded_once(house: House) -> None:
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.events.schemas.automations import AutomationCore

    register(house)
    name = "restock goes on after trouble"
    (shipped,) = house.client.read_automations_by_name(name)
    assert shipped.actions[0].schedule_after == timedelta(minutes=5)
    shipped.actions[0].schedule_after = timedelta(0)  # no test waits five minutes
    house.client.update_automation(
        shipped.id, AutomationCore(**shipped.model_dump(include={"name", "description", "trigger", "actions"}))
    )
    with house.told("broken"):
        assert house.ended(house.start("sync-products/products")).name == "Incomplete"
    of_flow = FlowFilter(name=FlowFilterName(any_=["reprocess-failed-chunks"]))

    def by_itself() -> list[Any]:
        runs = house.client.read_flow_runs(flow_filter=of_flow)
        return [run for run in runs if run.created_by is not None and run.created_by.type == "AUTOMATION"]

    with house.told("away"):
        # The trouble of a reprocess starts nothing: whatever it announces arrives before what the other run does.
        for deployment in ("reprocess-failed-chunks/by-hand", "sync-products/products"):
            state = house.ended(house.start(deployment))
            assert state.type.value == "FAILED"
            assert "when the database is back" in state.message

    look_until(lambda: by_itself() or None)
    look_until(lambda: True if len(house.shop.rows("product")) == 6 else None)
    assert len(by_itself()) == 1


def test_a_block_that_is_not_there_is_a_sentence(house: House) -> None:
    told = register(house, "--notify", "slack-webhook/nobody")

    assert told == (
        "The Prefect server has no block slack-webhook/nobody; create it on the page Blocks, and name it as kind/name, "
        "such as slack-webhook/operators.\n"
    )


def test_a_run_is_taken_for_dead_after_three_heartbeats_and_not_before() -> None:
    pool = json.loads((ROOT / "prefect/work-pool.json").read_text())
    heartbeat = int(pool["job_configuration"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    (dead,) = [
        each
        for each in yaml.safe_load((ROOT / "prefect/automations.yaml").read_text())
        if each["name"] == "restock finds dead runs"
    ]

    assert dead["trigger"]["within"] >= 3 * heartbeat
