"""Columns of lists: an ARRAY of PostgreSQL, or a type of the app's own that keeps a list as text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop
from stories.telling import correct, counts, export, mend, sync

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
