"""Old runs are forgotten with all that the ledger holds of them; what somebody may still need stays, however old."""

from __future__ import annotations

from decimal import Decimal

import pytest
from contracts.loads import MakeTable, Record, Table, make_items

from restock.chunks import COUNTERS, WriteCounts
from sinks.ledger.forgetting import forget_old_runs
from sinks.ledger.history import History
from sinks.ledger.measures import read_measures

DAY = 86_400


@pytest.fixture
def products(make_table: MakeTable) -> Table:
    return make_table()


def age(table: Table, days: float = 30) -> str:
    """Let the newest run, and those before it, have begun so many days earlier; its id."""
    table.shop.execute("UPDATE restock_run SET started_at = started_at - :seconds", seconds=days * DAY)
    return History(table.sink.database).runs()[0].run_id


def forgotten(table: Table, days: float = 1) -> list[str]:
    """Forget the runs that are older than so many days; which that were."""
    sink = table.sink
    return forget_old_runs(sink.database, sink.feed, sink.target, days * DAY)


def known(table: Table) -> dict[str, set[str]]:
    """The runs that each table of the ledger still knows."""
    names = ("restock_run", "restock_chunk", "restock_reject")
    return {name: {row["run_id"] for row in table.shop.rows(name, "run_id")} for name in names}


def test_an_old_run_is_forgotten_whole_and_the_newest_stays(products: Table) -> None:
    bad = [make_items(1)[0] | {"price": Decimal(-1)}]
    products.load([*bad, *make_items(2, 2)])
    old = age(products)
    products.shop.execute("UPDATE restock_reject SET resolved_at = 1")
    products.load(make_items(2))
    newest = age(products)

    assert forgotten(products) == [old]

    assert known(products) == {"restock_run": {newest}, "restock_chunk": {newest}, "restock_reject": set()}
    assert len(products.rows()) == 3


def test_a_run_that_is_younger_stays(products: Table) -> None:
    products.load(make_items(1))
    age(products, days=2)
    products.load(make_items(1))

    assert forgotten(products, 3) == []


def test_nothing_outstanding_is_forgotten(products: Table) -> None:
    with products.admitted([1, 1]) as [first, _]:
        products.load_chunk(products.chunk(make_items(1), first))
    age(products)
    products.load(make_items(1))
    products.shop.execute("UPDATE restock_chunk SET status = 'planned' WHERE number = 2")

    assert forgotten(products) == []


def test_rejects_that_can_still_be_mended_are_kept_and_overtaken_ones_are_not(products: Table) -> None:
    products.load([make_items(1)[0] | {"price": Decimal(-1)}])
    old = age(products)
    products.load(make_items(2))
    products.shop.execute("UPDATE restock_run SET kind = 'delta'")
    assert forgotten(products) == []

    # A correction of a full feed mends its newest run only, also where the older ones had the same content.
    products.shop.execute("UPDATE restock_run SET kind = 'full'")

    assert forgotten(products) == [old]


def keyless(count: int, first: int = 1) -> list[Record]:
    return [{"id": None, **item} for item in make_items(count, first)]


def test_of_rows_without_a_key_the_run_that_inserted_them_is_remembered(make_table: MakeTable) -> None:
    products = make_table(match_on=[])
    mondays = []
    for _ in range(2):
        products.load(keyless(2), fingerprint="monday")
        mondays.append(age(products))
    products.load([], fingerprint="tuesday")

    assert forgotten(products) == mondays[1:]

    products.load(keyless(2), fingerprint="monday")
    assert len(products.rows()) == 2


def test_a_newer_run_that_did_not_load_the_rows_does_not_remember_them(make_table: MakeTable) -> None:
    products = make_table(match_on=[])
    products.load(keyless(2), fingerprint="monday")
    age(products)
    with products.admitted([2], fingerprint="monday"):
        products.shop.execute("UPDATE restock_chunk SET status = 'abandoned' WHERE status = 'planned'")
    given_up = age(products)
    products.load([], fingerprint="tuesday")

    assert forgotten(products) == [given_up]

    assert products.load(keyless(2), fingerprint="monday") == WriteCounts(skipped=2)
    assert len(products.rows()) == 2


def test_runs_of_other_feeds_are_left_alone(products: Table) -> None:
    products.load(make_items(1))
    products.shop.execute("UPDATE restock_run SET feed = 'another'")
    age(products)
    products.load(make_items(1))

    assert forgotten(products) == []


@pytest.mark.parametrize("at_a_time", [1, 5_000])
def test_what_was_measured_of_forgotten_runs_stays_however_often_runs_are_forgotten(
    products: Table, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr("sinks.ledger.forgetting.RUNS_AT_A_TIME", at_a_time)
    history = History(products.sink.database)

    def sums() -> tuple[object, ...]:
        measures = read_measures(history)["products"]
        return measures.rows, measures.chunks_loaded, measures.chunks_within, pytest.approx(measures.chunk_seconds)

    for count in (2, 3, 4):
        products.load(make_items(count))
        products.load(make_items(count))
        age(products)
        before = sums()
        assert len(forgotten(products)) == (1 if count == 2 else 2)
        assert sums() == before

    assert sums()[:2] == ({**dict.fromkeys(COUNTERS, 0), "inserted": 4, "unchanged": 14}, 6)
