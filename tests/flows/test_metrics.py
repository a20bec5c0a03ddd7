"""The ledgers as Prometheus metrics, on every kind of database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from fix_shop import MakeShop
from prometheus_client.parser import text_string_to_metric_families
from shops import Shop, run_restock
from stories.telling import sync
from takers import open_taker

from flows.runs.workplace import open_workplace
from flows.terminal.work import create_ledgers
from flows.upkeep.metrics import metrics_text, push_metrics
from restock.errors import RestockError
from sinks.flask_sink import open_sink
from sinks.ledger.history import History
from sinks.ledger.measures import read_measures


def samples() -> dict[tuple[str, str], float]:
    """(name, outcome, status or bucket) -> value of the feed `products`."""
    families = text_string_to_metric_families(metrics_text(open_workplace()))
    return {
        (each.name, next((value for label, value in each.labels.items() if label != "feed"), "")): each.value
        for family in families
        for each in family.samples
        if each.labels["feed"] == "products"
    }


def test_the_ledger_tells_rows_by_outcome_seconds_and_lag(shop: Shop) -> None:
    shop.feed(chunk_rows=2)
    shop.write_csv("products.csv", [{"sku": f"S-{n}", "name": "" if n == 3 else "Rake"} for n in range(5)])
    sync(shop)
    sync(shop)

    found = samples()

    assert {outcome: found["restock_rows_total", outcome] for outcome in ("inserted", "unchanged", "rejected")} == {
        "inserted": 4,
        "unchanged": 4,
        "rejected": 2,
    }
    assert found["restock_last_run_status", "completed with rejects"] == 1
    assert found["restock_chunk_seconds_count", ""] == found["restock_chunk_seconds_bucket", "300.0"] == 6
    assert 0 < found["restock_chunk_seconds_sum", ""] < 300
    assert 0 <= found["restock_lag_seconds", ""] < 300
    assert found["restock_outstanding_chunks", ""] == 0
    assert found["restock_up", ""] == 1


def test_a_feed_without_a_run_and_one_without_a_database_are_told_apart(sqlite_shop: Shop) -> None:
    sqlite_shop.feeds({"products": {"match_on": ["sku"]}, "lost": {"match_on": ["sku"], "app": "nowhere:create_app"}})

    text = metrics_text(open_workplace())

    assert 'restock_up{feed="products"} 1.0' in text
    assert 'restock_up{feed="lost"} 0.0' in text
    assert "restock_lag_seconds{" not in text


def test_a_ledger_that_cannot_be_read_hides_no_other_one(
    make_shop: MakeShop, postgresql_url: str, sqlite_url: str
) -> None:
    lost = make_shop(postgresql_url)
    create_ledgers()
    lost.execute("ALTER TABLE restock_chunk ALTER COLUMN inserted TYPE text")
    shop = make_shop(sqlite_url)
    shop.feeds({"lost": {"match_on": ["sku"], "app": lost.app, "model": lost.model()}, "products": {}})
    shop.write_csv("products.csv", [{"sku": "S-1", "name": "Rake"}])
    sync(shop)

    text = metrics_text(open_workplace())

    assert 'restock_up{feed="lost"} 0.0' in text
    assert 'restock_up{feed="products"} 1.0' in text
    assert 'restock_rows_total{feed="products",outcome="inserted"} 1.0' in text


def test_a_first_run_that_is_admitted_while_the_ledger_is_measured_is_no_error(shop: Shop) -> None:
    shop.write_csv("products.csv", [{"sku": "S-1", "name": "Rake"}])
    first = sync(shop).run.run_id
    sync(shop)
    shop.execute("UPDATE restock_run SET feed = 'another'")
    database = open_sink(open_workplace().feed("products")).database

    def admit(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "sum(" in statement:
            shop.execute("UPDATE restock_run SET feed = 'products' WHERE run_id = :run", run=first)

    sa.event.listen(database.engine, "before_cursor_execute", admit)
    try:
        assert read_measures(History(database))["another"].last_status == "completed"
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", admit)


def test_failed_chunks_wait_for_a_person(sqlite_shop: Shop) -> None:
    (sqlite_shop.folder / sqlite_shop.package / "rules.py").write_text("def fail(frame): raise ValueError(1)")
    sqlite_shop.feed(chunk_rows=2, transform=f"{sqlite_shop.package}.rules:fail")
    sqlite_shop.write_csv("products.csv", [{"sku": f"S-{n}", "name": "Rake"} for n in range(3)])
    sync(sqlite_shop)

    found = samples()

    assert found["restock_failed_chunks", ""] == found["restock_outstanding_chunks", ""] == 2
    assert found["restock_last_run_status", "incomplete"] == 1
    assert ("restock_lag_seconds", "") not in found


def test_they_are_pushed_to_a_gateway_and_its_absence_is_a_sentence(sqlite_shop: Shop) -> None:
    with open_taker() as (address, taken):
        push_metrics(open_workplace(), address)

    assert 'restock_up{feed="products"} 1.0' in taken[0]
    with pytest.raises(RestockError, match=r"^The Pushgateway did not take the metrics \(URLError\)"):
        push_metrics(open_workplace(), "http://127.0.0.1:9")


def test_the_command_prints_them(sqlite_shop: Shop) -> None:
    done = run_restock(["metrics"], sqlite_shop)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# HELP restock_up Whether the feed's database answers.\n")
    both = run_restock(["metrics", "--port", "9999", "--push", "http://127.0.0.1:9"], sqlite_shop)
    assert both.returncode == 2
