"""What is asked of the ledger does not grow with its history."""

from __future__ import annotations

from contracts.loads import MakeTable, make_items, recorded_statements

from sinks.ledger.history import History, summary_of


def test_the_newest_run_is_asked_for_alone(make_table: MakeTable) -> None:
    products = make_table()
    for count in (1, 2, 3):
        products.load(make_items(count))
    history = History(products.sink.database)
    newest, *_ = history.runs()

    with recorded_statements(history.database.engine) as statements:
        assert history.newest("products") == newest
        assert history.newest("another") is None

    asked = [statement for statement in statements if "FROM restock_run" in statement]
    assert ["LIMIT" in statement for statement in asked] == [True, True]


def test_the_run_admitted_last_is_the_newest_though_the_clock_was_set_back(make_table: MakeTable) -> None:
    products = make_table()
    products.load(make_items(1))
    products.shop.execute("UPDATE restock_run SET started_at = started_at + 3600")
    for count in (2, 3):
        products.load(make_items(count))

    assert [run.read for run in History(products.sink.database).runs()] == [3, 2, 1]


def test_runs_are_told_as_they_began_and_those_of_one_moment_by_their_ids(make_table: MakeTable) -> None:
    products = make_table()
    for count in (1, 2, 3):
        products.load(make_items(count))
    history = History(products.sink.database)

    for began, told in (("-started_at", [1, 2, 3]), ("0", [3, 2, 1])):
        products.shop.execute(f"UPDATE restock_run SET started_at = {began}")
        assert [run.read for run in history.runs()] == told


def test_unfinished_runs_are_told_as_they_have_to_be_applied(make_table: MakeTable) -> None:
    products = make_table()
    for count in (1, 2, 3):
        products.load(make_items(count))
    history = History(products.sink.database)
    products.shop.execute("UPDATE restock_chunk SET status = 'planned'")

    for generation, told in (("3 - read_rows", [3, 2, 1]), ("7", [1, 2, 3])):
        products.shop.execute(f"UPDATE restock_run SET generation = {generation}")
        assert [run.read for run in history.unfinished()] == told
        assert [run.read for run in history.runs_of("products").unfinished] == told


def test_the_totals_of_all_runs_are_those_of_each_and_asked_for_at_once(make_table: MakeTable) -> None:
    products = make_table()
    for count in (1, 2, 3):
        products.load(make_items(count))
    history = History(products.sink.database)

    with recorded_statements(history.database.engine) as statements:
        found = history.summaries()

    records = [history.record(run.run_id) for run in history.runs()]
    assert found == [(record.run, summary_of(record.run, record.chunks)) for record in records]
    assert [summary.inserted for _, summary in found] == [1, 1, 1]
    assert len([each for each in statements if "FROM restock_" in each]) == 3
