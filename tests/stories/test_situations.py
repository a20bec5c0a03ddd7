"""The situations that other loaders get wrong without a word, as far as they are about keys, values and columns."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fix_shop import MakeShop
from shops import Shop
from stories.telling import add_transform, counts, product, products, rejects_of, sync

from restock.csv_rules import CsvRules

BIG = 9_007_199_254_740_993  # one more than a double can tell from its neighbour
MODELS = """\
class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    brand: Mapped[str | None] = mapped_column(sa.String(40))
    country: Mapped[str | None] = mapped_column(sa.String(4))
    serial: Mapped[int | None] = mapped_column(sa.BigInteger)
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(12, 2))
    stock: Mapped[int | None]
"""
# Leaves half a character where another one stood.
HALVING = """\
def clean(frame):
    return frame.assign(name=frame["name"].astype(object).replace("half", "half \\ud83d"))
"""


def columns_of(shop: Shop, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in shop.rows("product", *names)]


def test_situation_7_damaged_article_numbers(shop: Shop) -> None:
    shop.feed(key_form={"trim": True, "case": "upper"})
    shop.insert("product", {"sku": "A1", "name": "there"}, {"sku": "00123", "name": "there"})
    text = "\ufeffsku,name\n00123,zeros\n123,no zeros\na1 ,blank and case\nB1,first\nb1,second\n4.00638E+12,damaged\n"
    (shop.folder / "products.csv").write_text(text, encoding="utf-8")

    report = sync(shop)

    assert counts(report) == {"inserted": 2, "updated": 2, "superseded": 1, "rejected": 1}
    assert report.reasons == [("shortened_key", "sku", 1)]
    assert sorted(columns_of(shop, "sku", "name")) == [
        ("00123", "zeros"),
        ("123", "no zeros"),
        ("A1", "blank and case"),
        ("B1", "second"),
    ]


def test_situation_8_numbers_of_another_country(shop: Shop) -> None:
    shop.feed(csv={"decimal": ",", "thousands": ".", "currency": ["€"], "delimiter": ";"})
    prices = ["1.234,56", "€ 12,00", "12,-", "1,234.56", "12.50", "7"]
    rows = "".join(f"{number};Hose;{price}\n" for number, price in enumerate(prices))
    (shop.folder / "products.csv").write_text("sku;name;price\n" + rows, encoding="utf-8")

    report = sync(shop)

    assert counts(report) == {"inserted": 3, "rejected": 3}
    assert columns_of(shop, "sku", "price") == [
        ("0", Decimal("1234.56")),
        ("1", Decimal("12.00")),
        ("5", Decimal("7.00")),
    ]


def test_situation_9_words_that_look_like_nothing(make_shop: MakeShop, database_url: str) -> None:
    shop = make_shop(database_url, MODELS)
    rows = [("1", "None", "NA"), ("2", "null", "nan"), ("3", "", "")]
    shop.write_csv("products.csv", [{"sku": sku, "brand": brand, "country": land} for sku, brand, land in rows])

    assert counts(sync(shop)) == {"inserted": 3}
    assert columns_of(shop, "brand", "country") == [("None", "NA"), ("null", "nan"), (None, None)]


def test_situation_10_gaps_and_numbers_beyond_a_double(make_shop: MakeShop, database_url: str) -> None:
    shop = make_shop(database_url, MODELS)
    shop.feed(source="products.parquet")
    shop.write_parquet(
        "products.parquet",
        [
            {"sku": "1", "serial": BIG, "stock": 5, "price": float("nan")},
            {"sku": "2", "serial": None, "stock": None, "price": 0.1},
        ],
    )

    assert counts(sync(shop)) == {"inserted": 2}
    assert columns_of(shop, "serial", "stock", "price") == [(BIG, 5, None), (None, None, Decimal("0.10"))]


def test_situation_15_partial_feeds_and_blank_cells_wipe_nothing(shop: Shop) -> None:
    shop.write_csv("products.csv", products([1, 2]))
    sync(shop)
    before = columns_of(shop, "sku", "name", "stock")

    shop.write_csv("products.csv", [{"sku": "S-001", "price": ""}, {"sku": "S-002", "price": "9.00"}])
    shop.feed(columns={"sku": "sku", "price": {"from": "price", "blank": "keep"}})

    assert counts(sync(shop)) == {"updated": 1, "unchanged": 1}
    assert columns_of(shop, "sku", "name", "stock") == before
    assert columns_of(shop, "price") == [(Decimal("1.00"),), (Decimal("9.00"),)]


def test_situation_15_a_row_without_its_key_is_never_inserted(shop: Shop) -> None:
    shop.write_csv("products.csv", [product(1), product(2, sku="")])

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "rejected": 1}
    assert report.reasons == [("missing_key", "sku", 1)]


def test_situation_15_timestamps_of_another_zone(shop: Shop) -> None:
    assert CsvRules().timezone == "UTC"
    shop.feed(csv={"timezone": "Europe/Berlin"})
    times = ["2026-07-01 12:00", "2026-01-01 12:00", "2026-03-29 02:30", "2026-10-25 02:30"]
    shop.write_csv("products.csv", [product(number, updated_at=time) for number, time in enumerate(times)])

    report = sync(shop)

    assert counts(report) == {"inserted": 2, "rejected": 2}
    assert sorted(code for code, _, _ in report.reasons) == ["time_gap", "time_overlap"]
    stored = [moment.replace(tzinfo=UTC) for (moment,) in columns_of(shop, "updated_at")]
    assert stored == [datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 1, 1, 11, tzinfo=UTC)]


def test_a_value_with_characters_that_no_database_keeps_is_told_and_its_neighbours_load(shop: Shop) -> None:
    shop.feed(transform=add_transform(shop, "halving", HALVING))
    odd = product(2, name="half", price="4\0", stock="\0\0")
    shop.write_csv("products.csv", [product(1), odd, product(3, name="tab\there", price="4\0")])

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "rejected": 2}
    found = [(f.column, f.value) for reject in rejects_of(report.run.run_id) for f in reject.faults]
    assert found == [("name", r"half \ud83d"), ("price", r"4\x00"), ("stock", r"\x00\x00"), ("price", r"4\x00")]
    assert [reject.original["price"] for reject in rejects_of(report.run.run_id)] == ["4\0", "4\0"]


def test_text_with_a_nul_is_loaded_where_the_database_keeps_it_and_a_reject_where_it_does_not(shop: Shop) -> None:
    shop.write_csv("products.csv", [product(1), product(2, name="a\0b")])

    report = sync(shop)

    refuses = shop.engine.dialect.name == "postgresql"
    assert report.reasons == ([("nul", "name", 1)] if refuses else [])
    assert counts(report) == ({"inserted": 1, "rejected": 1} if refuses else {"inserted": 2})
    assert [each.value for each in rejects_of(report.run.run_id)] == ([r"a\x00b"] if refuses else [])
