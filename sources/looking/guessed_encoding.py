"""Guesses the encoding of a text from its first bytes: chardet says what it may be, and how each reading looks decides.

Chardet knows how letters follow each other in many languages. A table of products holds few letters beyond ASCII and
much that is no language, so what it finds likeliest is often no more than a tie: then the usual encoding is meant.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

import chardet

USUAL = "cp1252"
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CLEARLY = 1.5  # so much likelier than the usual encoding must another be: a Gruyère among German words is less
_FEW = 0.1  # of the signs beyond ASCII
_COMMON = (USUAL, "iso8859-15", "cp850")  # of those that read a text alike
# DOS, the old Macintosh, HP-UX, and parts of ISO 8859 that never spread.
_RARE = re.compile("cp[4-8][0-9]{2}|mac-.*|hp-roman8|iso8859-(?:3|4|10|14|16)")
_WITH_NEIGHBOURS = re.compile("(?=(.[^\x00-\x7f].))", re.DOTALL)
_INSIDE_WORDS = "’–·\u00a0\u00ad"
_FIRST_OF_OTHER_SCRIPTS = "\u0370"
_NOT_IN_TABLES = re.compile("[¤\u2500-\u259f]")  # the sign for any currency, and what boxes are drawn with


@dataclass(frozen=True)
class _Reading:
    """The text under one encoding, how likely chardet finds that, and the share of its signs that are out of place."""

    encoding: str
    text: str
    confidence: float
    misplaced: float

    @property
    def is_orderly(self) -> bool:
        """Whether most signs beyond ASCII stand where a text may have them."""
        return self.misplaced < _FEW


def guess_encoding(start: bytes) -> tuple[str, list[str]]:
    """The encoding of a text, and what it may be else, the likeliest first; nothing else where it is certain."""
    marked = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    if marked is not None or (b"\0" not in start and _read(start, "utf-8") is not None):
        return marked or "utf-8", []
    readings = _readings(start)
    usual = next((each for each in readings if each.encoding == USUAL), None)
    # Where the usual one makes sense, a rare one is not meant, however well its letters follow each other.
    is_usual = usual is not None and usual.is_orderly
    rare = {each.encoding for each in readings if is_usual and _RARE.fullmatch(each.encoding)}
    readings.sort(key=lambda each: (not each.is_orderly, each.encoding in rare, -each.confidence))
    best = _best(readings, usual)
    others = [each.encoding for each in readings if each.encoding != best]
    return best, sorted(others, key=lambda name: name != USUAL)  # what it is most often is always named


def _readings(start: bytes) -> list[_Reading]:
    found = {codecs.lookup(each["encoding"] or USUAL).name: each["confidence"] for each in chardet.detect_all(start)}
    if b"\0" not in start:
        found.setdefault(USUAL, 0.0)
    texts = {name: _read(start, name) for name in found}
    return [_Reading(name, text, found[name], _misplaced(text)) for name, text in texts.items() if text is not None]


def _best(readings: list[_Reading], usual: _Reading | None) -> str:
    """The first one, but the common one of those that read the very same or are nearly as likely."""
    if not readings:
        return USUAL
    first = readings[0]
    alike = [each.encoding for each in readings if each.text == first.text]
    if usual is not None and usual.is_orderly and usual.confidence * _CLEARLY >= first.confidence:
        return USUAL
    return next((name for name in _COMMON if name in alike), first.encoding)


def _read(start: bytes, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(start)  # the last character may be cut in two
    except UnicodeDecodeError:
        return None


def _misplaced(text: str) -> float:
    """The share of the signs beyond ASCII that stand where no text has them."""
    signs = Counter(_WITH_NEIGHBOURS.findall(f" {text} "))
    return sum(times for each, times in signs.items() if _is_misplaced(*each)) / max(signs.total(), 1)


def _is_misplaced(before: str, sign: str, after: str) -> bool:
    """Whether a sign is a control, a capital in a word, a letter joined to another script, or a sign within a word."""
    kind = unicodedata.category(sign)
    if kind in ("Cc", "Cn", "Co") or _NOT_IN_TABLES.match(sign):
        return True
    if kind == "Lu" and _is_letter(before) and (before.islower() or after.islower()):
        return True
    if kind[0] == "L":
        return sign >= _FIRST_OF_OTHER_SCRIPTS and any(each.isascii() and each.isalpha() for each in (before, after))
    return kind[0] != "M" and sign not in _INSIDE_WORDS and _is_letter(before) and _is_letter(after)


def _is_letter(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "L"
