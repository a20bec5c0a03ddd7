"""Numbers where a person reads them."""

from __future__ import annotations

from restock.wording import counted


def test_one_has_no_plural_and_thousands_are_parted() -> None:
    assert [counted(number, "row") for number in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
