"""What becomes of each record, on every kind of database: inserted, updated, unchanged, stale, skipped or rejected."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from contracts.loads import ITEM, MakeTable, Table, make_items

from restock.chunks import Reject, WriteCounts


@pytest.fixture
def products(make_table: MakeTable) -> Table:
    return make_table()


def test_an_empty_chunk_is_loaded_and_writes_nothing(products: Table) -> None:
    with products.recorded_writes() as writes:
        counts = products.load([])

    assert (counts, writes, products.rows()) == (WriteCounts(), [], [])


def test_records_whose_key_is_absent_are_inserted(products: Table) -> None:
    counts = products.load(make_items(3))

    assert counts == WriteCounts(inserted=3)
    assert products.rows(*ITEM) == make_items(3)


def test_records_whose_key_is_present_are_updated(products: Table) -> None:
    products.load(make_items(3))
    renamed = [record | {"name": f"New {record['name']}", "price": None} for record in make_items(3)]

    counts = products.load(renamed)

    assert counts == WriteCounts(updated=3)
    assert products.rows(*ITEM) == renamed


def test_each_record_of_a_mixed_chunk_goes_its_own_way(products: Table) -> None:
    products.load(make_items(3))
    first, second, third, fourth = make_items(4)

    with products.recorded_writes() as writes:
        counts = products.load([fourth, first | {"stock": 999}, second])

    assert counts == WriteCounts(inserted=1, updated=1, unchanged=1)
    assert products.rows(*ITEM) == [first | {"stock": 999}, second, third, fourth]
    assert len(writes) == 2


def test_the_second_load_of_anything_writes_no_row(products: Table) -> None:
    products.load(make_items(20))

    with products.recorded_writes() as writes:
        counts = products.load(make_items(20))

    assert (counts, writes) == (WriteCounts(unchanged=20), [])


def test_a_row_that_the_shop_edited_meanwhile_is_put_back(products: Table) -> None:
    products.load(make_items(3))
    products.shop.execute("UPDATE product SET name = 'edited' WHERE sku = 'S-00002'")

    counts = products.load(make_items(3))

    assert counts == WriteCounts(updated=1, unchanged=2)
    assert products.rows(*ITEM) == make_items(3)


def test_rows_of_the_shop_that_the_feed_does_not_name_are_left_alone(products: Table) -> None:
    own = {"id": 1, "sku": "OWN", "name": "Of the shop", "price": Decimal("1.00"), "stock": 1}
    products.shop.insert("product", own)

    products.load(make_items(1))

    assert products.rows("id", *ITEM)[0] == own


def test_what_the_transforms_set_aside_is_counted_and_kept(products: Table) -> None:
    [item] = make_items(1)
    reject = Reject(row=2, line=3, code="null", column="name", value=None, original={"sku": "Ü-2", "name": None})
    with products.admitted([5]) as [ref]:
        chunk = products.chunk([item], ref, rejects=[reject], skipped=1, superseded=2)
        counts = products.load_chunk(chunk)

    assert counts == WriteCounts(inserted=1, rejected=1, skipped=1, superseded=2)
    [kept] = products.rejects()
    assert (kept.row, kept.line, kept.code, kept.column, kept.value) == (2, 3, "null", "name", None)
    assert kept.original == {"sku": "Ü-2", "name": None}


def test_insert_only_leaves_present_rows_alone(make_table: MakeTable) -> None:
    products = make_table(mode="insert_only")
    products.load(make_items(1))
    first, second = make_items(2)

    counts = products.load([first | {"name": "new"}, second])

    assert counts == WriteCounts(inserted=1, skipped=1)
    assert products.rows(*ITEM) == [first, second]


def test_update_only_creates_no_product(make_table: MakeTable) -> None:
    products = make_table(mode="update_only")
    first, second = make_items(2)
    products.shop.insert("product", first)

    counts = products.load([first | {"stock": 0}, second])

    assert counts == WriteCounts(updated=1, skipped=1)
    assert products.rows(*ITEM) == [first | {"stock": 0}]


def test_a_record_older_than_the_row_is_stale(make_table: MakeTable) -> None:
    products = make_table(version_column="updated_at")
    old, now, new = (moment(products, day) for day in (1, 2, 3))
    items = make_items(5)
    products.load([item | {"updated_at": now} for item in items[:4]] + [items[4] | {"updated_at": None}])
    sent = [old, now, new, None, now]

    counts = products.load([i | {"name": "new", "updated_at": at} for i, at in zip(items, sent, strict=True)])

    assert counts == WriteCounts(updated=3, stale=2)
    assert [row["name"] for row in products.rows()] == ["Product 1", "new", "new", "Product 4", "new"]


def moment(table: Table, day: int) -> datetime:
    """A moment as the contract of the database demands it: aware where the column keeps a zone."""
    aware = datetime(2026, 3, day, 12, tzinfo=UTC)
    return aware if table.sink.target.contract.fields["updated_at"].timezone else aware.replace(tzinfo=None)


def test_an_absent_column_is_left_alone(products: Table) -> None:
    products.load(make_items(2))

    counts = products.load([{"sku": "S-00001", "name": "renamed"}, {"sku": "S-00002", "name": "Product 2"}])

    first, second = make_items(2)
    assert counts == WriteCounts(updated=1, unchanged=1)
    assert products.rows(*ITEM) == [first | {"name": "renamed"}, second]


def test_a_new_row_without_a_required_column_is_rejected_and_a_present_one_is_updated(products: Table) -> None:
    products.load(make_items(1))

    with products.recorded_writes() as writes:
        counts = products.load([{"sku": "S-00001", "stock": 7}, {"sku": "S-00002", "stock": 8}])

    assert counts == WriteCounts(updated=1, rejected=1)
    assert len(writes) == 1  # the database is not even asked
    [reject] = products.rejects()
    assert (reject.row, reject.line, reject.code, reject.column) == (2, 3, "null", "name")
    assert reject.original == {"sku": "S-00002", "stock": "8"}


def test_a_record_that_claims_another_rows_primary_key_is_rejected(products: Table) -> None:
    products.load(make_items(2))
    [one, two] = products.rows("id", *ITEM)

    counts = products.load([one | {"id": two["id"], "name": "x"}, two | {"id": None, "name": "y"}])

    assert counts == WriteCounts(updated=1, rejected=1)
    assert [(each.code, each.column) for each in products.rejects()] == [("key_conflict", "id")]
    assert products.rows("id", *ITEM) == [one, two | {"name": "y"}]


def test_a_thousand_rows_take_one_statement_for_inserts_and_one_for_updates(products: Table) -> None:
    products.load(make_items(1000))

    with products.recorded_writes() as writes:
        counts = products.load([item | {"stock": 77} for item in make_items(1200)])

    assert counts == WriteCounts(inserted=200, updated=1000)
    assert len(writes) == 2
    assert {row["stock"] for row in products.rows()} == {77}
