"""Typed cells as the feed's source would write them, for people who mend rejected rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from restock.chunks import ROW
from restock.contract import Contract, Kind
from restock.csv_rules import CsvRules
from restock.feeds import Feed
from restock.source_texts import originals, source_texts

OWN = CsvRules(
    decimal=",",
    thousands=".",
    true_values=("ja",),
    false_values=("nein",),
    date_format="%d.%m.%Y",
    datetime_format="%d.%m.%Y %H:%M",
    timezone="Europe/Berlin",
)


@pytest.mark.parametrize(
    "value, kind, text",
    [
        (Decimal("1.234"), Kind.DECIMAL, "1,234"),
        (Decimal("1.234"), Kind.TEXT, "1.234"),
        (Decimal("5.00"), Kind.INTEGER, "5"),
        (5.0, Kind.INTEGER, "5"),
        (1e-05, Kind.DECIMAL, "0,00001"),
        (np.float32(19.99), Kind.DECIMAL, "19,99"),
        (1.0, Kind.BOOLEAN, "ja"),
        (2, Kind.BOOLEAN, "2"),
        (False, Kind.BOOLEAN, "nein"),
        (True, Kind.INTEGER, "1"),
        (date(2026, 3, 1), Kind.DATE, "01.03.2026"),
        (date(2026, 3, 1), Kind.TEXT, "2026-03-01"),
        (datetime(2026, 3, 1, 10, tzinfo=UTC), Kind.DATETIME, "01.03.2026 11:00"),
        (datetime(2026, 3, 1, 10, 0, 7, tzinfo=UTC), Kind.DATETIME, "2026-03-01T11:00:07"),  # refused, not shortened
        (b"\x12" * 16, Kind.UUID, "12121212-1212-1212-1212-121212121212"),
        (None, Kind.DECIMAL, None),
    ],
)
def test_a_typed_cell_is_written_as_the_feed_writes_it(value, kind, text):
    columns = [pd.Series([value], dtype=object)]
    if isinstance(value, np.float32):
        columns = [pd.Series([value]), pd.Series([value], dtype="float[pyarrow]")]

    for column in columns:
        assert source_texts(column, kind, OWN) == [text]


def test_originals_are_the_cells_of_the_rows_asked_for_in_that_order():
    raw = pd.DataFrame({"b": [1, 2, 3], "a": ["x", None, "z"], ROW: [7, 8, 9]}, index=[7, 8, 9])
    feed, contract = Feed(name="f", source="f.csv", app="a:b", model="a:C"), Contract({}, ())

    found = originals(raw, [9, 8], feed, contract)

    assert list(found.items()) == [(9, {"b": "3", "a": "z"}), (8, {"b": "2", "a": None})]
    assert originals(raw, [], feed, contract) == {}
