"""Rows that are in the table as they were sent: they are not staged; whatever is in doubt is, and compared."""

from __future__ import annotations

import logging

import pytest
from contracts.loads import ITEM, Record, Table, make_items, open_table, recorded_statements
from fix_shop import MakeShop
from shops import SHOUTED

from restock.chunks import WriteCounts
from restock.errors import ChunkFailed
from sinks.rows.postgresql_copy import types_seen

pytest.importorskip("pgpq", reason="comes with restock[postgresql]")

KINDS = """\
class Thing(db.Model):
    __tablename__ = "thing"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "thing"}

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    name: Mapped[str | None]


class Book(Thing):
    __mapper_args__ = {"polymorphic_identity": "book"}
"""
# A column that the table of the model knows by another word than the database does.
RENAMED = """\
class Item(db.Model):
    __table__ = sa.Table(
        "item",
        db.metadata,
        sa.Column('article "number" in %', sa.String(20), primary_key=True, key="sku"),
        sa.Column("title", sa.String(40), key="name"),
    )
"""
PAIRS = """\
class Pair(db.Model):
    __tablename__ = "pair"

    shop: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None]
"""


@pytest.fixture
def products(make_shop: MakeShop, postgresql_url: str) -> Table:
    return open_table(make_shop(postgresql_url))


def load(table: Table, *chunks: list[Record]) -> tuple[list[WriteCounts], list[list[str]]]:
    """Load a run of several chunks: what became of each, and what was sent for it."""
    outcomes, sent = [], []
    with table.admitted([len(chunk) for chunk in chunks]) as refs:
        for ref, chunk in zip(refs, chunks, strict=True):
            with recorded_statements(table.sink.database.engine) as statements:
                outcomes.append(table.load_chunk(table.chunk(chunk, ref)))
            sent.append(statements)
    return outcomes, sent


def is_looked_for(statements: list[str]) -> bool:
    return any(each.startswith("COPY (SELECT") for each in statements)


def is_staged(statements: list[str]) -> bool:
    return any(each.startswith("CREATE TEMPORARY TABLE") for each in statements)


def test_nothing_is_staged_of_a_chunk_that_is_in_the_table_already(products: Table) -> None:
    products.load(make_items(4))

    [counts], [statements] = load(products, make_items(4))

    assert counts == WriteCounts(unchanged=4)
    assert is_looked_for(statements)
    assert not is_staged(statements)


