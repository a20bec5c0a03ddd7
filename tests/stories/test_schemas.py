"""A feed with a Pandera schema: what it says beyond the contract becomes rejects, all at once."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from shops import Shop
from stories.telling import counts, product, products, sync

from flows.runs.workplace import open_workplace
from restock.errors import ConfigurationError, RunIncomplete
from sinks.flask_sink import open_sink
from sinks.ledger.history import History
from transforms.apply import code_digest

SCHEMA = """\
import pandera.pandas as pa


class ProductSchema(pa.DataFrameModel):
    sku: str = pa.Field(str_matches=r"^S-[0-9]+$")
    name: str = pa.Field(str_length={"min_value": 4})
    price: float = pa.Field(ge=1, le=1000, nullable=True)
    stock: int = pa.Field(nullable=True)

    @pa.check("stock")
    def even(cls, stock):
        return stock % 2 == 0

    @pa.dataframe_check
    def cheap_or_few(cls, frame):
        return (frame["price"] < 100) | (frame["stock"] < 5)

    class Config:
        strict = True
        coerce = True


by_object = pa.DataFrameSchema({"price": pa.Column(float, pa.Check.ge(1, error="price: too low!"), nullable=True)})
to_the_cent = pa.DataFrameSchema(
    {"price": pa.Column(float, [pa.Check.in_range(0.57, 19.99), pa.Check.isin([0.57, 1.15, 19.99, 20])], nullable=True)}
)
raising = pa.DataFrameSchema({}, checks=pa.Check(lambda frame: frame["colour"] == "red", name="is_red"))
of_all = pa.DataFrameSchema({"stock": pa.Column(int, pa.Check(lambda stock: stock.sum() > 10**6, name="much"))})
stranger = pa.DataFrameSchema({"colour": pa.Column(str)})
no_schema = 5
"""


@pytest.fixture
def schema(sqlite_shop: Shop) -> str:
    """The shop with a module of schemas, and the reference to that module."""
    (sqlite_shop.folder / sqlite_shop.package / "schemas.py").write_text(SCHEMA, encoding="utf-8")
    return f"{sqlite_shop.package}.schemas"


def even(number: int, **cells: str) -> dict[str, str]:
    return product(number, stock="2") | cells


def faults_of(shop: Shop) -> dict[str, list[tuple[str, str | None, str | None]]]:
    """What is wrong with each rejected row of the newest run, by its SKU."""
    place = open_workplace()
    history = History(open_sink(place.feed(shop.feed_name)).database)
    rejects = history.rejects(history.runs()[0].run_id)
    return {
        str(each.original["sku"]): [(fault.code, fault.column, fault.value) for fault in each.faults]
        for each in rejects
    }


def test_a_price_is_compared_as_it_is_written(sqlite_shop: Shop, schema: str) -> None:
    sqlite_shop.feed(schema=f"{schema}:to_the_cent")
    prices = ["19.99", "0.57", "1.15", "", "0.56", "20"]
    sqlite_shop.write_csv("products.csv", [even(number, price=price) for number, price in enumerate(prices)])

    sync(sqlite_shop)

    assert faults_of(sqlite_shop) == {
        "S-004": [("schema:in_range", "price", "0.56"), ("schema:isin", "price", "0.56")],
        "S-005": [("schema:in_range", "price", "20.00")],
    }


def test_ranges_patterns_and_rules_across_columns_become_rejects(sqlite_shop: Shop, schema: str) -> None:
    sqlite_shop.feed(schema=f"{schema}:ProductSchema")
    sqlite_shop.write_csv(
        "products.csv",
        [
            even(1),
            even(2, price=""),
            even(3, price="0.50", stock="3"),
            even(4, name="abc", sku="X-4"),
            even(5, price="500.00", stock="8"),
            even(6, price="5000.00", stock="8"),
            even(7, price="cheap", name="x"),
        ],
    )

    report = sync(sqlite_shop)

    assert counts(report) == {"inserted": 2, "rejected": 5}
    assert faults_of(sqlite_shop) == {
        "S-003": [("schema:greater_than_or_equal_to", "price", "0.50"), ("schema:even", "stock", "3")],
        "X-4": [("schema:str_matches", "sku", "X-4"), ("schema:str_length", "name", "abc")],
        "S-005": [("schema:cheap_or_few", None, None)],
        "S-006": [("schema:less_than_or_equal_to", "price", "5000.00")],
        "S-007": [("not_a_number", "price", "cheap"), ("schema:str_length", "name", "x")],
    }


def test_a_sound_chunk_passes_and_keeps_its_types(sqlite_shop: Shop, schema: str) -> None:
    sqlite_shop.feed(schema=f"{schema}:ProductSchema")
    sqlite_shop.write_csv("products.csv", [even(number) for number in range(1, 8)])

    assert counts(sync(sqlite_shop)) == {"inserted": 7}
    assert counts(sync(sqlite_shop)) == {"unchanged": 7}


def test_a_schema_object_and_a_check_with_a_sentence_have_a_stable_code(sqlite_shop: Shop, schema: str) -> None:
    sqlite_shop.feed(schema=f"{schema}:by_object")
    sqlite_shop.write_csv("products.csv", [product(1, price="0.10")])

    assert sync(sqlite_shop).reasons == [("schema:price_too_low", "price", 1)]


@pytest.mark.parametrize("name, check", [("raising", "is_red"), ("of_all", "much")])
def test_a_check_that_raises_or_is_not_about_rows_fails_the_chunk(
    sqlite_shop: Shop, schema: str, name: str, check: str
) -> None:
    sqlite_shop.feed(schema=f"{schema}:{name}")
    sqlite_shop.write_csv("products.csv", products([1]))

    with pytest.raises(RunIncomplete, match=f"The check schema:{check} of the schema {schema}:{name} on chunk 1"):
        sync(sqlite_shop).verdict()


@pytest.mark.parametrize(
    "name, told",
    [
        ("stranger", "has the column 'colour', which the feed does not fill"),
        ("no_schema", "is neither a Pandera DataFrameModel nor a DataFrameSchema"),
        ("missing", "has no 'missing'"),
    ],
)
def test_a_schema_that_cannot_be_asked_is_refused_before_anything_is_read(
    sqlite_shop: Shop, schema: str, name: str, told: str
) -> None:
    columns = {name: name for name in ("sku", "name", "price")}
    sqlite_shop.feed(schema=f"{schema}:{name}", columns=columns)

    with pytest.raises(ConfigurationError, match=told):
        sync(sqlite_shop)


def test_without_pandera_the_extra_is_named(sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_shop.feed(schema="anything:at_all")
    monkeypatch.setitem(sys.modules, "pandera.pandas", None)

    with pytest.raises(ConfigurationError, match=r"install restock\[pandera\]"):
        sync(sqlite_shop)


def test_nobody_who_names_no_schema_waits_for_pandera() -> None:
    code = "import sys, flows.looking.checking; sys.exit('pandera' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_changed_schema_is_other_code(sqlite_shop: Shop, schema: str) -> None:
    sqlite_shop.feed(schema=f"{schema}:by_object")
    feed: Any = open_workplace().feed(sqlite_shop.feed_name)
    before = code_digest(feed)

    (sqlite_shop.folder / sqlite_shop.package / "schemas.py").write_text(SCHEMA + "\n", encoding="utf-8")

    assert code_digest(feed) != before
