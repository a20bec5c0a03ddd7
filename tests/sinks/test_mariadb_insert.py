"""Rows sent to MariaDB a few at a time: each arrives once, and as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.loads import open_table
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import SHOUTED

from restock.chunks import WriteCounts
from sinks.rows import mariadb_insert

PARTS = """\
class Part(db.Model):
    __tablename__ = "part"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None] = mapped_column(sa.String(80))
    mark: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
"""
NAMES = ["it's", 'a "word"', "back\\slash", "100%s", "naïve 🧦", "", None]


@pytest.mark.parametrize("rows", [1, 6, 7, 20])
def test_rows_arrive_whole_however_few_are_written_at_a_time(
    rows: int, make_shop: MakeShop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb_insert, "ROWS_AHEAD", 3)
    monkeypatch.setattr(mariadb_insert, "STATEMENT_BYTES", 60)
    parts = open_table(make_shop(make_database("mariadb"), PARTS), "Part", match_on=["number"])
    marks = [bytes([number, 39, 92]) if number % 4 else None for number in range(rows)]
    records = [{"number": n, "name": NAMES[n % len(NAMES)], "mark": mark} for n, mark in enumerate(marks)]

    assert parts.load(records) == WriteCounts(inserted=rows)
    assert parts.shop.rows("part") == records
    assert parts.load(records) == WriteCounts(unchanged=rows)


@pytest.mark.parametrize("type_", ["Shouted", 'sa.Text().with_variant(Shouted(), "mysql", "mariadb")'])
def test_values_that_sql_of_their_type_changes_are_not_written_as_they_are(
    make_shop: MakeShop, make_database: MakeDatabase, type_: str
) -> None:
    models = SHOUTED.replace("mapped_column(Shouted)", f"mapped_column({type_})")
    items = open_table(make_shop(make_database("mariadb"), models), "Item", match_on=[], writer="copy")
    records = [{"sku": "S1", "name": "loud"}, {"sku": "S2", "name": "LOUD"}]

    assert items.load(records) == WriteCounts(inserted=2)
    assert [row["name"] for row in items.rows()] == ["LOUD", "LOUD"]
    assert items.load(records) == WriteCounts(unchanged=2)


def test_flags_may_be_kept_in_a_column_of_bits(make_shop: MakeShop, mariadb_url: str) -> None:
    models = PARTS.replace("mark: Mapped[bytes | None] = mapped_column(sa.LargeBinary)", "is_sold: Mapped[bool | None]")
    parts = open_table(make_shop(mariadb_url, models), "Part", match_on=["number"], writer="copy")
    parts.shop.execute("ALTER TABLE part MODIFY is_sold BIT(1)")
    records = [{"number": number, "is_sold": flag} for number, flag in enumerate([True, False, None])]
    with parts.admitted([3]) as [ref]:
        chunk = parts.chunk(records, ref)
        typed = chunk.frame.astype({"is_sold": "bool[pyarrow]"})  # as a feed brings it

        assert parts.load_chunk(replace(chunk, frame=typed)) == WriteCounts(inserted=3)
    assert parts.shop.execute("SELECT number FROM part WHERE is_sold") == [{"number": 0}]
    assert parts.load(records) == WriteCounts(unchanged=3)
