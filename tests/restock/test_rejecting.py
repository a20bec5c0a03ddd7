"""How a transform sets rows aside, in a run and in a test of its own."""

from __future__ import annotations

import threading

import pandas as pd
import pytest

from restock import reject
from restock.rejecting import RejectedRows, collecting_rejects

FRAME = pd.DataFrame({"price": [1, 2, 3]}, index=[7, 8, 9])


def test_the_rows_at_fault_are_collected_with_their_values_and_the_others_stay():
    with collecting_rejects() as collected:
        left = reject(FRAME, FRAME["price"] > 1, "too_dear", "price")

    assert left.index.tolist() == [7]
    assert collected == [RejectedRows([8, 9], "too_dear", "price", [2, 3])]


def test_outside_a_run_rows_are_only_left_out():
    assert reject(FRAME, [True, False, False], "odd").index.tolist() == [8, 9]


def test_missing_in_a_mask_counts_as_false_and_a_series_is_matched_by_its_index():
    mask = pd.Series([True, None], index=[9, 7], dtype="boolean")

    with collecting_rejects() as collected:
        left = reject(FRAME, mask, "odd")

    assert left.index.tolist() == [7, 8]
    assert collected == [RejectedRows([9], "odd", None, [None])]


def test_a_mask_may_be_that_of_more_rows_or_of_fewer():
    more = pd.Series([True, False, True, False], index=[6, 7, 8, 9])

    assert reject(FRAME, more, "odd").index.tolist() == [7, 9]
    assert reject(FRAME, pd.Series([True], index=[8]), "odd").index.tolist() == [7, 9]
    assert reject(FRAME.iloc[:0], more, "odd").index.tolist() == []


@pytest.mark.parametrize("first", [0, 1, 8])
def test_a_mask_with_labels_of_its_own_is_refused(first):
    """What numpy made of a frame begins at 0: by its labels it would set other rows aside, or none."""
    mask = pd.Series([False, False, True], index=range(first, first + 3))

    with pytest.raises(ValueError, match=r"the labels of the frame.*index=frame\.index"):
        reject(FRAME, mask, "odd")


@pytest.mark.parametrize("code", [None, 17, ""])
def test_a_code_that_is_no_text_is_refused_also_where_no_row_is_at_fault(code):
    with pytest.raises(ValueError, match=r"The code of restock\.reject is no text; give a short one"):
        reject(FRAME, [False] * 3, code)


def test_nothing_at_fault_is_nothing_collected():
    with collecting_rejects() as collected:
        left = reject(FRAME, [False] * 3, "odd")

    assert (len(left), collected) == (3, [])


def test_chunks_in_other_threads_do_not_see_each_others_rejects():
    found = {}

    def work(name: str) -> None:
        with collecting_rejects() as collected:
            reject(FRAME, [True, False, False], name)
        found[name] = [each.code for each in collected]

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    with collecting_rejects() as outer:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == {"one": ["one"], "two": ["two"]}
    assert outer == []
