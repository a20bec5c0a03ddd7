"""Columns of lists: an ARRAY of PostgreSQL, or a type of the app's own that keeps a list as text."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop
from stories.telling import correct, counts, export, mend, rejects_of, sync

from restock.errors import SourceError

KEPT_AS_TEXT = """\
class Words(sa.types.TypeDecorator):
    impl = sa.String(80)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else ";".join(value)

    def process_result_value(self, value, dialect):
        return None if value is None else value.split(";")


class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(8))
    words: Mapped[list[str] | None] = mapped_column(Words)
"""
ARRAY = KEPT_AS_TEXT.replace("mapped_column(Words)", "mapped_column(sa.ARRAY(sa.Text))")
SCHEMA = pa.schema([("sku", pa.string()), ("name", pa.string()), ("words", pa.list_(pa.string()))])


@pytest.fixture(params=["sqlite", "mariadb", "postgresql", "ARRAY"])
def shop(make_shop: MakeShop, make_database: MakeDatabase, request: pytest.FixtureRequest) -> Shop:
    if request.param == "ARRAY":
        return make_shop(make_database("postgresql"), ARRAY)
    return make_shop(make_database(request.param), KEPT_AS_TEXT)


def lists(shop: Shop) -> dict[str, Any]:
    found = {row["sku"]: row["words"] for row in shop.rows("product")}
    return {sku: words.split(";") if isinstance(words, str) else words for sku, words in found.items()}


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
def test_lists_of_parquet_come_into_columns_of_lists_night_after_night(shop: Shop, writer: str) -> None:
    shop.feed(source="products.parquet", match_on=["sku"], writer=writer, transform="transforms.products:clean")
    first = [
        {"sku": "S-1", "name": "hose", "words": ["green", "20 m"]},
        {"sku": "S-1", "name": "hose", "words": ["green", "20 m"]},
        {"sku": "S-2", "name": "rake", "words": None},
        {"sku": "S-3", "name": "can", "words": ['a "b", c', "größe"]},
    ]
    second = [{**row, "words": ["blue"]} if row["sku"] == "S-2" else row for row in first]

    told = []
    for rows in (first, second, second):
        shop.write_parquet("products.parquet", rows, SCHEMA)
        told.append(counts(sync(shop)))

    assert told == [
        {"inserted": 3, "superseded": 1},
        {"updated": 1, "unchanged": 2, "superseded": 1},
        {"unchanged": 3, "superseded": 1},
    ]
    assert lists(shop) == {"S-1": ["green", "20 m"], "S-2": ["blue"], "S-3": ['a "b", c', "größe"]}


def test_a_reject_with_a_list_is_mended_as_its_file_has_it(shop: Shop) -> None:
    shop.feed(source="products.parquet", match_on=["sku"])
    shop.write_parquet("products.parquet", [{"sku": "S-1", "name": "far too long", "words": ["a", "b"]}], SCHEMA)
    path = export(shop, sync(shop).run.run_id)
    mend(path, {"S-1": {"name": "short"}})

    assert counts(correct(shop, path).reports[0]) == {"inserted": 1}
    assert lists(shop) == {"S-1": ["a", "b"]}


def test_other_nested_values_are_no_lists(shop: Shop) -> None:
    shop.feed(source="products.parquet", match_on=["sku"])
    words = pa.map_(pa.string(), pa.string())
    shop.write_parquet(
        "products.parquet",
        [{"sku": "S-1", "name": "a", "words": [("b", "c")]}],
        SCHEMA.set(2, pa.field("words", words)),
    )

    with pytest.raises(SourceError, match=r"'words' of products\.parquet is nested \(map.*a column that holds JSON;"):
        sync(shop)


VALUES = """\
class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    numbers: Mapped[list[int] | None] = mapped_column(sa.ARRAY(sa.Integer))
    prices: Mapped[list[decimal.Decimal] | None] = mapped_column(sa.ARRAY(sa.Numeric(5, 2)))
    words: Mapped[list[str] | None] = mapped_column(sa.ARRAY(sa.String(5)))
    table: Mapped[list[list[dt.date]] | None] = mapped_column(sa.ARRAY(sa.Date, dimensions=2))
"""
# PostgreSQL, and the drivers before it, would cut and round them: in the table would be what nobody sent.
MISFITS = [
    ({"numbers": [1.5]}, "not_an_integer", "numbers"),
    ({"numbers": [2**31]}, "out_of_range", "numbers"),
    ({"prices": [1.25, 1.005]}, "scale", "prices"),
    ({"words": ["fits", "not so"]}, "too_long", "words"),
    ({"words": ["a\0"]}, "nul", "words"),
    ({"table": [["2026-01-01"], ["2026-02-30"]]}, "not_a_date", "table"),
    ({"words": "a,b"}, "not_a_list", "words"),
]


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
def test_the_values_of_a_list_are_held_to_the_type_of_its_column(
    make_shop: MakeShop, postgresql_url: str, writer: str
) -> None:
    shop = make_shop(postgresql_url, VALUES)
    shop.feed(source="products.csv", match_on=["sku"], writer=writer)
    sound = {"numbers": [1, 2], "prices": [1.25, None], "words": ["größe", ""], "table": [["2026-01-01"]]}
    rows = [sound, *({**sound, **wrong} for wrong, _, _ in MISFITS)]
    texts = [{n: v if isinstance(v, str) else json.dumps(v) for n, v in row.items()} for row in rows]
    shop.write_csv("products.csv", [{"sku": f"S-{number}", **text} for number, text in enumerate(texts)])

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "rejected": len(MISFITS)}
    faults = [(fault.code, fault.column) for each in rejects_of(report.run.run_id) for fault in each.faults]
    assert faults == [(code, column) for _, code, column in MISFITS]
    assert shop.rows("product") == [
        {
            "sku": "S-0",
            "numbers": [1, 2],
            "prices": [Decimal("1.25"), None],
            "words": ["größe", ""],
            "table": [[date(2026, 1, 1)]],
        }
    ]
    assert counts(sync(shop, force=True)) == {"unchanged": 1, "rejected": len(MISFITS)}


def test_the_values_of_lists_of_parquet_are_held_to_it_too(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url, VALUES)
    shop.feed(source="products.parquet", match_on=["sku"])
    nested = pa.list_(pa.list_(pa.date32()))
    schema = pa.schema([("sku", pa.string()), ("prices", pa.list_(pa.float64())), ("table", nested)])
    days = [[date(2026, 1, 1), None], [date(2026, 1, 2), date(2026, 1, 3)]]
    rows = [{"sku": "S-1", "prices": [2.5], "table": days}, {"sku": "S-2", "prices": [2.505], "table": None}]
    shop.write_parquet("products.parquet", rows, schema)

    assert counts(sync(shop)) == {"inserted": 1, "rejected": 1}
    [row] = shop.rows("product")
    assert row["prices"] == [Decimal("2.50")]
    assert row["table"] == days
