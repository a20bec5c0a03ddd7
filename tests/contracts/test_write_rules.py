"""What a feed leaves alone in present rows, by every writer on every kind of database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from contracts.loads import Table, open_table
from fix_shop import MakeShop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shops import Shop

from restock.chunks import WriteCounts

NAMES = ("sku", "name", "price", "stock")
WRITERS = ("copy", "mappings", "objects")


def columns(**rules: dict[str, Any]) -> dict[str, Any]:
    return {name: {"from": name, **rules.get(name, {})} for name in NAMES}


def item(sku: str, name: str | None = "Hose", price: str | None = "1.00", stock: int | None = 1) -> dict[str, Any]:
    return {"sku": sku, "name": name, "price": None if price is None else Decimal(price), "stock": stock}


def stored(table: Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.rows(*NAMES)]


@pytest.fixture(params=WRITERS)
def open_with(request: pytest.FixtureRequest, shop: Shop) -> Any:
    """Open the shop's products for a feed with these rules of columns."""
    return lambda **rules: open_table(shop, writer=request.param, columns=columns(**rules))


def test_a_blank_keeps_what_is_there_and_is_null_in_a_new_row(open_with: Any) -> None:
    table = open_with(price={"blank": "keep"}, stock={"blank": "keep"})
    table.load([item("1"), item("2"), item("3", price=None)])

    counts = table.load([item("1", price=None, stock=5), item("2", price=None, stock=None), item("3", price="9.00")])
    again = table.load([item("1", price=None, stock=5), item("2", price=None, stock=None), item("3", price="9.00")])

    assert counts == WriteCounts(updated=2, unchanged=1)
    assert again == WriteCounts(unchanged=3)
    assert stored(table) == [
        ("1", "Hose", Decimal("1.00"), 5),
        ("2", "Hose", Decimal("1.00"), 1),
        ("3", "Hose", Decimal("9.00"), 1),
    ]


def test_a_blank_is_kept_where_the_column_may_not_be_empty_and_rejects_a_new_row(open_with: Any) -> None:
    table = open_with(name={"blank": "keep"})
    table.load([item("1")])

    counts = table.load([item("1", name=None, stock=5), item("2", name=None)])

    assert counts == WriteCounts(updated=1, rejected=1)
    assert [(each.code, each.column) for each in table.rejects()] == [("null", "name")]
    assert stored(table) == [("1", "Hose", Decimal("1.00"), 5)]


def test_what_is_written_for_new_rows_only_is_left_alone_afterwards(open_with: Any) -> None:
    table = open_with(name={"write": "insert_only"}, price={"write": "insert_only"})
    table.load([item("1")])

    assert table.load([item("1", name="Rake", price=None, stock=9)]) == WriteCounts(updated=1)
    assert table.load([item("1", name="Spade", price="7.00", stock=9)]) == WriteCounts(unchanged=1)
    assert stored(table) == [("1", "Hose", Decimal("1.00"), 9)]


def test_only_what_is_empty_is_filled(open_with: Any, shop: Shop) -> None:
    table = open_with(name={"write": "fill_empty"}, price={"write": "fill_empty"})
    shop.insert("product", {"sku": "1", "name": "", "price": None, "stock": 1})
    shop.insert("product", {"sku": "2", "name": "mine", "price": 5, "stock": 1})
    shop.insert("product", {"sku": "3", "name": "mine", "price": None, "stock": 1})
    shop.insert("product", {"sku": "5", "name": "", "price": None, "stock": 1})

    others = [item("2"), item("3", price=None, stock=2), item("4"), item("5", name=None, stock=2)]
    counts = table.load([item("1"), *others])
    again = table.load([item("1", name="x", price="2.00"), *others])

    assert counts == WriteCounts(inserted=1, updated=3, unchanged=1)
    assert again == WriteCounts(unchanged=5)
    assert stored(table) == [
        ("1", "Hose", Decimal("1.00"), 1),
        ("2", "mine", Decimal("5.00"), 1),
        ("3", "mine", None, 2),
        ("5", "", Decimal("1.00"), 2),
        ("4", "Hose", Decimal("1.00"), 1),
    ]


