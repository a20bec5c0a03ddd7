"""From zero to nightly, by the commands of docs/operations.md, in a copy of this checkout as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from operations.houses import AT_NIGHT, House
from shops import Shop
from test_docs import ROOT, blocks

from flows.orchestration.prefect_server import free_port

pytestmark = AT_NIGHT


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[House]:
    """A fresh checkout, with what has been installed for this one, and the commands of the page run in it."""
    folder = tmp_path / "restock"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    python = Path(sys.executable)
    (folder / ".venv").symlink_to(python.parents[1])
    foreign = ("RESTOCK_", "PREFECT_", "PYTHONPATH", "SQLALCHEMY_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"PATH": f"{python.parent}{os.pathsep}{environment['PATH']}", "PORT": str(free_port())}
    environment |= {"PYTHONPATH": str(folder), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    shop = Shop(folder, "example_app", sa.create_engine(f"sqlite:///{folder / 'instance' / 'shop.sqlite'}"))
    yield House(folder, shop, environment)
    subprocess.run(["make", "-o", ".venv/.installed", "down"], cwd=folder, env=environment, check=True)
    shop.engine.dispose()


def test_the_commands_of_the_page_lead_to_a_feed_that_comes_in_from_the_pages(clone: House) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    first, by_hand, *_ = blocks(ROOT / "docs" / "operations.md", "console")
    commands = first.splitlines()
    assert commands[-1] == "make up"

    told = [shell(clone, command.replace("make", "make -o .venv/.installed")) for command in commands]

    assert f"Prefect's pages:  {clone.pages}" in told[-1]
    assert clone.secret in told[-1]
    clone.environment |= {"PREFECT_API_URL": f"{clone.pages}/api", "PREFECT_API_AUTH_STRING": clone.secret}
    watched = shell(clone, by_hand.replace("FEED", "buy-com"))
    assert "Completed" in watched
    settings: Any = {PREFECT_API_URL: f"{clone.pages}/api", PREFECT_API_AUTH_STRING: clone.secret}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        clone.client = client
        state = clone.ended(clone.start("sync-products/buy-com"))
        assert state.name == "Completed", state.message
    assert state.message.endswith("of 1,092 rows: 1,092 unchanged.")
    assert len(clone.shop.rows("product")) == 1092
    log = (clone.folder / ".restock" / "station" / "worker.log").read_text()
    assert "Traceback" not in log


def shell(house: House, command: str) -> str:
    done = subprocess.run(
        command, shell=True, cwd=house.folder, env=house.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
