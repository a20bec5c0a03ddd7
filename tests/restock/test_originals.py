"""Cells as text, for people who mend rejected rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from restock.originals import presentable, text_of, texts_of


@pytest.mark.parametrize(
    "value, text",
    [
        (None, None),
        ("NA", "NA"),
        (7, "7"),
        (0.1, "0.1"),
        (True, "true"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.00000001"), "0.00000001"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 10, tzinfo=UTC), "2026-03-01T10:00:00+00:00"),
        (timedelta(days=-1, seconds=-1), "-P1DT1.000000S"),
        (b"a\xff", "a\\xff"),
        ({"a": [Decimal("1.50"), None]}, '{"a": ["1.50", null]}'),
    ],
)
def test_a_value_has_one_plain_text(value, text):
    assert text_of(value) == text


def test_what_python_cannot_hold_has_a_text_all_the_same():
    moments = pd.Series([2**61], dtype="int64").astype(pd.ArrowDtype(pa.timestamp("s", "America/New_York")))
    spans = pd.Series([2**62], dtype="int64").astype(pd.ArrowDtype(pa.duration("s")))

    last = pd.Series([2**63 - 1], dtype="int64").astype(pd.ArrowDtype(pa.timestamp("ns", "Europe/Berlin")))

    assert texts_of(moments)[0].endswith("Z")
    assert texts_of(last) == ["2262-04-11 23:47:16.854775807Z"]
    assert texts_of(spans) == [str(2**62)]


def test_a_long_value_is_shortened():
    assert presentable("x" * 200) == "x" * 200
    assert presentable("x" * 201) == "x" * 199 + "…"
    assert presentable(None) is None


def test_what_not_every_database_keeps_or_what_a_terminal_would_obey_is_shown_by_its_number():
    assert presentable("\x1b[31mred\x9b\r\n\t") == r"\x1b[31mred\x9b" + "\r\n\t"
    assert presentable("a\0b\ud83d 😀\t\\") == r"a\x00b\ud83d 😀" + "\t\\"
    assert presentable("\0" * 200) == r"\x00" * 49 + r"\x0" + "…"
