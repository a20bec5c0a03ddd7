"""Which chunks go straight into the table, and that it is noticed where they should not have."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from contracts.loads import ITEM, MakeTable, Record, Table, make_items, open_table, recorded_statements
from fix_shop import MakeShop
from shops import DEFAULT_MODELS

from restock.chunks import WriteCounts
from restock.errors import ConfigurationError

OFFERS = """\
class Offer(db.Model):
    shop: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    price: Mapped[int]
"""


def load(table: Table, chunks: list[list[Record]]) -> list[tuple[WriteCounts, bool]]:
    """Load one run of several chunks: what became of each, and whether its rows were staged."""
    outcomes = []
    with table.admitted([len(chunk) for chunk in chunks]) as refs:
        for ref, chunk in zip(refs, chunks, strict=True):
            with recorded_statements(table.sink.database.engine) as statements:
                counts = table.load_chunk(table.chunk(chunk, ref))
            outcomes.append((counts, any("CREATE TEMPORARY TABLE" in each for each in statements)))
    return outcomes


def test_the_chunks_of_a_first_night_go_straight_in_and_the_log_says_so_once(
    make_table: MakeTable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "restock")
    products = make_table()
    items = make_items(9)

    outcomes = load(products, [items[:3], items[3:6], items[6:]])

    assert outcomes == [(WriteCounts(inserted=3), False)] * 3
    assert products.rows(*ITEM) == items
    assert len([each for each in caplog.records if "go straight in" in each.getMessage()]) == 1


def test_a_row_that_is_met_after_all_is_compared_and_so_is_what_follows(make_table: MakeTable) -> None:
    products = make_table()
    items = make_items(9)
    products.shop.insert("product", {"sku": "other", "name": "Of the shop"})
    first = [items[0] | {"name": "new"}, *items[1:3]]
    products.load(items[:2])

    outcomes = load(products, [items[3:6], first, items[6:]])

    assert outcomes == [
        (WriteCounts(inserted=3), True),  # the table is not empty, and the run has met nothing yet
        (WriteCounts(inserted=1, updated=1, unchanged=1), True),
        (WriteCounts(inserted=3), True),
    ]
    assert [row["name"] for row in products.rows() if row["sku"] == "S-00001"] == ["new"]
    assert len(products.rows()) == 10


def numbered(numbers: Iterable[int]) -> list[Record]:
    return [{"id": number, **make_items(1, number)[0]} for number in numbers]


@pytest.mark.parametrize(
    "numbers, is_staged",
    [
        (range(500, 540), False),
        (range(-40, 0), False),
        (range(101, 181, 2), True),  # between those that are there
        ([*range(191, 199, 2), *range(300, 340)], False),  # a few reach in between them
        ([101, 197, *range(300, 340)], True),  # too many of them to be looked at
        ([192, *range(300, 340)], True),
        ([*range(300, 340), 398], True),
        ([10, 199, 400], True),
    ],
)
def test_new_rows_go_straight_in_where_none_with_their_numbers_is(
    make_table: MakeTable, numbers: Sequence[int], is_staged: bool
) -> None:
    products = make_table(match_on=["id"])
    there = numbered([*range(100, 200, 2), *range(398, 399)])
    products.load(there)
    new = [row for row in numbered(numbers) if row not in there]

    [_, (counts, was_staged)] = load(products, [there, [row | {"stock": 7} for row in numbered(numbers)]])

    assert was_staged == is_staged
    assert counts == WriteCounts(inserted=len(new), updated=len(numbers) - len(new))
    assert len(products.rows()) == len(there) + len(new)


def test_a_key_of_two_numbers_is_looked_for_by_the_first(make_table: MakeTable) -> None:
    offers = make_table(OFFERS, "Offer", match_on=["shop", "number"])
    offers.load([{"shop": 1, "number": n, "price": 1} for n in range(9)])

    outcomes = load(
        offers,
        [
            [{"shop": 1, "number": n, "price": 2} for n in range(9)],
            [{"shop": 2, "number": n, "price": 2} for n in range(9)],
            [{"shop": n // 9, "number": n, "price": 2} for n in range(9, 27)],
        ],
    )

    assert outcomes == [
        (WriteCounts(updated=9), True),
        (WriteCounts(inserted=9), False),
        (WriteCounts(inserted=18), True),
    ]


def test_numbers_that_arrow_lacks_are_compared_at_the_first_attempt(make_shop: MakeShop, mariadb_url: str) -> None:
    models = """\
from sqlalchemy.dialects.mysql import BIGINT


class Offer(db.Model):
    number: Mapped[int] = mapped_column(BIGINT(unsigned=True), primary_key=True, autoincrement=False)
    price: Mapped[int]
"""
    offers = open_table(make_shop(mariadb_url, models), "Offer", match_on=["number"])
    there = [{"number": 2**63 + n, "price": 1} for n in range(9)]
    offers.load(there)

    with recorded_statements(offers.sink.database.engine) as statements:
        counts = offers.load([row | {"price": 2} for row in there])

    assert counts == WriteCounts(updated=9)
    assert not any("SAVEPOINT" in each for each in statements)


@pytest.mark.parametrize("keys", [{"mode": "update_only"}, {"match_on": []}])
def test_what_may_be_skipped_or_has_no_key_is_compared(make_table: MakeTable, keys: dict[str, Any]) -> None:
    products = make_table(**keys)

    [(counts, is_staged)] = load(products, [make_items(2)])

    assert counts.inserted == (0 if "mode" in keys else 2)
    assert is_staged == ("mode" in keys)  # nothing is staged of rows without a key


def test_where_the_table_would_take_a_key_twice_rows_are_compared(make_shop: MakeShop, postgresql_url: str) -> None:
    products = open_table(make_shop(postgresql_url))
    products.shop.execute("ALTER TABLE product DROP CONSTRAINT product_sku_key")
    items = make_items(4)

    outcomes = load(products, [items[:2], items[2:]])

    assert outcomes == [(WriteCounts(inserted=2), True)] * 2


def test_where_sqlite_would_replace_a_row_that_is_there_rows_are_compared(make_shop: MakeShop, sqlite_url: str) -> None:
    models = DEFAULT_MODELS.replace(
        "unique=True)\n    name", "unique=True, sqlite_on_conflict_unique='REPLACE')\n    name"
    )
    products = open_table(make_shop(sqlite_url, models))
    [new, met] = make_items(2)

    with products.admitted([1, 1]) as refs:
        products.load_chunk(products.chunk([new], refs[0]))
        products.shop.insert("product", {**met, "category_id": 7})
        counts = products.load_chunk(products.chunk([met], refs[1]))

    assert counts == WriteCounts(unchanged=1)
    assert [row["category_id"] for row in products.rows() if row["sku"] == met["sku"]] == [7]


def test_a_table_that_passes_rows_over_is_refused(make_shop: MakeShop, sqlite_url: str) -> None:
    models = DEFAULT_MODELS.replace(
        "unique=True)\n    name", "unique=True, sqlite_on_conflict_unique='IGNORE')\n    name"
    )
    products = open_table(make_shop(sqlite_url, models))

    with pytest.raises(ConfigurationError, match=r"The table product in .* says ON CONFLICT IGNORE"):
        products.sink.check_table()


def test_a_refused_row_of_a_first_night_is_rejected_and_the_next_chunk_goes_straight_in(make_table: MakeTable) -> None:
    products = make_table()
    items = make_items(6)
    items[1]["price"] = -items[1]["price"]

    outcomes = load(products, [items[:3], items[3:]])

    assert outcomes == [(WriteCounts(inserted=2, rejected=1), True), (WriteCounts(inserted=3), False)]