@pytest.mark.parametrize("writer", WRITERS)
def test_columns_with_types_of_the_apps_own_have_rules_too(make_shop: MakeShop, database_url: str, writer: str) -> None:
    models = """\
class Shouted(sa.types.TypeDecorator):
    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value.upper()


class Article(db.Model):
    __tablename__ = "article"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    word: Mapped[str | None] = mapped_column(Shouted)
    extra: Mapped[dict | None] = mapped_column(sa.JSON)
    made_on: Mapped[dt.date | None]
"""
    rules = {"word": {"from": "word", "blank": "keep"}, "extra": {"from": "extra", "write": "fill_empty"}}
    rules |= {"made_on": {"from": "made_on", "write": "fill_empty"}, "sku": {"from": "sku"}}
    shop = make_shop(database_url, models)
    table = open_table(shop, "Article", match_on=["sku"], columns=rules, writer=writer)
    first = {"sku": "1", "word": "loud", "extra": {"a": 1}, "made_on": None}
    table.load([first, {**first, "sku": "2", "extra": None}])
    # What the app itself keeps for None.
    shop.execute("INSERT INTO article (sku, word, extra) VALUES ('3', 'LOUD', 'null')")

    counts = table.load(
        [
            {**first, "word": None, "extra": {"a": 2}},
            {**first, "sku": "2", "word": "Hush", "extra": {"b": 3}},
            {**first, "sku": "3", "extra": {"c": 4}},
        ]
    )

    assert counts == WriteCounts(updated=2, unchanged=1)
    assert table.seen_by_app("sku", "word", "extra") == [
        {"sku": "1", "word": "LOUD", "extra": {"a": 1}},
        {"sku": "2", "word": "HUSH", "extra": {"b": 3}},
        {"sku": "3", "word": "LOUD", "extra": {"c": 4}},
    ]


CELLS = st.fixed_dictionaries(
    {"price": st.sampled_from([None, "1.00", "2.00"]), "stock": st.sampled_from([None, 1, 2])}
)
RULES = st.sampled_from([{}, {"blank": "keep"}, {"write": "insert_only"}, {"write": "fill_empty"}])


def settled(rule: dict[str, str], present: Any, sent: Any) -> Any:
    """What a present row holds afterwards: the rules in three lines, for the test to compare with."""
    if rule.get("write") == "insert_only" or (rule.get("write") == "fill_empty" and present is not None):
        return present
    return present if sent is None and rule else sent


@given(nights=st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=2, max_size=3), price=RULES, stock=RULES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_nights_leave_what_the_rules_say(
    sqlite_table_maker: Any, nights: list[list[dict[str, Any]]], price: dict[str, str], stock: dict[str, str]
) -> None:
    table = sqlite_table_maker(columns(price=price, stock=stock))
    expected: dict[str, dict[str, Any]] = {}
    for night in nights:
        for number, cells in enumerate(night):
            present = expected.get(str(number))
            rules = {"price": price, "stock": stock}
            expected[str(number)] = (
                dict(cells) if present is None else {n: settled(rules[n], present[n], cells[n]) for n in rules}
            )
        table.load([item(str(number), **cells) for number, cells in enumerate(night)])

    assert [row[2:] for row in stored(table)] == [
        (None if each["price"] is None else Decimal(each["price"]), each["stock"]) for each in expected.values()
    ]


@pytest.fixture
def sqlite_table_maker(sqlite_shop: Shop) -> Any:
    """Open the products of one shop, emptied, for another feed."""

    def make(rules: dict[str, Any]) -> Table:
        sqlite_shop.execute("DELETE FROM product")
        return open_table(sqlite_shop, columns=rules)

    return make