def test_rows_are_compared_some_at_a_time(products: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.staging.equal_rows._AT_ONCE", 3)
    products.load(make_items(7))

    [counts], [statements] = load(products, make_items(7))

    assert counts == WriteCounts(unchanged=7)
    assert not is_staged(statements)


def test_rows_that_begin_alike_are_told_apart(products: Table) -> None:
    items: list[Record] = [{"name": "A name longer than what is looked at first", "sku": f"S{n}"} for n in range(4)]
    products.load(items)

    [counts], [statements] = load(products, items)

    assert counts == WriteCounts(unchanged=4)
    assert is_looked_for(statements)
    assert not is_staged(statements)


def test_changed_and_new_rows_among_equal_ones_are_written(products: Table) -> None:
    items = make_items(6)
    products.load([items[0], items[2], items[3], items[5]])
    items[2] |= {"name": "changed", "price": None}

    [counts], [statements] = load(products, items)

    assert counts == WriteCounts(inserted=2, updated=1, unchanged=3)
    assert is_looked_for(statements)
    assert sorted(products.rows(*ITEM), key=lambda row: str(row["sku"])) == items


def test_a_feed_that_changes_most_rows_is_staged_whole_and_the_log_says_so(
    products: Table, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "restock")
    items = make_items(9)
    products.load(items)
    changed = [item | {"name": "changed"} for item in items]

    outcomes, sent = load(products, changed[:3], changed[3:6], items[6:])

    assert outcomes == [WriteCounts(updated=3), WriteCounts(updated=3), WriteCounts(unchanged=3)]
    assert [is_looked_for(each) for each in sent] == [True, False, False]
    told = [each.getMessage() for each in caplog.records if "looks which rows" in each.getMessage()]
    staged = [each.getMessage() for each in caplog.records if "stages its rows" in each.getMessage()]
    assert (len(told), len(staged)) == (1, 1)


def test_keys_that_lie_far_apart_are_not_fetched_with_all_that_is_between_them(products: Table) -> None:
    items = make_items(3000)
    products.load(items)
    products.shop.execute("ANALYZE product")

    [counts], [statements] = load(products, [items[0], items[1500], items[2999]])

    assert counts == WriteCounts(unchanged=3)
    assert not is_looked_for(statements)


def test_what_the_database_did_not_expect_between_the_keys_is_left_where_it_is(
    products: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.staging.equal_rows._expected_rows", lambda *_: 1.0)
    items = make_items(300)
    products.load(items)

    [counts], [statements] = load(products, [items[0], items[150], items[299]])

    assert counts == WriteCounts(unchanged=3)
    assert is_looked_for(statements)
    assert any("LIMIT 6" in each for each in statements)


def test_where_the_table_takes_a_key_twice_all_is_staged(products: Table) -> None:
    products.shop.execute("ALTER TABLE product DROP CONSTRAINT product_sku_key")
    products.load(make_items(2))

    [counts], [statements] = load(products, make_items(2))

    assert counts == WriteCounts(unchanged=2)
    assert not is_looked_for(statements)


def test_rows_that_are_only_added_to_are_skipped_and_not_unchanged(make_shop: MakeShop, postgresql_url: str) -> None:
    products = open_table(make_shop(postgresql_url), mode="insert_only")
    products.load(make_items(2))

    [counts], _ = load(products, make_items(3))

    assert counts == WriteCounts(inserted=1, skipped=2)


def test_an_equal_row_of_another_model_in_the_table_is_a_conflict(make_shop: MakeShop, postgresql_url: str) -> None:
    books = open_table(make_shop(postgresql_url, KINDS), "Book", match_on=[])
    books.shop.insert("thing", {"sku": "S1", "kind": "thing", "name": "a"})

    [counts], [statements] = load(books, [{"sku": "S1", "name": "a"}])

    assert counts == WriteCounts(rejected=1)
    assert [reject.code for reject in books.rejects()] == ["other_kind"]
    assert not is_looked_for(statements)


def test_columns_are_called_as_the_database_calls_them(make_shop: MakeShop, postgresql_url: str) -> None:
    items = open_table(make_shop(postgresql_url, RENAMED), "Item", match_on=[])
    rows: list[Record] = [{"sku": f"S{number}", "name": "a"} for number in range(4)]
    items.load(rows[:3])

    [counts], [statements] = load(items, [rows[0], rows[1] | {"name": "b"}, *rows[2:]])

    assert counts == WriteCounts(inserted=1, updated=1, unchanged=2)
    assert is_looked_for(statements)


def test_keys_of_several_columns_span_rows_as_the_database_orders_them(
    make_shop: MakeShop, postgresql_url: str
) -> None:
    pairs = open_table(make_shop(postgresql_url, PAIRS), "Pair", match_on=[])
    rows = [{"shop": shop, "sku": sku, "name": f"{shop}{sku}"} for shop in (1, 2) for sku in ("a'b", "b%", 'c"')]
    pairs.load(rows)
    pairs.shop.execute("ANALYZE pair")

    [counts], [statements] = load(
        pairs, [rows[1], rows[4] | {"name": "new"}, rows[2], {"shop": 3, "sku": "a", "name": None}]
    )

    assert counts == WriteCounts(inserted=1, updated=1, unchanged=2)
    assert is_looked_for(statements)


@pytest.mark.parametrize("type_", ["Shouted", 'sa.Text().with_variant(Shouted(), "postgresql")'])
def test_values_that_sql_of_their_type_changes_are_neither_copied_nor_looked_for(
    make_shop: MakeShop, postgresql_url: str, type_: str
) -> None:
    models = SHOUTED.replace("mapped_column(Shouted)", f"mapped_column({type_})")
    items = open_table(make_shop(postgresql_url, models), "Item", match_on=[], writer="copy")

    [first], _ = load(items, [{"sku": "S1", "name": "loud"}, {"sku": "S2", "name": "LOUD"}])
    [second], [statements] = load(items, [{"sku": "S1", "name": "loud"}, {"sku": "S2", "name": "LOUD"}])

    assert first == WriteCounts(inserted=2)
    assert [row["name"] for row in items.rows()] == ["LOUD", "LOUD"]
    assert second == WriteCounts(unchanged=2)
    assert not is_looked_for(statements)


def test_a_row_that_gets_lost_on_its_way_into_the_stage_is_not_taken_for_unchanged(
    products: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    products.load(make_items(3))
    changed = [item | {"name": "changed"} for item in make_items(3)]
    whole = "sinks.rows.encoding.EncodedRows.numbered"
    numbered = __import__("sinks.rows.encoding", fromlist=["EncodedRows"]).EncodedRows.numbered
    monkeypatch.setattr(whole, lambda rows, places, numbers: numbered(rows, [0, 1], numbers[:2]))

    with pytest.raises(ChunkFailed, match="RuntimeError"):
        load(products, changed)

    assert {row["name"] for row in products.rows()} == {item["name"] for item in make_items(3)}


def test_rows_that_were_encoded_for_other_types_than_the_table_has_by_now_are_encoded_anew(products: Table) -> None:
    products.load(make_items(2))
    products.load(make_items(2))
    assert types_seen(products.sink.database.engine, products.sink.target.table)["stock"] == "int4"
    products.shop.execute("ALTER TABLE product ALTER COLUMN stock TYPE bigint")

    [counts], _ = load(products, [item | {"stock": 2**40} for item in make_items(2)])

    assert counts == WriteCounts(updated=2)
    assert {row["stock"] for row in products.rows()} == {2**40}
