"""A database address from a Prefect Secret block, as docs/security.md has it, shows up nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop
from test_docs import ROOT, blocks

from flows.runs.choices import Choices
from flows.runs.progress import Progress
from flows.sync_products import run_sync_flow
from restock.errors import RestockError

PASSWORD = "open-sesame-4711"
SHELVES = ("flow_runs", "task_runs", "artifacts", "events", "block_documents", "deployments")


@pytest.fixture
def shop_url(make_database: MakeDatabase) -> sa.URL:
    """The address of a database, with a password."""
    return sa.make_url(make_database("postgresql")).set(password=PASSWORD)


@pytest.fixture
def secretive(server: Any, make_shop: MakeShop, shop_url: sa.URL) -> Shop:
    """A shop whose app reads the address of its database from a Secret block, by the code of the page."""
    shop = make_shop(shop_url.render_as_string(hide_password=False))
    (page,) = [text for text in blocks(ROOT / "docs" / "security.md", "python") if "Secret" in text]
    head = f"from flask import Flask\nfrom {shop.package} import db\n"
    (Path(shop.folder) / f"{shop.package}_secretive.py").write_text(head + page)
    shop.feed(chunk_rows=2, app=f"{shop.package}_secretive:create_app")
    shop.write_csv("products.csv", [{"sku": f"S-{n}", "name": "" if n == 2 else "Rake"} for n in range(5)])
    keep(shop_url)
    return shop


def keep(url: sa.URL) -> None:
    from prefect.blocks.system import Secret

    Secret(value=url.render_as_string(hide_password=False)).save("shop-database", overwrite=True)


def everything(server: Any) -> str:
    """What the server shows of the newest flow run, and of all that is not a run's."""
    api, run_id = server.client._client, str(server.flow_run().id)
    of_run = {"limit": 50, "flow_runs": {"id": {"any_": [run_id]}}}
    answers = [api.post(f"/{shelf}/filter", json=of_run) for shelf in SHELVES]
    answers.append(api.get("/flow_run_states/", params={"flow_run_id": run_id}))
    return "\n".join([server.log(), *(answer.text for answer in answers)])


def test_a_load_shows_nothing_of_it(server: Any, secretive: Shop, caplog: pytest.LogCaptureFixture) -> None:
    [report] = run_sync_flow("products", Choices(), Progress())

    assert (report.summary.inserted, report.summary.rejected) == (4, 1)
    shown = everything(server)
    assert report.run.run_id in shown
    assert PASSWORD not in shown + caplog.text


def test_a_database_that_is_not_there_shows_nothing_of_it(
    server: Any, secretive: Shop, shop_url: sa.URL, caplog: pytest.LogCaptureFixture
) -> None:
    keep(shop_url.set(query={}, host="127.0.0.1", port=9))

    with pytest.raises(RestockError) as away:
        run_sync_flow("products", Choices(), Progress())

    shown = everything(server)
    assert str(away.value) in shown
    assert PASSWORD not in shown + caplog.text
