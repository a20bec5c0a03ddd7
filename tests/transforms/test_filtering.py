"""Which rows a filter takes, and which filters are refused before a source is read."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from factories import make_feed

from restock.contract import Contract, FieldSpec, Kind
from restock.csv_rules import CsvRules
from transforms.contract_check import cast
from transforms.filtering import check_filter, left_out

PRODUCT = Contract(
    {
        "sku": FieldSpec("sku", Kind.TEXT, nullable=False, is_key=True),
        "price": FieldSpec("price", Kind.DECIMAL, precision=10, scale=2),
        "free": FieldSpec("free", Kind.DECIMAL),
        "weight": FieldSpec("weight", Kind.FLOAT),
        "stock": FieldSpec("stock", Kind.INTEGER),
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
    return values.index.difference(left_out(values, faults, feed, "a chunk")).tolist()


@pytest.mark.parametrize("column", ["price", "free"])
@pytest.mark.parametrize("price", ["19.99", "0.57", "0.7", "1.15", "1.4", "4.35", "100.1", "-0.57"])
def test_a_price_is_compared_as_it_is_written(column, price):
    cells = {column: [price, None, str(Decimal(price) + Decimal("0.01"))]}

    assert taken(f"{column} == {price}", **cells) == [0]
    assert taken(f"{column} <= {price}", **cells) == [0]
    assert taken(f"{column} >= {price}", **cells) == [0, 2]
    assert taken(f"{column}.between({price}, {price})", **cells) == [0]
    assert taken(f"{column} in [{price}, 3]", **cells) == [0]
    assert taken(f"{column}.notna() and not {column}.isin([{price}])", **cells) == [2]
    assert taken(f"{price} <= {column} < 1e15", **cells) == [0, 2]


def test_a_number_is_exact_only_beside_decimals():
    cells = {"price": ["0.57", "0.58"], "weight": ["0.3", "0.30000000000000004"]}

    assert taken("weight == 0.3 and price > 0.56", **cells) == [0]
    assert taken("(weight == 0.3) == (price == 0.57)", **cells) == [0, 1]
