"""Prefect's server as several processes, on PostgreSQL and Redis, with the settings of docs/scaling.md."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fix_databases import MakeDatabase
from looking import look_until
from operations.houses import AT_NIGHT, House, build_house, started

from flows.orchestration.prefect_server import answers, free_port, is_free

ROOT = Path(__file__).resolve().parents[2]
PREFECT = [sys.executable, "-m", "prefect"]
START_SECONDS = 120
pytestmark = [
    AT_NIGHT,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="Install redis-server to run several servers."),
]


@pytest.fixture
def house(tmp_path: Path, make_database: MakeDatabase) -> Iterator[House]:
    """A house without a station; its shop is on PostgreSQL."""
    house = build_house(tmp_path, make_database("postgresql"))
    yield house
    house.shop.engine.dispose()


@pytest.fixture
def settings(house: House, prefects: sa.URL) -> Iterator[dict[str, str]]:
    """The variables that docs/scaling.md names, with the places of this test. Redis is one of its own."""
    port = free_port()
    places = {
        "postgresql+asyncpg://…": prefects.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False),
        "redis://HOST:6379/1": f"redis://127.0.0.1:{port}/1",
        "HOST": "127.0.0.1",
        "6379": str(port),
    }
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    told = re.findall(r"^ *\| (`PREFECT_.+`) \| `(.+)` \|$", page, re.MULTILINE)
    variables = {name: value for names, value in told for name in re.findall(r"`(\w+)`", names)}
    redis = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(house.folder)]
    with started(redis, house, "redis.log"):
        look_until(lambda: True if not is_free(port) else None)
        yield {name: places.get(value, value) for name, value in variables.items()} | {
            "PREFECT_HOME": str(house.folder / "home"), "DO_NOT_TRACK": "1",
        }  # fmt: skip


@pytest.fixture
def servers(house: House, settings: dict[str, str]) -> Iterator[list[str]]:
    """The addresses of two servers without services; the services are a third process."""
    with ExitStack() as processes:
        urls = []
        for name in ("first", "second"):  # one after the other, as the page asks for
            port = free_port()
            words = [*PREFECT, "server", "start", "--no-services", "--port", str(port)]
            processes.enter_context(started(words, house, f"{name}.log", **settings))
            urls.append(f"http://127.0.0.1:{port}/api")
            look_until(lambda url=urls[-1]: True if answers(url) else None, START_SECONDS)  # type: ignore[misc]
        services = [*PREFECT, "server", "services", "start"]
        processes.enter_context(started(services, house, "services.log", **settings))
        yield urls


def test_a_load_through_two_servers_is_one_load_in_both(house: House, servers: list[str]) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    first, second = ({"PREFECT_API_URL": url, "PREFECT_HOME": str(house.folder / "home")} for url in servers)
    pool = ["work-pool", "create", "restock", "--type", "process", "--base-job-template", "prefect/work-pool.json"]
    house.succeed("-m", "prefect", *pool, **first)
    house.succeed("-m", "prefect", "--no-prompt", "deploy", "--all", **first)
    house.succeed("-m", "flows.cli", "automations", **second)
    with ExitStack() as open_:
        for name, server in (("ada", first), ("bob", second)):
            words = [*PREFECT, "worker", "start", "--pool", "restock", "--limit", "1", "--name", name]
            open_.enter_context(started(words, house, f"{name}.log", **server))
        clients = []
        for url in servers:
            with temporary_settings({PREFECT_API_URL: url}):
                clients.append(open_.enter_context(get_client(sync_client=True)))
        house.client = clients[0]
        workers = "restock"
        look_until(lambda: True if len(house.client.read_workers_for_work_pool(workers)) == 2 else None)
        house.fill(20)

        with house.told("slow", "2"):
            runs = [house.start("sync-products/products") for _ in range(2)]
            states = {state.name: state for state in (house.ended(run) for run in runs)}
        with house.told("away"):
            stopped = house.ended(house.start("sync-products/products"))
        announced = [look_until(lambda c=client: events(c, "restock.run.stopped")) for client in clients]  # type: ignore[misc]
        continued = [look_until(lambda c=client: by_itself(c)) for client in clients]  # type: ignore[misc]
        seen = [{run.id: run.state.name for run in client.read_flow_runs()} for client in clients]

    assert set(states) == {"Completed", "Skipped"}, states
    assert len(house.shop.rows("product")) == 20
    assert stopped.name == "Failed"
    assert announced[0] == announced[1]
    assert continued[0] == continued[1]
    assert seen[0] == seen[1]
    logs = {name: (house.folder / f"{name}.log").read_text() for name in ("first", "second", "services", "ada", "bob")}
    assert not {name for name, text in logs.items() if "Traceback" in text}, logs


def events(client: Any, name: str) -> list[str] | None:
    """The events of a name that a server shows, once there are some."""
    found = client._client.post("/events/filter", json={"filter": {"event": {"name": [name]}}}).json()["events"]
    return [event["id"] for event in found] or None


def by_itself(client: Any) -> Any:
    """The run that the services scheduled because of an event."""
    runs = [
        run for run in client.read_flow_runs() if run.created_by is not None and run.created_by.type == "AUTOMATION"
    ]
    return runs[0].id if runs else None
