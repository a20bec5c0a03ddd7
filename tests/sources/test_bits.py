"""Places of a byte as bits, against the same said with sets of numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sources.csv_files.bits import Bits

# Runs of one byte, so that the words of 64 are full, empty, and met at their borders.
TEXTS = st.lists(st.tuples(st.sampled_from(b"abc"), st.integers(1, 70)), min_size=1, max_size=8).map(
    lambda runs: b"".join(bytes([byte]) * times for byte, times in runs)
)


def places(text: bytes, byte: bytes) -> set[int]:
    return {place for place, each in enumerate(text) if each == byte[0]}


@given(text=TEXTS, end=st.integers(0, 600))
def test_bits_say_of_places_what_sets_say(text: bytes, end: int) -> None:
    here, others = places(text, b"a"), places(text, b"b")
    bits, other = (Bits.of(np.frombuffer(text, np.uint8), byte) for byte in b"ab")
    every, end = set(range(len(text))), min(end, len(text))

    def said(found: Bits) -> set[int]:
        return set(found.places().tolist()) & every

    assert said(bits) == here
    assert said(bits | other) == here | others
    assert said(bits & ~other) == here - others
    assert said(bits & other) == set()
    assert said(bits.next()) == {place + 1 for place in here} & every
    assert said(bits.next(start=True)) == ({place + 1 for place in here} | {0}) & every
    assert said(bits.previous()) == {place - 1 for place in here} & every
    assert said(bits.odd_before()) == {place for place in every if sum(each < place for each in here) % 2}
    assert bits.below(end).places().tolist() == sorted(place for place in here if place < end)
    assert bits.below(end).last() == max((place for place in here if place < end), default=-1)
    assert (bits.count(), bool(bits), bits.last()) == (len(here), bool(here), max(here, default=-1))
