"""deploy/compose.yaml without an engine: each service's command as a process, in its environment and its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from fix_databases import MakeDatabase
from looking import look_until
from operations.houses import AT_NIGHT, House, build_house, started

from flows.orchestration.prefect_server import free_port

pytestmark = AT_NIGHT
COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"
START_SECONDS = 120


@dataclass
class Composed:
    """The services of the file, with the places of this machine for those of the containers."""

    house: House
    services: dict[str, Any]
    places: dict[str, str]

    def here(self, text: str) -> str:
        """A text of the file with the places of this machine."""
        for theirs, ours in self.places.items():
            text = text.replace(theirs, ours)
        return text

    def words(self, name: str, key: str = "command") -> list[str]:
        """The words of a service's command."""
        given = self.services[name][key]
        return [self.here(word) for word in (given["test"] if key == "healthcheck" else given)]

    def environment(self, name: str) -> dict[str, str]:
        """What a service has in its environment, and the PATH by which it finds its programs."""
        given = {name: self.here(value) for name, value in self.services[name]["environment"].items()}
        # A container has all ports to itself.
        given["PREFECT_SERVER_API_PORT"] = self.places["4200"]
        return given | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def composed(tmp_path: Path, make_database: MakeDatabase, prefects: sa.URL) -> Iterator[Composed]:
    """The services, on a PostgreSQL that Prefect can use."""
    shop_url = make_database("postgresql")
    house = build_house(tmp_path, shop_url)
    app = tmp_path / "night_shop" / "__init__.py"
    app.write_text(f"import os\n{app.read_text()}".replace(repr(shop_url), 'os.environ["SQLALCHEMY_DATABASE_URI"]'))
    secrets = {"PREFECT_AUTH_STRING": "somebody:something", "SHOP_DATABASE_URI": shop_url}
    secrets |= {"PREFECT_DATABASE_PASSWORD": "unused"}
    text = re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: secrets.get(found[1], found[2]), COMPOSE.read_text())
    port, metrics = str(free_port()), str(free_port())
    places = {
        "postgresql+asyncpg://prefect:unused@database/prefect": prefects.set(
            drivername="postgresql+asyncpg"
        ).render_as_string(hide_password=False),
        "http://server:": "http://127.0.0.1:", "0.0.0.0": "127.0.0.1", "4200": port, "9464": metrics,
        "/feeds/": f"{tmp_path}/", "/spool": str(tmp_path / "spool"), "/tmp/prefect": str(tmp_path / "home"),
    }  # fmt: skip
    yield Composed(house, yaml.safe_load(text)["services"], places)
    house.shop.engine.dispose()


@contextmanager
def service(composed: Composed, name: str) -> Iterator[None]:
    """A service whose health check, if it has one, has passed."""
    words, environment = composed.words(name), composed.environment(name)
    with started(words, composed.house, f"{name}.log", **environment):
        if "healthcheck" in composed.services[name]:
            _, *check = composed.words(name, "healthcheck")
            look_until(lambda: True if finish(check, composed, name).returncode == 0 else None, START_SECONDS)
        yield


def finish(words: list[str], composed: Composed, name: str) -> subprocess.CompletedProcess[str]:
    environment = composed.house.environment | composed.environment(name)
    return subprocess.run(
        words, cwd=composed.house.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_what_it_starts_brings_a_feed_in_and_tells_of_it(composed: Composed) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    house = composed.house
    assert set(composed.services) == {"database", "server", "worker", "metrics", "setup"}
    with ExitStack() as services:
        services.enter_context(service(composed, "server"))
        done = finish(composed.words("setup"), composed, "setup")
        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("worker", "metrics"):
            services.enter_context(service(composed, name))
        caller = composed.environment("worker")
        url, auth = caller["PREFECT_API_URL"], caller["PREFECT_API_AUTH_STRING"]
        settings: Any = {PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: auth}
        with temporary_settings(settings), get_client(sync_client=True) as client:
            house.client = client
            state = house.ended(house.start("sync-products/products"))
        assert state.name == "Completed", state.message
        with urllib.request.urlopen(f"http://127.0.0.1:{composed.places['9464']}/metrics") as answer:
            assert b'restock_rows_total{feed="products",outcome="inserted"} 6.0' in answer.read()
    assert len(house.shop.rows("product")) == 6
    assert (house.folder / "spool").is_dir()
