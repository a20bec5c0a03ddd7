"""The places of a byte in a text, as bits: 64 of them are one word, so that a whole text is asked at once.

After G. Langdale and D. Lemire, "Parsing gigabytes of JSON per second" (2019), which finds quoted text so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The first place is the lowest bit of the first byte, on every machine.
_WORD, _BITS = np.dtype("<u8"), 64
_ONE, _LAST = np.uint64(1), np.uint64(_BITS - 1)


@dataclass(frozen=True, eq=False)
class Bits:
    """Some places of a text. The complement (`~`) has places behind the text's end too: it is for `&` only."""

    words: np.ndarray[tuple[int], np.dtype[np.uint64]]

    @classmethod
    def of(cls, text: np.ndarray, byte: int) -> Bits:
        """Where a text has a byte."""
        is_there = np.empty(-(-len(text) // _BITS) * _BITS, bool)
        np.equal(text, byte, out=is_there[: len(text)])
        is_there[len(text) :] = False
        return cls(np.packbits(is_there, bitorder="little").view(_WORD))

    @classmethod
    def none(cls, length: int) -> Bits:
        """No place of a text of so many bytes."""
        return cls(np.zeros(-(-length // _BITS), _WORD))

    def __and__(self, other: Bits) -> Bits:
        return Bits(self.words & other.words)

    def __or__(self, other: Bits) -> Bits:
        return Bits(self.words | other.words)

    def __invert__(self) -> Bits:
        return Bits(~self.words)

    def __bool__(self) -> bool:
        return bool(self.words.any())

    def next(self, start: bool = False) -> Bits:
        """The place behind each; if asked for, also the start of the text."""
        words = self.words << _ONE
        words[1:] |= self.words[:-1] >> _LAST
        words[:1] |= np.uint64(start)
        return Bits(words)

    def previous(self) -> Bits:
        """The place before each."""
        words = self.words >> _ONE
        words[:-1] |= self.words[1:] << _LAST
        return Bits(words)

    def odd_before(self) -> Bits:
        """The places before which there is an odd number of these: between the first and the second, and so on."""
        parity = self.words.copy()
        for step in (1, 2, 4, 8, 16, 32):
            parity ^= parity << np.uint64(step)
        is_odd = np.bitwise_xor.accumulate(parity >> _LAST)
        parity[1:] ^= np.uint64(0) - is_odd[:-1]
        return Bits(parity ^ self.words)

    def below(self, place: int) -> Bits:
        """Those before a place, in a text that ends there."""
        words = self.words[: -(-place // _BITS)].copy()
        if place % _BITS:
            words[-1] &= (_ONE << np.uint64(place % _BITS)) - _ONE
        return Bits(words)

    def count(self) -> int:
        """How many there are."""
        return int(np.bitwise_count(self.words).sum())

    def last(self) -> int:
        """The last place; -1 if there is none."""
        from_end = self.words[::-1] != 0
        if not from_end.any():
            return -1
        word = len(from_end) - 1 - int(from_end.argmax())
        return word * _BITS + int(self.words[word]).bit_length() - 1

    def places(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """All places, in their order."""
        return np.flatnonzero(np.unpackbits(self.words.view(np.uint8), bitorder="little"))
