"""Equal keys have equal hashes whatever stands beside them, and different ones hardly ever."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.duplicates.key_hashes import hashes_of

texts = st.lists(st.text(st.sampled_from("ab\0ß€"), max_size=20), min_size=1, max_size=20)


def keys(cells: list[str], skipped: int = 0) -> pd.DataFrame:
    """A column of keys that begins in the middle of its bytes."""
    dtype = pd.Series([], dtype="str").dtype
    whole = pa.array(["lead", *cells, "trail"], pa.large_string())
    return pd.DataFrame({"key": pd.Series(dtype.__from_arrow__(whole[1 + skipped : 1 + len(cells)]))})


@given(texts, st.integers(0, 3))
def test_a_text_has_one_hash_whatever_stands_beside_it(cells, skipped):
    alone = [int(hashes_of(keys([cell]))[0]) for cell in cells]

    assert hashes_of(keys(cells, skipped)).tolist() == alone[skipped:]
    assert len(set(alone)) == len(set(cells))


def test_the_order_of_the_parts_of_a_key_matters():
    frame = pd.DataFrame({"shop": ["a", "b", "a"], "sku": ["b", "a", "a"]}, dtype="str")

    assert len(set(hashes_of(frame).tolist())) == 3


@pytest.mark.parametrize("dtype", ["str", "int64[pyarrow]", object])
def test_no_keys_have_no_hashes(dtype):
    assert hashes_of(pd.DataFrame({"key": pd.Series([], dtype=dtype)})).tolist() == []


def test_text_of_no_rows_may_have_no_bytes_at_all():
    nothing = pa.py_buffer(b"")
    cells = pa.LargeStringArray.from_buffers(0, nothing, nothing)

    assert hashes_of(pd.DataFrame({"key": pd.Series([], dtype="str").dtype.__from_arrow__(cells)})).tolist() == []


def test_hashes_are_spread_over_all_slices():
    numbered = pd.DataFrame({"key": pd.Series([f"SKU-{number:09}" for number in range(16_000)], dtype="str")})

    slices = pd.Series(hashes_of(numbered) >> 60).value_counts()

    assert len(slices) == 16
    assert slices.between(800, 1200).all()
