"""The normal form of keys: what is one key, and that nothing outside the form escapes the search for it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from restock.key_form import SHORTENED, KeyForm

FORMS = st.builds(
    KeyForm,
    trim=st.booleans(),
    case=st.sampled_from([None, "upper", "lower"]),
    unicode=st.sampled_from([None, "NFC", "NFKC"]),
    zero_pad=st.sampled_from([None, 4, 13]),
)
KEYS = st.one_of(
    st.text(max_size=8), st.text("aAbB01 -ßŉǰıİﬀ´é\u0301\u00a0", max_size=8), st.from_regex(r"\A ?0{0,3}[0-9]{0,6} ?\Z")
)


@pytest.mark.parametrize(
    "rules, key, normal",
    [
        ({}, " ab-1", " ab-1"),
        ({"trim": True}, "\u00a0ab-1 \t", "ab-1"),
        ({"case": "upper"}, "straße", "STRASSE"),
        ({"case": "lower", "trim": True}, " AB", "ab"),
        ({"unicode": "NFC"}, "e\u0301", "é"),
        ({"unicode": "NFKC"}, "１２", "12"),
        ({"zero_pad": 13}, "4006381333931", "4006381333931"),
        ({"zero_pad": 13}, "638133393", "0000638133393"),
        ({"zero_pad": 13}, "AB-1", "AB-1"),
        ({"zero_pad": 3, "trim": True}, " 7 ", "007"),
        ({"strip_zeros": True}, "00123", "123"),
        ({"strip_zeros": True}, "000", "0"),
        ({"strip_zeros": True}, "00A", "00A"),
    ],
)
def test_a_key_has_one_form(rules, key, normal):
    assert KeyForm(**rules).of(key) == normal


@given(FORMS, KEYS)
def test_a_normal_key_is_its_own_normal_form_and_any_other_is_a_suspect(form, key):
    normal = form.of(key)

    assert form.of(normal) == normal
    if normal != key:
        assert re.search(form.suspects(), key)


def test_zeros_are_put_before_a_number_or_taken_away():
    with pytest.raises(ValidationError, match="keep one"):
        KeyForm(zero_pad=13, strip_zeros=True)


@pytest.mark.parametrize(
    "key, is_shortened", [("4.00638E+12", True), ("4,56e+3", True), ("4E+12", True), ("4E12", False)]
)
def test_numbers_that_a_spreadsheet_shortened_are_known(key, is_shortened):
    assert bool(re.search(SHORTENED, key)) is is_shortened
