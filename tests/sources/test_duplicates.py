import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.duplicates import Duplicates

KEY = st.one_of(st.none(), st.sampled_from(["a", "b", "A", "a ", "", "é"]))
ROWS = st.lists(st.tuples(KEY, st.one_of(st.none(), st.integers(0, 2)), st.one_of(st.none(), st.integers(0, 3))))


def settle(rule, rows, cut=3):
    """The losers of rows of (text, number, version), added in pieces."""
    duplicates = Duplicates(rule)
    for start in range(0, len(rows), cut):
        piece = rows[start : start + cut]
        keys = pd.DataFrame(
            {
                "text": pd.array([row[0] for row in piece], dtype="str"),
                "number": pd.array([row[1] for row in piece], dtype=pd.ArrowDtype(pa.int64())),
                "version": pd.array([row[2] for row in piece], dtype=pd.ArrowDtype(pa.int64())),
            }
        )
        positions = pd.Series(range(start + 1, start + 1 + len(piece)))
        duplicates.add(positions, keys if rule == "newest" else keys[["text", "number"]])
    return duplicates.losers().to_dict()


def oracle(rule, rows):
    by_key = {}
    for position, (text, number, version) in enumerate(rows, 1):
        if text is not None and number is not None:
            by_key.setdefault((text, number), []).append((-1 if version is None else version, position))
    losers = {}
    for versions in by_key.values():
        positions = [position for _, position in versions]
        winner = {"first": positions[0], "last": positions[-1], "newest": max(versions)[1]}.get(rule)
        for position in positions:
            if rule == "reject" and len(positions) > 1:
                losers[position] = next(other for other in positions if other != position)
            elif rule != "reject" and position != winner:
                losers[position] = winner
    return losers


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, rule=st.sampled_from(["last", "first", "newest", "reject"]), cut=st.integers(1, 5))
def test_the_losers_are_those_of_a_dict(rows, rule, cut):
    ours, theirs = settle(rule, rows, cut), oracle(rule, rows)

    if rule == "reject":
        assert ours.keys() == theirs.keys()
        assert all(other in ours and other != loser for loser, other in ours.items())
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "values",
    [
        pd.array([Decimal("1.10"), Decimal("1.20"), Decimal("1.10")], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
        pd.array([b"x", b"y", b"x"], dtype=pd.ArrowDtype(pa.binary())),
        pd.array([dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 1)], dtype=pd.ArrowDtype(pa.date32())),
        pd.Series([Decimal("1.1"), "1.1", Decimal("1.10")], dtype=object).array,
        pd.array([2**63 - 1, 2**63 - 2, 2**63 - 1], dtype="Int64"),
        pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01"], utc=True).array,
    ],
    ids=lambda values: str(values.dtype),
)
def test_keys_of_any_type_are_compared_exactly(values):
    duplicates = Duplicates("last")
    duplicates.add(pd.Series([1, 2, 3]), pd.DataFrame({"key": values}))

    assert duplicates.losers().to_dict() == {1: 3}


@pytest.mark.parametrize(
    "versions",
    [
        pd.array([Decimal("2.5"), Decimal("10.5"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 1))),
        pd.to_datetime(["2024-01-01", "2024-10-01", None], utc=True).array,
        pd.array(["2024-01-01", "2024-10-01", None], dtype="str"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_versions_of_any_type_are_put_in_order(versions):
    duplicates = Duplicates("newest")
    duplicates.add(pd.Series([1, 2, 3]), pd.DataFrame({"key": ["a"] * 3, "version": versions}))

    assert duplicates.losers().to_dict() == {1: 2, 3: 2}


def test_nothing_added_means_no_losers():
    assert Duplicates("last").losers().empty
