"""Houses: folders with restock and a shop in them, in which stations and workers are started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from looking import PATIENCE_SECONDS, look_until
from shops import DEFAULT_MODELS, Shop, write_package

from sinks.ledger.owners import Owner

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("restock", "sources", "transforms", "sinks", "flows", "prefect")
# Each of these files starts a station of its own and waits for its servers.
AT_NIGHT = pytest.mark.skipif(
    not os.environ.get("RESTOCK_TEST_NIGHTS"), reason="`make nights` runs the long tests of Prefect."
)

# Transforms that do, while a file named after them is there, what a test wants of them.
RULES = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent

def as_told(frame):
    if (HERE / "slow").exists():
        time.sleep(float((HERE / "slow").read_text()))
    if (HERE / "broken").exists() and (frame["sku"] == "S-00003").any():
        raise ValueError("secret value 4711")
    return frame
"""

# An app that finds, while the file `away` is there, that it may only read: a database that has changed over.
MAY_BE_AWAY = """
import sqlalchemy
from pathlib import Path

_create_app = create_app

def create_app():
    if (Path(__file__).parent / "away").exists():
        with sqlalchemy.create_engine("sqlite://").connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = 1")
            connection.exec_driver_sql("CREATE TABLE refused (id INTEGER)")
    return _create_app()
"""


@dataclass
class House:
    """A folder with restock and a shop in it, the station that was started there, and a client of its server."""

    folder: Path
    shop: Shop
    environment: dict[str, str]
    client: Any = None

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a Python module of the house to its end, with more in its environment."""
        return self._python("-m", *words, **more)

    def succeed(self, *words: str, **more: str) -> None:
        """Run Python in the house, which has to go well."""
        done = self._python(*words, **more)
        assert done.returncode == 0, done.stdout + done.stderr

    def _python(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environment | more,
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip

    @property
    def pages(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"

    @property
    def secret(self) -> str:
        return (self.folder / ".restock" / "station" / "auth-string").read_text()

    @property
    def caller(self) -> dict[str, str]:
        """What a caller of the station's server has in its environment."""
        return {"PREFECT_API_URL": f"{self.pages}/api", "PREFECT_API_AUTH_STRING": self.secret}

    def process(self, name: str) -> int:
        """The number of the station's `server` or `worker`."""
        return Owner.read((self.folder / ".restock" / "station" / f"{name}.process").read_text()).process

    @contextmanager
    def told(self, what: str, text: str = "") -> Iterator[None]:
        """Let the transform be `slow` (so many seconds a chunk) or `broken`, or the database `away`, for a while."""
        file = self.folder / self.shop.package / what
        file.write_text(text)
        try:
            yield
        finally:
            file.unlink()

    def feed(self) -> None:
        """Write feeds.yaml with the one nightly feed."""
        schedule = {"cron": "15 2 * * *", "timezone": "Europe/Berlin"}
        self.shop.feed(chunk_rows=2, transform="night_shop.rules:as_told", schedule=schedule)

    def fill(self, rows: int) -> None:
        """Write so many products, in chunks of two."""
        self.shop.write_csv("products.csv", [{"sku": f"S-{n:05}", "name": f"Product {n}"} for n in range(1, rows + 1)])

    def start(self, deployment: str, **parameters: Any) -> Any:
        """Start a deployment; the flow run."""
        found = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def start_unchecked(self, deployment: str, parameters: dict[str, Any]) -> Any:
        """Start a deployment with the check of its parameters switched off for the run."""
        found = self.client.read_deployment_by_name(deployment)
        body = {"parameters": parameters, "enforce_parameter_schema": False}
        answer = self.client._client.post(f"/deployments/{found.id}/create_flow_run", json=body)
        return self.client.read_flow_run(answer.json()["id"])

    def ended(self, flow_run: Any, seconds: float = PATIENCE_SECONDS) -> Any:
        """The state in which a flow run has ended."""

        def look() -> Any:
            state = self.client.read_flow_run(flow_run.id).state
            return state if state.is_final() else None

        return look_until(look, seconds)

    def has_begun(self, flow_run: Any, chunks: int = 1) -> None:
        """Wait until so many chunks of the shop's newest run are loaded."""

        def look() -> bool | None:
            state = self.client.read_flow_run(flow_run.id).state
            assert not state.is_final(), state
            if not state.is_running() or "restock_run" not in self.shop.tables():
                return None
            newest = "SELECT run_id FROM restock_run ORDER BY started_at DESC LIMIT 1"
            loaded = f"SELECT count(*) AS n FROM restock_chunk WHERE run_id = ({newest}) AND status = 'loaded'"
            running = self.shop.execute("SELECT count(*) AS n FROM restock_run WHERE status = 'running'")
            return True if running[0]["n"] and self.shop.execute(loaded)[0]["n"] >= chunks else None

        look_until(look)


def build_house(folder: Path, url: str) -> House:
    """A house with an empty shop, one nightly feed of six products, and the deployments of it."""
    for room in ROOMS:
        (folder / room).symlink_to(ROOT / room)
    (folder / "prefect.yaml").write_text((ROOT / "prefect.yaml").read_text())
    write_package(folder, "night_shop", url, DEFAULT_MODELS, {})
    with (folder / "night_shop" / "__init__.py").open("a") as package:
        package.write(MAY_BE_AWAY)
    (folder / "night_shop" / "rules.py").write_text(RULES)
    foreign = ("RESTOCK_", "PREFECT_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment["PREFECT_WORKER_QUERY_SECONDS"] = "1"
    house = House(folder, Shop(folder, "night_shop", sa.create_engine(url)), environment)
    house.feed()
    house.fill(6)
    house.succeed("-c", "from night_shop import create_app, db\nwith create_app().app_context(): db.create_all()")
    house.succeed("-m", "flows.cli", "deployments")
    return house


@contextmanager
def started(words: Sequence[str], house: House, log: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the house, while the block lasts, with every process it starts."""
    with (house.folder / log).open("w") as output:
        process = subprocess.Popen(
            words, cwd=house.folder, env=house.environment | more, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            kill(process.pid)
            process.wait()


def kill(number: int) -> None:
    """End a process and all it has started, as the loss of a machine would."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    doomed = {number}
    while more := {child for child, parent in parents.items() if parent in doomed} - doomed:
        doomed |= more
    for each in doomed:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
