"""Limits on rejects: how they are written and when they are exceeded."""

from __future__ import annotations

import pytest

from restock.limits import Limit, parse_size, shown_size


@pytest.mark.parametrize(
    "written, rows, of, exceeded",
    [
        (100, 100, 10, False),
        ("100", 101, 10**6, True),
        ("0", 1, 10, True),
        ("1%", 10, 1000, False),
        ("1%", 11, 1000, True),
        ("0.1 %", 1, 1000, False),
        ("0.1%", 2, 1000, True),
        ("0%", 0, 0, False),
        ("100%", 5, 5, False),
    ],
)
def test_a_limit_is_exceeded_by_more_than_it_allows(written, rows, of, exceeded):
    assert Limit.parse(written).is_exceeded(rows, of) is exceeded


@pytest.mark.parametrize("written", ["", "ten", "-1", -1, "101%", "1.5", True, 1.5, "1%%", None])
def test_anything_else_is_not_a_limit(written):
    with pytest.raises(ValueError, match="is not a limit; write a number of rows"):
        Limit.parse(written)


def test_a_limit_is_shown_as_it_was_written():
    assert str(Limit.parse(" 1.5% ")) == "1.5%"


@pytest.mark.parametrize(
    "written,size,shown",
    [
        (1, 1, "1 bytes"),
        ("1500", 1500, "1 KiB"),
        ("2 kB", 2_000, "1 KiB"),
        ("1.5 MiB", 1_572_864, "1 MiB"),
        ("20GB", 20_000_000_000, "18 GiB"),
    ],
)
def test_a_size_is_bytes_or_has_a_unit(written, size, shown):
    assert (parse_size(written), shown_size(size)) == (size, shown)


@pytest.mark.parametrize("written", [0, -1, "", "2 G", "MB", "1,5 GB", True, "0 KB"])
def test_what_is_no_size_gets_a_sentence(written):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(written)


@pytest.mark.parametrize(
    "limit,rows,of,is_missed",
    [(10, 9, 0, True), (10, 10, 0, False), ("80%", 79, 100, True), ("80%", 80, 100, False), ("80%", 0, 0, False)],
)
def test_a_least_number_of_rows_is_missed_by_fewer(limit: int | str, rows: int, of: int, is_missed: bool) -> None:
    assert Limit.parse(limit).is_missed(rows, of) is is_missed
