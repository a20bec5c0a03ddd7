"""What a filter may ask, and what it may not."""

from __future__ import annotations

import pytest

from restock.row_filter import columns_of


@pytest.mark.parametrize(
    "expression, columns",
    [
        ("price > 0", ("price",)),
        ("price > 0 and stock.notna()", ("price", "stock")),
        ("not (a == 'x' or b in ['y', None])", ("a", "b")),
        ("name.str.contains('hose', case=False)", ("name",)),
        ("(a > 1) & ~(b.isna())", ("a", "b")),
        ("\n  updated_at.dt.year >= 2026\n", ("updated_at",)),
        ("stock.between(low, high)", ("high", "low", "stock")),
    ],
)
def test_the_columns_that_are_asked_are_known(expression, columns):
    assert columns_of(expression) == columns


@pytest.mark.parametrize(
    "expression, told",
    [
        ("import os", "not an expression"),
        ("", "not an expression"),
        ("a = 1", "not an expression"),
        ("@a > 1", "not an expression"),
        ("1 == 1", "asks no column"),
        ("__import__('os')", "calls a function"),
        ("sin(a) > 0", "calls a function"),
        ("a.__class__ == 1", "asks .__class__"),
        ("a.apply('x')", "asks .apply"),
        ("a.values.tofile('x')", "asks .tofile|asks .values"),
        ("a.to_csv('x')", "asks .to_csv"),
        ("a.str.cat(b)", "asks .cat"),
        ("a['x'] == 1", "holds more than"),
        ("[b for b in a]", "holds more than"),
        ("(lambda: 1)() > a", "calls a function|holds more than"),
        ("a if b else c", "holds more than"),
        ("f'{a}' == 'x'", "holds more than"),
        ("a ** 99999 > 1", "holds more than"),
        ("(a := 1) > b", "holds more than"),
        ("a == b'x'", "neither text nor a number"),
        ("a == None", r"compares with None, to which nothing is equal; ask .*notna"),
        ("b > 1 and not (None != a)", "compares with None"),
    ],
)
def test_what_is_more_than_a_question_about_a_row_is_refused(expression, told):
    with pytest.raises(ValueError, match=told):
        columns_of(expression)
