"""Which rows a filter takes, and which filters are refused before a source is read."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from factories import make_feed

from restock.contract import Contract, FieldSpec, Kind
from restock.csv_rules import CsvRules
from restock.errors import ChunkFailed, ConfigurationError
from transforms.contract_check import cast
from transforms.filtering import check_filter, left_out

PRODUCT = Contract(
    {
        "sku": FieldSpec("sku", Kind.TEXT, nullable=False, is_key=True),
        "price": FieldSpec("price", Kind.DECIMAL, precision=10, scale=2),
        "free": FieldSpec("free", Kind.DECIMAL),
        "weight": FieldSpec("weight", Kind.FLOAT),
        "stock": FieldSpec("stock", Kind.INTEGER),
        "other": FieldSpec("other", Kind.DECIMAL, precision=10, scale=2),
        "day": FieldSpec("day", Kind.DATE),
        "at": FieldSpec("at", Kind.DATETIME, timezone=True),
        "uid": FieldSpec("uid", Kind.UUID),
        "thing": FieldSpec("thing", Kind.OTHER),
    },
    key=("sku",),
)


def taken(where: str, **cells: list[str | None]) -> list[int]:
    """The places of the rows that a filter takes, once it is found sound."""
    feed = make_feed(where=where)
    rows = max(len(column) for column in cells.values())
    frame = pd.DataFrame(
        {name: pd.Series(cells.get(name, [None] * rows), dtype="str") for name in PRODUCT.fields if name != "sku"}
    )
    values, faults = cast(frame.assign(sku=pd.Series(["a"] * rows, dtype="str")), PRODUCT, CsvRules())
    check_filter(feed, PRODUCT)
    return values.index.difference(left_out(values, faults, feed, PRODUCT, "a chunk")).tolist()


@pytest.mark.parametrize("column", ["price", "free"])
@pytest.mark.parametrize("price", ["19.99", "0.57", "0.7", "1.15", "1.4", "4.35", "100.1", "-0.57"])
def test_a_price_is_compared_as_it_is_written(column, price):
    cells = {column: [price, None, str(Decimal(price) + Decimal("0.01"))]}

    assert taken(f"{column} == {price}", **cells) == [0]
    assert taken(f"{column} <= {price}", **cells) == [0]
    assert taken(f"{column} >= {price}", **cells) == [0, 2]
    assert taken(f"{column}.between({price}, {price})", **cells) == [0]
    assert taken(f"{column} in [{price}, 3]", **cells) == [0]
    assert taken(f"{column} in [{price}] or {column} in [1]", **cells) == [0]
    assert taken(f"{column} == '{price}'", **cells) == [0]
    assert taken(f"{column}.notna() and not {column}.isin([{price}])", **cells) == [2]
    assert taken(f"{price} <= {column} < 1e15", **cells) == [0, 2]


def test_a_number_is_exact_only_beside_decimals():
    cells = {"price": ["0.57", "0.58"], "weight": ["0.3", "0.30000000000000004"]}

    assert taken("weight == 0.3 and price > 0.56", **cells) == [0]
    assert taken("(weight == 0.3) == (price == 0.57)", **cells) == [0, 1]


@pytest.mark.parametrize(
    "where, told",
    [
        ("sku == 123", "where compares sku, which is text, with a number"),
        ("10 != sku", "where compares sku, which is text, with a number"),
        ("sku.isin(['a', 1])", "where compares sku, which is text, with a number"),
        ("stock in ['1']", "where compares stock, which is a number, with text"),
        ("price > 1 and stock == '1'", "where compares stock, which is a number, with text"),
        ("stock == sku", "where compares stock, which is a number, with text"),
        ("sku.str.len() == '3'", r"where compares sku.str.len\(\), which is a number, with text"),
        ("sku.str.upper().isin([5])", r"where compares sku.str.upper\(\), which is text, with a number"),
        ("'2' == stock.abs() + 1", r"where compares stock.abs\(\) \+ 1, which is a number, with text"),
        ("day == 2026", "where compares day, which is a date or time, with a number"),
        ("uid == '00000000-0000-0000-0000-000000000000'", "where compares uid, which is of a kind that"),
    ],
)
def test_a_question_that_no_row_could_answer_by_yes_is_refused(where, told):
    with pytest.raises(ConfigurationError, match=f"Feed 'products': {told}.*; compare columns with values of"):
        check_filter(make_feed(where=where), PRODUCT)


@pytest.mark.parametrize(
    "where",
    [
        "sku in ['a', None]",
        "day == '2026-01-01'",
        "thing == 5",
        "thing == 'a'",
        "stock == -1",
        "sku.str.len() == 3",
    ],
)
def test_a_question_that_some_row_may_answer_by_yes_is_taken(where):
    check_filter(make_feed(where=where), PRODUCT)


@pytest.mark.parametrize("source", ["products.parquet", "exports/", "exports/*", "https://shop/feed.parquet?until=7"])
def test_a_column_that_the_model_lacks_has_the_type_of_its_source(source):
    columns = {"sku": "sku", "shown": {"from": "shown", "write": "never"}}
    typed = {"source": source, "columns": columns}
    frame = pd.DataFrame({"shown": pd.array([0, 1, None], dtype="int64[pyarrow]")})

    check_filter(make_feed(where="shown > 0", **typed), PRODUCT)
    assert left_out(frame, {}, make_feed(where="shown > 0", **typed), PRODUCT, "a chunk").tolist() == [0, 2]
    with pytest.raises(ChunkFailed, match="on a chunk: where compares shown, which is a number, with text"):
        left_out(frame, {}, make_feed(where="shown == '1'", **typed), PRODUCT, "a chunk")
    with pytest.raises(ConfigurationError, match="where compares shown, which is text, with a number"):
        check_filter(make_feed(where="shown > 0", columns=columns), PRODUCT)


def test_what_is_divided_by_zero_is_not_taken():
    cells = {"price": ["4.00", "4.00", "4.00", None], "other": ["2.00", "0.00", None, "2.00"]}

    assert taken("price / other > 1", **cells) == [0]
    assert taken("price / -other < -1", **cells) == [0]
    assert taken("price / other.abs() > 1", **cells) == [0]
    assert taken("price / (other - 2) != 0", **cells) == [1]


def test_text_beside_dates_and_times_is_one():
    cells = {"day": ["2026-01-01", "2026-02-01", None], "at": ["2026-01-01T10:00Z", "2026-01-01T12:00Z", None]}

    assert taken("day > '2026-01-01' and sku == 'a'", **cells) == [1]
    assert taken("day.between('2026-01-01', '2026-01-31') or day == '2027-01-01'", **cells) == [0]
    assert taken("at < '2026-01-01T11:00'", **cells) == [0]
    assert taken("at.between('2026-01-01', '2026-01-02') and at > '2026-01-01T12:00+02:00'", **cells) == [1]
    with pytest.raises(ConfigurationError, match="where cannot be answered"):
        taken("day > 'today'", **cells)


def test_decimals_are_counted_with_numbers_and_with_each_other():
    cells = {"price": ["19.99", "0.00", None], "free": ["19.98", "7", None], "stock": ["3", None, "2"]}

    assert taken("price * 1.19 == 23.7881", **cells) == [0]
    assert taken("price - free == 0.01", **cells) == [0]
    assert taken("price * stock > 59.96 and 100 - price < 80.02", **cells) == [0]
    assert taken("free / 2 == 3.5 or stock * 0.5 > price", **cells) == [1]
    assert taken("-free > -7.5", free=[None, None]) == []


def test_decimals_of_any_number_of_digits_may_be_missing():
    assert taken("free.abs() > 1 and -free < 0", free=["9.99", None, "-5"]) == [0]
    assert taken("free != 9.99", free=["9.99", None, "9.98"]) == [2]
    assert taken("free == 9.99", free=["9.99", None, "9" * 50]) == [0]


@pytest.mark.parametrize("where, rows", [("stock > 0", []), ("stock.isna() or stock > 0", [0, 1])])
def test_an_optional_column_that_is_not_there_has_no_value(where, rows):
    feed = make_feed(where=where, columns={"sku": "sku", "stock": {"from": "stock", "optional": True}})
    frame = pd.DataFrame({"sku": pd.Series(["a", "b"], dtype="str")})

    assert frame.index.difference(left_out(frame, {}, feed, PRODUCT, "a chunk")).tolist() == rows
