"""Limits on rejects: how they are written and when they are exceeded."""

from __future__ import annotations

import pytest

from restock.limits import Limit


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
