"""What a row that only the database refuses keeps of its source."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from contracts.loads import open_table
from fix_databases import MakeDatabase, asking
from fix_shop import MakeShop
from shops import Shop
from stories.telling import correct, counts, export, mend, rejects_of, sync

from restock.chunks import WriteCounts
from sinks.database.charsets import takes_all_text

MODELS = """\
class Spool(db.Model):
    __tablename__ = "spool"
    __table_args__ = (sa.CheckConstraint("stock >= 0", name="stock_not_negative"),)

    sku: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(20, 10))
    stock: Mapped[int | None]
"""

# SQLite checks foreign keys only where the app asks it to, and does not say which of them a row breaks.
PLACED = """\
import sqlite3


@sa.event.listens_for(sa.Engine, "connect")
def check_foreign_keys(connection, _record):
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")


class Brand(db.Model):
    __tablename__ = "brand"

    id: Mapped[int] = mapped_column(primary_key=True)


class Placed(db.Model):
    __tablename__ = "placed"

    sku: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    brand: Mapped[int | None] = mapped_column("brand_id", sa.ForeignKey("brand.id"))
    maker: Mapped[int | None] = mapped_column("maker_id", sa.ForeignKey("brand.id"))
    owner: Mapped[int] = mapped_column("owner_id", sa.ForeignKey("brand.id"), default=99)
"""


def test_a_word_that_looks_like_a_missing_value_is_kept_as_text(sqlite_shop: Shop) -> None:
    sqlite_shop.feed()
    sqlite_shop.write_csv("products.csv", [{"sku": "S-1", "name": "<NA>", "price": "-1", "stock": ""}])

    sync(sqlite_shop)

    (reject,) = sqlite_shop.execute("SELECT original FROM restock_reject")
    assert json.loads(reject["original"]) == {"sku": "S-1", "name": "<NA>", "price": "-1", "stock": None}


def test_the_cells_of_a_typed_source_can_be_loaded_again_as_they_were_written(
    make_shop: MakeShop, database_url: str
) -> None:
    shop = make_shop(database_url, MODELS)
    shop.feed(source="products.parquet", model=shop.model("Spool"))
    types = {"sku": pa.string(), "name": pa.binary(), "price": pa.decimal128(20, 10), "stock": pa.int64()}
    row = {"sku": "S-1", "name": "Öl".encode(), "price": Decimal(0), "stock": -1}
    shop.write_parquet("products.parquet", [row], pa.schema(types))
    run_id = sync(shop).run.run_id
    path = export(shop, run_id)
    mend(path, {"S-1": {"stock": "4"}})

    [reject] = rejects_of(run_id)
    done = correct(shop, path)

    assert reject.original == {"sku": "S-1", "name": "Öl", "price": "0.0000000000", "stock": "-1"}
    assert counts(done.reports[0]) == {"inserted": 1}
    assert [(row["name"], row["price"], row["stock"]) for row in shop.rows("spool")] == [("Öl", Decimal(0), 4)]


def test_the_value_at_fault_is_no_longer_than_that_of_any_reject(make_shop: MakeShop, database_url: str) -> None:
    shop = make_shop(database_url, MODELS)
    shop.feed(model=shop.model("Spool"))
    name = "x" * 255
    shop.insert("spool", {"sku": "S-0", "name": name})
    shop.write_csv("products.csv", [{"sku": "S-1", "name": name}])

    [reject] = rejects_of(sync(shop).run.run_id)

    assert (reject.code.partition(":")[0], reject.original["name"]) == ("unique", name)
    assert reject.value in (None, name[:199] + "…")  # not every database names the column


def test_the_row_that_has_a_unique_value_is_named_in_the_reject_and_is_no_reason_that_a_report_counts(
    make_shop: MakeShop, database_url: str
) -> None:
    shop = make_shop(database_url, MODELS)
    shop.feed(model=shop.model("Spool"))
    shop.insert("spool", {"sku": "S-0", "name": "taken"})
    shop.write_csv("products.csv", [{"sku": "S-1", "name": "taken"}])

    report = sync(shop)

    [reject] = rejects_of(report.run.run_id)
    assert [fault.code.partition(":")[0] for fault in reject.faults] == ["unique", "held_by"]
    assert [(code.partition(":")[0], rows) for code, _, rows in report.reasons] == [("unique", 1)]


def test_where_the_database_does_not_say_it_the_foreign_keys_that_the_row_fills_are_named(
    make_shop: MakeShop, sqlite_url: str
) -> None:
    shop = make_shop(sqlite_url, PLACED)
    shop.insert("brand", {"id": 1})
    names = {"sku": "Article", "brand": "Brand", "maker": "Maker", "owner": "Owner"}
    shop.feed(model=shop.model("Placed"), columns=names)
    rows = [("S-1", 7, "", 1), ("S-2", "", 1, 9), ("S-3", 1, 1, 1)]
    shop.write_csv("products.csv", [dict(zip(names.values(), row, strict=True)) for row in rows])

    rejects = rejects_of(sync(shop).run.run_id)

    assert [(each.code, each.column, each.value) for each in rejects] == [
        ("foreign_key:brand_id,owner_id", None, None),
        ("foreign_key:maker_id,owner_id", None, None),
    ]


def test_the_one_foreign_key_that_the_row_fills_is_named_with_its_value(make_shop: MakeShop, sqlite_url: str) -> None:
    shop = make_shop(sqlite_url, PLACED)
    shop.insert("brand", {"id": 99})
    shop.feed(model=shop.model("Placed"), columns={"sku": "Article", "brand": "Brand", "maker": "Maker"})
    shop.write_csv("products.csv", [{"Article": "S-1", "Brand": "007", "Maker": ""}])

    [reject] = rejects_of(sync(shop).run.run_id)

    assert (reject.code, reject.column, reject.value) == ("foreign_key:brand_id", "brand", "007")


def test_a_foreign_key_that_the_feed_does_not_fill_is_not_guessed(make_shop: MakeShop, sqlite_url: str) -> None:
    shop = make_shop(sqlite_url, PLACED)
    shop.feed(model=shop.model("Placed"), columns={"sku": "Article"})
    shop.write_csv("products.csv", [{"Article": "S-1"}])

    [reject] = rejects_of(sync(shop).run.run_id)

    assert (reject.code, reject.column) == ("foreign_key", None)


@pytest.mark.parametrize("kind, narrow", [("postgresql", "client_encoding=latin1"), ("mariadb", "charset=latin1")])
def test_what_the_database_has_no_character_for_is_a_reject_and_its_neighbours_load(
    make_shop: MakeShop, make_database: MakeDatabase, kind: str, narrow: str
) -> None:
    products = open_table(make_shop(asking(make_database(kind), narrow)))

    loaded = products.load([{"sku": "A", "name": "Caf\u00e9"}, {"sku": "B", "name": "\u03a9"}])

    assert loaded == WriteCounts(inserted=1, rejected=1)
    [reject] = products.rejects()
    assert reject.original == {"sku": "B", "name": "\u03a9"}


def test_a_database_of_few_characters_does_not_narrow_the_ledger(make_shop: MakeShop, mariadb_url: str) -> None:
    """Its tables take all; the values of rejects were shown as `\\xe9`."""
    shop = make_shop(mariadb_url)
    shop.execute("ALTER DATABASE CHARACTER SET latin1")

    with open_table(shop).sink.database.engine.connect() as connection:
        assert takes_all_text(connection)
