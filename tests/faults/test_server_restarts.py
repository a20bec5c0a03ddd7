"""A database server is started anew in the middle of a run, and takes longer than the pauses between attempts."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fix_shop import MakeShop
from looking import wait_until
from stories.telling import counts, product, products, sync
from torture.servers import own_postgresql

import restock
from restock.errors import SinkUnavailable
from sinks.database import retries
from sinks.database.retries import UNDER_WAY, with_retries

# Five attempts at a server that refuses at once are over in three seconds.
OUTAGE_SECONDS = 4.0


def test_a_run_goes_on_when_its_server_is_back(make_shop: MakeShop, tmp_path: Path) -> None:
    with own_postgresql(tmp_path) as (server, url):
        shop = make_shop(url.render_as_string(hide_password=False))
        shop.feed(chunk_rows=10)
        shop.write_csv("products.csv", [*products(range(1, 30)), product(30, price="cheap")])
        ended = list[int]()

        def end_the_server(_app: Any, **_told: Any) -> None:
            if not ended:
                ended.append(server.server.get_pid())
                os.kill(ended[0], signal.SIGINT)
                wait_until(lambda: not Path(f"/proc/{ended[0]}").exists())
                threading.Timer(OUTAGE_SECONDS, server.server.ensure_postgres_running).start()

        with restock.rows_loaded.connected_to(end_the_server):
            report = sync(shop)

        assert len(ended) == 1
        assert counts(report) == {"inserted": 29, "rejected": 1}
        assert len(shop.rows("product")) == 29
        shop.engine.dispose()


def test_the_wait_for_a_server_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "LONGEST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(retries, "AWAY_SECONDS", 1.0)
    engine, tried = sa.create_engine("postgresql+psycopg://u:SECRET@127.0.0.1:1/x"), list[str]()

    def work() -> None:
        tried.append("once more")
        engine.connect()

    with pytest.raises(SinkUnavailable, match="so start again"):
        with_retries(work, "loading", patience=UNDER_WAY)

    assert len(tried) > 5
