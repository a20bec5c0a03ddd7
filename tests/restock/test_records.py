"""Frames become plain records: no value of numpy or pandas, None for missing, nothing rounded."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restock.errors import SourceError
from restock.records import to_records

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "dtype, cells, values",
    [
        ("int64", [1, 2], [1, 2]),
        ("Int64", [2**63 - 1, None], [2**63 - 1, None]),
        ("float64", [1.5, None], [1.5, None]),
        ("bool", [True, False], [True, False]),
        ("str", ["NA", None], ["NA", None]),
        ("category", ["a", None], ["a", None]),
        ("datetime64[ns, UTC]", [MOMENT, None], [MOMENT, None]),
        ("datetime64[us]", [MOMENT.replace(tzinfo=None), pd.NaT], [MOMENT.replace(tzinfo=None), None]),
        ("timedelta64[ns]", [timedelta(days=1), None], [timedelta(days=1), None]),
        (pd.ArrowDtype(pa.decimal128(10, 2)), [Decimal("1.50"), None], [Decimal("1.50"), None]),
        (pd.ArrowDtype(pa.date32()), [date(2026, 3, 1), None], [date(2026, 3, 1), None]),
        (pd.ArrowDtype(pa.float64()), [1.5, float("nan")], [1.5, None]),
        (
            pd.ArrowDtype(pa.timestamp("us")),
            [datetime.max, datetime.min, MOMENT.replace(tzinfo=None, microsecond=1), None],  # noqa: DTZ901 - naive is the point
            [datetime.max, datetime.min, MOMENT.replace(tzinfo=None, microsecond=1), None],  # noqa: DTZ901
        ),
        (pd.ArrowDtype(pa.timestamp("us", "UTC")), [MOMENT, None], [MOMENT, None]),
        (
            object,
            [np.int64(7), pd.Timestamp(MOMENT), pd.NA, pd.Timedelta(days=1)],
            [7, MOMENT, None, timedelta(days=1)],
        ),
        (object, [{"a": [1]}, None, uuid.UUID(int=1), b"x"], [{"a": [1]}, None, uuid.UUID(int=1), b"x"]),
    ],
)
def test_every_column_type_gives_plain_values(dtype, cells, values):
    records = to_records(pd.DataFrame({"cell": pd.Series(cells, dtype=dtype)}))

    assert [record["cell"] for record in records] == values
    for record in records:
        assert type(record["cell"]).__module__.partition(".")[0] not in ("numpy", "pandas")


def test_a_moment_that_python_does_not_know_is_no_number():
    moments = pd.Series([2**60], dtype=pd.ArrowDtype(pa.int64())).astype(pd.ArrowDtype(pa.timestamp("us")))

    with pytest.raises(OverflowError):
        to_records(pd.DataFrame({"cell": moments}))


def test_every_record_has_the_same_keys_in_the_order_of_the_columns():
    frame = pd.DataFrame({"b": [1, None], "a": ["x", None]}, index=[9, 3])

    assert [list(record.items()) for record in to_records(frame)] == [
        [("b", 1), ("a", "x")],
        [("b", None), ("a", None)],
    ]


def test_frames_without_rows_or_columns_are_records_too():
    assert to_records(pd.DataFrame({"a": []})) == []
    assert to_records(pd.DataFrame(index=[1, 2])) == [{}, {}]


def test_a_label_that_occurs_twice_is_an_error():
    with pytest.raises(SourceError, match="The columns a occur twice"):
        to_records(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_no_integer_is_rounded(numbers):
    frame = pd.DataFrame({"n": pd.Series(numbers, dtype=pd.ArrowDtype(pa.int64()))})

    assert to_records(frame) == [{"n": number} for number in numbers]
