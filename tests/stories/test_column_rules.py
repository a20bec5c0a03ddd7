"""What a feed says of its columns and rows: constants, defaults, blanks, columns of no use to the table, filters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from shops import Shop
from stories.doorway import run_here
from stories.telling import correct, counts, export, mend, product, sync

from restock.errors import ConfigurationError, SourceError

COLUMNS = {"sku": "Item", "name": "Title", "price": "Price", "stock": "Stock"}


def write(shop: Shop, *rows: dict[str, Any], columns: tuple[str, ...] = ("Item", "Title", "Price", "Stock")) -> None:
    shop.write_csv("products.csv", [dict.fromkeys(columns, "") | row for row in rows], columns)


def test_constants_and_defaults_stand_where_the_source_has_nothing(shop: Shop) -> None:
    shop.feed(
        columns=COLUMNS
        | {
            "price": {"constant": 9.5},
            "stock": {"from": "Stock", "default": 0},
            "name": {"from": "Title", "default": "?"},
        },
        csv={"decimal": ","},
    )
    write(shop, {"Item": "1", "Stock": "4", "Title": "Hose"}, {"Item": "2", "Price": "7,00"})

    assert counts(sync(shop)) == {"inserted": 2}
    assert counts(sync(shop)) == {"unchanged": 2}
    assert shop.rows("product", "sku", "name", "price", "stock") == [
        {"sku": "1", "name": "Hose", "price": Decimal("9.50"), "stock": 4},
        {"sku": "2", "name": "?", "price": Decimal("9.50"), "stock": 0},
    ]


def test_a_default_fills_typed_columns_too(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(
        source="products.parquet", columns={"sku": "sku", "name": "sku2", "stock": {"from": "n", "default": 7}}
    )
    sqlite_shop.write_parquet(
        "products.parquet", [{"sku": "1", "sku2": "a", "n": None}, {"sku": "2", "sku2": "b", "n": 3}]
    )

    sync(sqlite_shop)

    assert [row["stock"] for row in sqlite_shop.rows("product", "stock")] == [7, 3]


def test_a_constant_may_be_part_of_what_recognises_a_row(make_shop: Any, sqlite_url: str) -> None:
    shop = make_shop(
        sqlite_url,
        'class Product(db.Model):\n    __tablename__ = "product"\n\n'
        "    supplier: Mapped[str] = mapped_column(sa.String(9), primary_key=True)\n"
        "    sku: Mapped[str] = mapped_column(sa.String(9), primary_key=True)\n"
        "    name: Mapped[str] = mapped_column(sa.String(9))\n",
    )
    rules = {"sku": "Item", "name": "Title"}
    shop.insert("product", {"supplier": "other", "sku": "1", "name": "theirs"})
    shop.feed(match_on=["supplier", "sku"], columns=rules | {"supplier": {"constant": "acme"}})
    write(shop, {"Item": "1", "Title": "old"}, {"Item": "1", "Title": "ours"})

    assert counts(sync(shop)) == {"inserted": 1, "superseded": 1}
    assert [(row["supplier"], row["name"]) for row in shop.rows("product")] == [("acme", "ours"), ("other", "theirs")]


def test_a_blank_that_is_not_allowed_is_a_reject(shop: Shop) -> None:
    shop.feed(columns=COLUMNS | {"price": {"from": "Price", "blank": "reject"}})
    write(shop, {"Item": "1", "Title": "Hose"}, {"Item": "2", "Title": "Rake", "Price": "7.00"})

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "rejected": 1}
    assert report.reasons == [("null", "price", 1)]


def test_spaces_are_text_until_a_transform_empties_the_cell(shop: Shop) -> None:
    columns = COLUMNS | {"name": {"from": "Title", "default": "?"}}
    shop.feed(columns=columns)
    write(shop, {"Item": "1", "Title": "  "}, {"Item": "2"}, {"Item": "3", "Price": "  "})

    assert sync(shop).reasons == [("not_a_number", "price", 1)]
    assert [row["name"] for row in shop.rows("product", "sku", "name")] == ["  ", "?"]

    shop.feed(columns=columns, transform="transforms.products:clean")
    assert sync(shop).reasons == [("null", "name", 1)]

    keeping = {"name": {"from": "Title", "default": "?"}, "price": {"from": "Price", "blank": "keep"}}
    shop.feed(columns=COLUMNS | keeping, transform="transforms.products:clean")
    write(shop, {"Item": "2", "Price": "1.50"})
    sync(shop)
    write(shop, {"Item": "2", "Price": "  "})

    assert counts(sync(shop)) == {"unchanged": 1}


def test_a_column_that_may_be_missing_is_left_as_it_is(shop: Shop) -> None:
    shop.feed(columns=COLUMNS | {"stock": {"from": "Stock", "optional": True, "default": 5}})
    write(shop, {"Item": "1", "Title": "Hose", "Stock": ""})
    sync(shop)
    write(shop, {"Item": "1", "Title": "Hosepipe"}, columns=("Item", "Title", "Price"))

    assert counts(sync(shop)) == {"updated": 1}
    [row] = shop.rows("product", "name", "stock")
    assert row == {"name": "Hosepipe", "stock": 5}


def test_unknown_columns_fail_or_are_listed(sqlite_shop: Shop) -> None:
    write(sqlite_shop, {"Item": "1", "Title": "Hose"}, columns=("Item", "Title", "Price", "Stock", "Colour"))
    sqlite_shop.feed(columns=COLUMNS, unknown_columns="fail")
    with pytest.raises(SourceError, match="has the column 'Colour', which the feed 'products' does not take"):
        sync(sqlite_shop)

    sqlite_shop.feed(columns=COLUMNS)
    assert sync(sqlite_shop).run.ignored_columns == ["Colour"]

    sqlite_shop.write_csv("products.csv", [{"sku": "1", "name": "Hose", "colour": "red"}])
    sqlite_shop.feed(unknown_columns="ignore")
    assert sync(sqlite_shop).run.ignored_columns == ["colour"]


def test_a_filter_leaves_rows_out_and_counts_them_as_skipped(shop: Shop) -> None:
    shop.feed(columns=COLUMNS, where="price > 0 and stock.notna()", csv={"thousands": ","})
    write(
        shop,
        {"Item": "1", "Title": "Hose", "Price": "1,200.00", "Stock": "1"},
        {"Item": "2", "Title": "Rake", "Price": "0.00", "Stock": "1"},
        {"Item": "3", "Title": "Spade", "Price": "5.00"},
        {"Item": "4", "Title": "Fork", "Stock": "1"},
    )

    assert counts(sync(shop)) == {"inserted": 1, "skipped": 3}
    assert [row["sku"] for row in shop.rows("product", "sku")] == ["1"]


def test_a_row_that_the_filter_cannot_judge_is_a_reject_and_one_it_leaves_out_is_not(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(columns=COLUMNS, where="price > 0")
    write(
        sqlite_shop,
        {"Item": "1", "Title": "Hose", "Price": "cheap"},
        {"Item": "2", "Title": "", "Price": "0.00", "Stock": "many"},
        {"Item": "3", "Title": "", "Price": "1.00", "Stock": "many"},
    )

    report = sync(sqlite_shop)

    assert counts(report) == {"rejected": 2, "skipped": 1}
    assert (
        sorted(report.reasons, key=str)
        == [
            ("not_a_number", "price", 1),
            ("not_an_integer", "stock", 1),
            ("null", "name", 1),
        ]
        or ("not_a_number", "stock", 1) in report.reasons
    )


def test_a_column_that_is_never_written_serves_the_filter(shop: Shop) -> None:
    shop.feed(columns=COLUMNS | {"state": {"from": "State", "write": "never"}}, where="state != 'gone'")
    columns = ("Item", "Title", "Price", "Stock", "State")
    write(
        shop,
        {"Item": "1", "Title": "Hose", "State": "active"},
        {"Item": "2", "Title": "Rake", "State": "gone"},
        columns=columns,
    )

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "skipped": 1}
    assert report.run.ignored_columns == []


def test_a_column_of_the_table_that_is_never_written_is_still_cast(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(columns=COLUMNS | {"stock": {"from": "Stock", "write": "never"}}, where="stock > 1")
    write(sqlite_shop, {"Item": "1", "Title": "Hose", "Stock": "10"}, {"Item": "2", "Title": "Rake", "Stock": "x"})

    assert counts(sync(sqlite_shop)) == {"inserted": 1, "rejected": 1}
    assert sqlite_shop.rows("product", "sku", "stock") == [{"sku": "1", "stock": None}]


def test_a_constant_of_null_takes_away_what_present_rows_have(shop: Shop) -> None:
    """As of a date of deletion, where what is in the feed is to be there again."""
    shop.write_csv("products.csv", [product(1)])
    shop.feed(columns={name: name for name in ("sku", "name", "price", "stock")})
    sync(shop)
    shop.write_csv("products.csv", [product(1), product(2)])
    shop.feed(columns={"sku": "sku", "name": "name", "price": {"constant": None}})

    counts = sync(shop).summary

    assert (counts.updated, counts.inserted) == (1, 1)
    assert shop.rows("product", "sku", "price", "stock") == [
        {"sku": "S-001", "price": None, "stock": 1},
        {"sku": "S-002", "price": None, "stock": None},
    ]


@pytest.mark.parametrize(
    "keys, told",
    [
        ({"where": "colour == 'red'"}, "where asks 'colour', which the feed does not fill"),
        ({"where": "price > 'x'"}, r"where cannot be answered \(TypeError\)"),
        ({"where": "name.dt.year > 1"}, r"where cannot be answered \(AttributeError\)"),
        ({"where": "price.abs"}, r"where cannot be answered"),
        ({"columns": COLUMNS | {"name": {"constant": 123}}}, r"the constant of name is no text .*; write it in quotes"),
        ({"columns": COLUMNS | {"name": {"from": "Title", "default": True}}}, r"the default of name is no text"),
        ({"columns": COLUMNS | {"stock": {"constant": "many"}}}, r"the constant of stock does not fit"),
        ({"columns": COLUMNS | {"name": {"constant": None}}}, r"the constant of name is null, .* must have a value"),
        (
            {"columns": COLUMNS | {"name": {"from": "Title", "default": "x" * 300}}},
            r"the default of name .*\(too_long\)",
        ),
        (
            {"columns": COLUMNS | {"colour": {"from": "C"}}},
            "columns names 'colour', which is not a column of the model",
        ),
        (
            {"match_on": [], "columns": {"name": "Title", "id": {"from": "Item", "write": "never"}}},
            "'id' is part of the key",
        ),
    ],
)
def test_rules_that_cannot_work_are_refused_before_anything_is_read(
    sqlite_shop: Shop, keys: dict[str, Any], told: str
) -> None:
    sqlite_shop.feed(**{"columns": COLUMNS} | keys)

    with pytest.raises(ConfigurationError, match=told):
        sync(sqlite_shop)


def test_everything_that_is_wrong_with_a_row_is_told_at_once(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    shop.feed(columns=COLUMNS)
    write(shop, {"Item": "1", "Price": "cheap", "Stock": "many"}, {"Item": "2", "Title": "Rake"})

    report = sync(shop)
    shown = run_here(capfd, "rejects", report.run.run_id).out
    path = export(shop, report.run.run_id)

    assert counts(report) == {"inserted": 1, "rejected": 1}
    assert {(code, column) for code, column, _ in report.reasons} >= {("null", "name"), ("not_a_number", "price")}
    for word in ("null", "cheap", "many"):
        assert word in shown
    assert "name must have a value and has none. price is not a number" in path.read_text(encoding="utf-8")

    mend(path, {"1": {"Title": "Hose"}}, by="Item")
    assert correct(shop, path).rejected_again == 1
    told = run_here(capfd, "rejects", report.run.run_id).out
    assert "null" not in told
    assert "many" in told
    mend(path, {"1": {"Price": "1.00", "Stock": "1"}}, by="Item")
    assert correct(shop, path).taken == 1
