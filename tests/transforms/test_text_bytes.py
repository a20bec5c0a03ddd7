"""A look at all bytes of a column of text says the same as a look at each cell."""

from __future__ import annotations

import re
import sys
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import text_bytes
from transforms.columns import COMPOSED, tidy
from transforms.text_bytes import TextBytes

WORDS = re.compile(r"[!-%'-~]+(?: [!-%'-~]+)*")
cells = st.lists(st.none() | st.text(st.sampled_from("ab09.-! &\n\0\x7fäß€")), max_size=20)


def array_of(texts, skipped):
    """The texts as an Arrow array that begins in the middle of its bytes."""
    return pa.array(["lead &", *texts, " trail"], pa.large_string())[1 + skipped : 1 + len(texts)]


@given(cells, st.integers(0, 3))
def test_it_says_what_a_look_at_each_cell_says(texts, skipped):
    content, texts = TextBytes(array_of(texts, skipped)), texts[skipped:]
    there = [text for text in texts if text is not None]

    assert content.hold("\0") == any("\0" in text for text in there)
    assert set(content.beyond("09.-").decode()) == set("".join(there)) - set("09.-")
    assert content.longest() == max((len(text.encode()) for text in there), default=0)
    assert content.is_last(".") == any(text.endswith(".") for text in there)
    beyond = [row for row in content.rows_beyond_words() if texts[row] is not None]
    assert beyond == [row for row, text in enumerate(texts) if text is not None and not WORDS.fullmatch(text)]


@pytest.mark.parametrize("text", ["x  y", "x\n", "xy&", "xyzä", " x", "x "])
def test_cells_that_lie_across_two_steps_are_seen(text, monkeypatch):
    monkeypatch.setattr(text_bytes, "_STEP", 4)
    for lead in range(9):
        texts = ["a" * lead, text, "end"]

        found = TextBytes(pa.array(texts, pa.large_string())).rows_beyond_words().tolist()

        assert found == ([] if lead else [0]) + [1]


def test_an_empty_column_holds_nothing():
    content = TextBytes(pa.array([], pa.large_string()))

    assert (content.hold("a"), content.beyond(""), content.is_last("a")) == (False, b"", False)
    assert content.rows_beyond_words().tolist() == []


def test_letters_that_are_called_composed_are_whatever_stands_beside_them():
    everything = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    composed = set(re.findall(f"[{COMPOSED}]", "".join(everything)))
    # What may melt together with a sign before it is at the end of some canonical decomposition.
    melting = {parts[-1] for parts in (unicodedata.normalize("NFD", each) for each in everything) if len(parts) > 1}

    assert {each for each in composed if tidy(each) != each or unicodedata.combining(each)} == set()
    assert composed & melting == set()
