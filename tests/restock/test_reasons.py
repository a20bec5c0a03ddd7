"""Every reason code has one sentence, and the casts use no code without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from restock.reasons import REASONS, sentence

ROOMS = Path(__file__).parents[2]


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_is_one_sentence_with_and_without_a_column(code):
    for column in ("price", None):
        text = sentence(code, column)
        assert text[0].isupper() or text.startswith("price")
        assert text.endswith(".")
        assert "{" not in text


def test_a_sentence_names_the_column_and_the_constraint():
    assert sentence("null", "price") == "price must have a value and has none."
    assert "names of its members unless" in sentence("not_in_enum", "status")
    assert sentence("unique:uq_sku", None) == "Another row already has the same values (uq_sku)."
    assert sentence("too_dear", "price") == "A transform set the row aside as too_dear because of price."
    assert sentence("hidden", None) == "A transform set the row aside as hidden."


def test_the_casts_give_no_reason_that_is_not_listed():
    files = [file.read_text(encoding="utf-8") for file in (ROOMS / "transforms").glob("*.py")]
    given = set(re.findall(r'(?:Misfit\(|, |= |else |return )"([a-z]+(?:_[a-z]+)+)"\)?', "\n".join(files)))

    assert {"not_a_number", "out_of_range", "time_gap"} <= given
    assert {code for code in given if code.startswith(("not_", "time_", "out_", "too_", "missing_"))} <= set(REASONS)
