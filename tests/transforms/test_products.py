"""The product rules: catalogue text is tidied, keys and other columns are left alone."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from restock.records import to_records
from transforms.columns import tidy
from transforms.products import clean


def frame_of(**columns) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series(cells, dtype="str") for name, cells in columns.items()})
    frame.index = pd.RangeIndex(5, 5 + len(frame))
    frame.attrs["key"] = ("sku",)
    return frame


@pytest.mark.parametrize(
    "text, tidied",
    [
        ("plain text", "plain text"),
        ("  two   blanks ", "two blanks"),
        ("no-break\u00a0\u00a0blank\u202fhere", "no-break blank here"),
        ("tab\there", "tab here"),
        ("Black &amp; Decker", "Black & Decker"),
        ("Black & Decker", "Black & Decker"),
        ("5 &lt; 6 &#8364; &#x20AC; &quot;x&quot;", '5 < 6 € € "x"'),
        ("twice &amp;amp; encoded", "twice & encoded"),
        ("?a=1&copy=2 &nothing; &notit;", "?a=1&copy=2 &nothing; &notit;"),
        ("Cafe\u0301", "Café"),
        ("zero\u200bwidth\ufeff soft\u00adhyphen", "zerowidth softhyphen"),
        ("bell\x07 and nul\x00", "bell and nul"),
        ("one \r\n two\r three ", "one\ntwo\nthree"),
        ("👩\u200d🔧", "👩\u200d🔧"),
        ("4E12", "4E12"),
    ],
)
def test_text_is_tidied(text, tidied):
    assert tidy(text) == tidied


def test_the_product_rules_tidy_text_and_leave_keys_alone():
    frame = frame_of(sku=[" A&amp;1 ", "B"], name=["x  y", "plain"], note=[" \u200b ", None])

    cleaned = clean(frame)

    assert cleaned.index.tolist() == [5, 6]
    assert to_records(cleaned) == [
        {"sku": " A&amp;1 ", "name": "x y", "note": None},
        {"sku": "B", "name": "plain", "note": None},
    ]


def test_columns_that_are_not_text_stay_as_they_are():
    frame = frame_of(name=["x"]).assign(stock=[7], tags=[["a  b"]])

    cleaned = clean(frame)

    assert cleaned["stock"].dtype == frame["stock"].dtype
    assert to_records(cleaned) == [{"name": "x", "stock": 7, "tags": ["a  b"]}]


def test_a_frame_that_was_put_together_from_others_is_tidied():
    frame = pd.concat([frame_of(name=["x  y"]), frame_of(name=["crème  z", "plain"])], ignore_index=True)

    assert to_records(clean(frame)) == [{"name": "x y"}, {"name": "crème z"}, {"name": "plain"}]


def test_an_empty_frame_stays_empty():
    assert len(clean(frame_of(name=[]))) == 0


pieces = st.sampled_from(["&", "amp;", "#38;", "#x26;", "lt;", "a", " ", "\u00a0", "\n", "\r", "\u0301", "\u200b", ";"])


@given(st.text() | st.lists(pieces, max_size=40).map("".join))
@example("&" + "amp;" * 50)
def test_tidying_twice_changes_nothing_more(text):
    once = tidy(text)

    assert tidy(once) == once


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"))))
def test_the_product_rules_give_the_same_frame_the_second_time(texts):
    once = clean(frame_of(name=texts))

    assert to_records(clean(once)) == to_records(once)
    assert to_records(once) == [{"name": tidy(text) or None if text else None} for text in texts]
