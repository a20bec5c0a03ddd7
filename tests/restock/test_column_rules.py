"""The rules of one column: which there are, which contradict each other, and what a constant looks like as a cell."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from factories import make_feed
from pydantic import ValidationError

from restock.column_rules import as_cell
from restock.csv_rules import CsvRules


def test_a_name_alone_is_short_for_a_rule():
    feed = make_feed(columns={"sku": "Item", "price": {"from": "Price"}})

    assert feed.columns is not None
    assert feed.columns["sku"] == feed.columns["sku"].model_validate({"from": "Item"})
    assert feed.taken_columns == {"Item": False, "Price": False}


def test_constants_come_from_no_column():
    feed = make_feed(columns={"sku": "Item", "supplier": {"constant": "acme"}, "note": {"from": "N", "optional": True}})

    assert feed.taken_columns == {"Item": False, "N": True}
    assert feed.source_column_of("supplier") is None
    assert feed.renames(["N", "Item", "x"], ()) == {"N": "note", "Item": "sku"}


@pytest.mark.parametrize(
    "rule, told",
    [
        ({}, "say where its values come from"),
        ({"from": "P", "constant": 1}, "say where its values come from"),
        ({"constant": 1, "default": 2}, "a constant is never blank"),
        ({"constant": 1, "blank": "reject"}, "a constant is never blank"),
        ({"from": "P", "default": 1, "blank": "reject"}, "default and blank both say"),
        ({"from": "P", "blank": "drop"}, "'null'"),
        ({"form": "P"}, "form"),
        ({"from": "P", "default": {}}, "a list or an object for a column of JSON is a text in quotes"),
        (5, "write the name of a source column, or rules such as"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(rule, told):
    with pytest.raises(ValidationError, match=told):
        make_feed(columns={"sku": "Item", "price": rule})


@pytest.mark.parametrize("keys", [{"match_on": ["price"]}, {"version_column": "price"}])
def test_what_recognises_or_orders_rows_has_no_write_rule(keys):
    with pytest.raises(ValidationError, match="'price' recognises or orders rows"):
        make_feed(columns={"sku": "Item", "price": {"from": "P", "write": "never"}}, **keys)


@pytest.mark.parametrize(
    "value, cell",
    [
        ("EUR", "EUR"),
        (True, "ja"),
        (0, "0"),
        (-1.5, "-1,5"),
        (0.00001, "0,00001"),
        (date(2026, 2, 1), "01.02.2026"),
        (datetime(2026, 2, 1, 8, tzinfo=UTC), "2026-02-01T08:00:00+00:00"),
    ],
)
def test_a_value_is_written_as_the_source_would_write_it(value, cell):
    rules = CsvRules(decimal=",", true_values=("ja",), false_values=("nein",), date_format="%d.%m.%Y")

    assert as_cell(value, rules) == cell
