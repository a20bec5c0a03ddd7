"""What Prefect does by itself, on a real server: it calls for a person, and goes on once after trouble."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from looking import look_until
from operations.houses import AT_NIGHT, House, kill
from operations.notifying import notify, register
from takers import Taken

pytestmark = AT_NIGHT

ROOT = Path(__file__).resolve().parents[2]
AUTOMATIONS = ROOT / "flows" / "orchestration" / "automations.yaml"

# Gives each event of a file to the automations of another, and prints the names of those that act.
GIVE = """
import asyncio, sys, uuid
from datetime import datetime, timezone
import yaml
from prefect.server.database import provide_database_interface
from prefect.server.events import triggers
from prefect.server.events.models.automations import create_automation
from prefect.server.events.schemas.automations import Automation
from prefect.server.events.schemas.events import ReceivedEvent

async def act(firing):
    print(firing.trigger.automation.name)

async def give(automations, events):
    kept = []
    await provide_database_interface().create_db()
    triggers.act = act
    for entry in automations:
        automation = Automation.model_validate({**entry, "id": uuid.uuid4(), "actions": [{"type": "do-nothing"}]})
        async with triggers.automations_session(begin_transaction=True) as session:
            kept.append(await create_automation(session, automation))  # a trigger has its automation only weakly
            triggers.load_automation(kept[-1])
    now = datetime.now(timezone.utc)
    for event in events:
        await triggers.reactive_evaluation(ReceivedEvent.model_validate({**event, "occurred": now, "received": now}))

asyncio.run(give(*[yaml.safe_load(open(name)) for name in sys.argv[1:]]))
"""


def on_server(house: House) -> Any:
    """The automations as the server has them, with the times of their last change and the ids of their triggers."""
    return house.client._client.post("/automations/filter", json={"sort": "NAME_ASC"}).json()


def test_registering_again_changes_nothing(house: House, mailbox: Taken) -> None:
    told = notify(house, mailbox[0])
    as_they_were = on_server(house)

    assert notify(house, mailbox[0]) == told
    assert on_server(house) == as_they_were
    assert len(house.client.read_automations()) == 4


def held(house: House) -> Any:
    house.shop.write_csv("products.csv", [{"sku": "A", "name": ""}])
    return house.ended(house.start("sync-products/products", max_rejects="0"))


def incomplete(house: House) -> Any:
    with house.told("broken"):
        return house.ended(house.start("sync-products/products"))


def failed(house: House) -> Any:
    return house.ended(house.start("sync-products/products", file="nowhere.csv"))


def completed(house: House) -> Any:
    house.fill(6)
    return house.ended(house.start("sync-products/products"))


def test_a_run_that_needs_a_person_calls_for_one_and_says_why(house: House, mailbox: Taken) -> None:
    address, letters = mailbox
    notify(house, address)

    states = [trouble(house) for trouble in (held, completed, incomplete, failed)]

    assert [state.name for state in states] == ["Held", "Completed", "Incomplete", "Failed"]
    look_until(lambda: True if len(letters) >= 3 else None)
    by_state = {json.loads(letter)["subject"].rpartition(" is ")[2]: json.loads(letter) for letter in letters}
    assert set(by_state) == {"Held", "Incomplete", "Failed"}
    assert len(letters) == 3
    for state in states:
        if state.name != "Completed":
            letter = by_state[state.name]
            assert letter["subject"].startswith("restock: products ")
            assert state.message in letter["body"]
            assert f"{house.pages}/runs/flow-run/{state.state_details.flow_run_id}" in letter["body"]
            assert "4711" not in letter["body"]


def test_an_event_that_the_server_meets_twice_is_acted_on_once(tmp_path: Path) -> None:
    """As after a lock in its database: one automation could not note the event, and all are given it again."""
    flow = {"prefect.resource.id": "f", "prefect.resource.role": "flow", "prefect.resource.name": "sync-products"}
    held = {"event": "prefect.flow-run.Held", "resource": {"prefect.resource.id": "prefect.flow-run.a"}}
    stopped = {"event": "restock.run.stopped", "resource": {"prefect.resource.id": "restock.feed.products"}}
    stopped["resource"] |= {"restock.flow": "sync-products"}
    events = [{**held, "id": str(uuid4()), "related": [flow]}, {**stopped, "id": str(uuid4())}]
    (tmp_path / "events.yaml").write_text(json.dumps(events * 2))

    given = subprocess.run(
        [sys.executable, "-c", GIVE, AUTOMATIONS, tmp_path / "events.yaml"],
        env=os.environ | {"PREFECT_HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert given.stdout.splitlines() == ["restock calls for a person", "restock goes on after trouble"]


def update(house: House, automation: Any) -> None:
    """Let the server have an automation as it is now."""
    from prefect.events.schemas.automations import AutomationCore

    fields = automation.model_dump(include={"name", "description", "trigger", "actions"})
    house.client.update_automation(automation.id, AutomationCore(**fields))


def test_after_trouble_what_is_outstanding_is_loaded_once(house: House) -> None:
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    register(house)
    name = "restock goes on after trouble"
    (shipped,) = house.client.read_automations_by_name(name)
    assert shipped.actions[0].schedule_after == timedelta(minutes=5)
    shipped.actions[0].schedule_after = timedelta(0)  # no test waits five minutes
    update(house, shipped)
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
            assert "start again when the SQLite file" in state.message

    look_until(lambda: by_itself() or None)
    look_until(lambda: True if len(house.shop.rows("product")) == 6 else None)
    assert len(by_itself()) == 1


def test_a_run_whose_worker_died_before_it_began_is_found_and_can_be_retried(house: House) -> None:
    from prefect.states import AwaitingRetry

    register(house)
    (shipped,) = house.client.read_automations_by_name("restock finds runs that never began")
    assert shipped.trigger.within == timedelta(minutes=10)
    shipped.trigger.within = timedelta(seconds=10)  # no test waits ten minutes
    update(house, shipped)
    run = house.start("sync-products/products")
    look_until(lambda: house.client.read_flow_run(run.id).state.is_pending() or None)
    kill(house.process("worker"))

    state = house.ended(run)

    assert (state.name, state.message[:22]) == ("Crashed", "A worker took this run")
    register(house)
    house.succeed("-m", "flows.station", "up")
    house.client.set_flow_run_state(run.id, AwaitingRetry())
    look_until(lambda: True if len(house.shop.rows("product")) == 6 else None)
    assert house.ended(run).name == "Completed"


def test_a_block_that_is_not_there_is_a_sentence(house: House) -> None:
    told = register(house, "--notify", "slack-webhook/nobody")

    assert told == (
        "The Prefect server has no block slack-webhook/nobody; create it on the page Blocks, and name it as kind/name, "
        "such as slack-webhook/operators.\n"
    )


def test_a_run_is_taken_for_dead_after_three_heartbeats_and_not_before() -> None:
    pool = json.loads((ROOT / "prefect/work-pool.json").read_text())
    heartbeat = int(pool["job_configuration"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    (dead,) = [each for each in yaml.safe_load(AUTOMATIONS.read_text()) if each["name"] == "restock finds dead runs"]

    assert dead["trigger"]["within"] >= 3 * heartbeat
