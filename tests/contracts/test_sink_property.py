"""For any records and any chunks, the table is what a dict would be that was updated with them in order."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.loads import Table, open_table
from fix_shop import MakeShop
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.chunks import WriteCounts

KEYS = ["a", "A", "ä", "0", "00", " b", "日本"]
VALUES = {
    "name": st.sampled_from(["x", "y", "", "\t\n\\N", "👟"]),
    "stock": st.none() | st.integers(-3, 3),
}
RECORDS = st.fixed_dictionaries({"sku": st.sampled_from(KEYS), **VALUES})
# A source is split into chunks that share no key; several sources come after each other.
SOURCES = st.lists(st.lists(RECORDS, max_size=7, unique_by=lambda record: record["sku"]), min_size=1, max_size=4)
CUTS = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def in_chunks(records: list[dict[str, Any]], sizes: list[int]) -> list[list[dict[str, Any]]]:
    chunks = []
    while records:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(records[:size])
        records = records[size:]
    return chunks


def check_table_is_a_dict(products: Table, sources: list[list[dict[str, Any]]], cuts: list[int]) -> None:
    products.shop.execute("DELETE FROM product")
    expected: dict[str, dict[str, Any]] = {}
    for records in sources:
        chunks = in_chunks(records, cuts)
        with products.admitted([len(chunk) for chunk in chunks]) as refs:
            counts = [products.load_chunk(products.chunk(chunk, ref)) for ref, chunk in zip(refs, chunks, strict=True)]

        known = [expected.get(record["sku"]) for record in records]
        assert sum(counts, WriteCounts()) == WriteCounts(
            inserted=known.count(None),
            unchanged=sum(before == record for before, record in zip(known, records, strict=True)),
            updated=sum(before not in (None, record) for before, record in zip(known, records, strict=True)),
        )
        expected.update({record["sku"]: record for record in records})
    rows = products.rows("sku", "name", "stock")
    assert {row["sku"]: row for row in rows} == expected
    assert len(rows) == len(expected)


@pytest.mark.parametrize("kind, examples", [("sqlite", 30), ("postgresql", 15), ("mariadb", 8)])
@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
def test_the_table_is_a_dict_that_was_updated_in_order(
    make_shop: MakeShop, request: pytest.FixtureRequest, kind: str, examples: int, writer: str
) -> None:
    shop = make_shop(request.getfixturevalue(f"{kind}_url"))
    if kind == "mariadb":  # whose own collation would take some of these keys for one
        shop.execute("ALTER TABLE product MODIFY sku VARCHAR(32) NOT NULL COLLATE utf8mb4_nopad_bin")
    products = open_table(shop, writer=writer)

    @settings(max_examples=examples, database=None)
    @given(SOURCES, CUTS)
    def check(sources: list[list[dict[str, Any]]], cuts: list[int]) -> None:
        check_table_is_a_dict(products, sources, cuts)

    check()
