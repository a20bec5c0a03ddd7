"""How many attempts it takes to find the rows that a database refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from contracts.loads import open_table
from fix_shop import MakeShop

from sinks.database.data_faults import DataFault, RowRefused
from sinks.staging.savepoints import Savepoints

ITEM = """\
class Item(db.Model):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
"""


@pytest.mark.parametrize(
    "bad, most",
    [
        (range(1000), 1020),  # all of them: about one attempt for each
        (range(500), 520),
        (range(500, 1000), 520),
        ([731], 25),
        ([], 1),
    ],
)
def test_guilty_rows_side_by_side_take_an_attempt_each_and_a_single_one_some(
    make_shop: MakeShop, sqlite_url: str, bad: Sequence[int], most: int
) -> None:
    items = open_table(make_shop(sqlite_url, ITEM), "Item", match_on=[])
    tried: list[int] = []

    with items.sink.database.transaction() as session:

        def attempt(numbers: Sequence[int]) -> None:
            tried.append(len(numbers))
            session.execute(sa.insert(items.sink.target.table), [{"id": number} for number in numbers])
            if set(numbers) & set(bad):
                raise RowRefused(DataFault("check"))

        refused = Savepoints(session, items.sink.target).refused(attempt, range(1000))

    assert refused == [(number, DataFault("check")) for number in bad]
    assert [row["id"] for row in items.rows("id")] == [number for number in range(1000) if number not in set(bad)]
    assert len(tried) <= most
