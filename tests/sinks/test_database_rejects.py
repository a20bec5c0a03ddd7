"""What a row that only the database refuses keeps of its source."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow as pa
from fix_shop import MakeShop
from shops import Shop
from stories.telling import correct, counts, export, mend, sync

from flows.doors import rejects_of

MODELS = """\
class Spool(db.Model):
    __tablename__ = "spool"
    __table_args__ = (sa.CheckConstraint("stock >= 0", name="stock_not_negative"),)

    sku: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(20, 10))
    stock: Mapped[int | None]
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
