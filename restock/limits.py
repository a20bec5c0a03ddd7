"""Limits: on a number of rows, absolute or as a share (how many rejects are too many), and on a size in bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_size(value: object) -> int:
    """Read `500 MB`, `2 GiB` or a number of bytes.

    Raises:
        ValueError: the value is no such size, or not above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(value).strip())
    size = int(Fraction(found[1]) * _UNITS.get(found[2].upper(), 0)) if found else 0
    if size <= 0:
        raise ValueError(f"{str(value)!r} is not a size; write a number of bytes, or one such as 500 MB or 2 GiB")
    return size


def shown_size(size: int) -> str:
    """A size as people read it, rounded down."""
    for unit in ("GiB", "MiB", "KiB"):
        if size >= _UNITS[unit.upper()]:
            return f"{size // _UNITS[unit.upper()]} {unit}"
    return f"{size} bytes"


@dataclass(frozen=True)
class Limit:
    """So many rows, or such a share of others: at most, or at least."""

    text: str
    rows: int | None = None
    share: Fraction | None = None

    @classmethod
    def parse(cls, value: object) -> Limit:
        """Read `100` or `1%`.

        Raises:
            ValueError: the value is neither.
        """
        text = str(value).strip()
        if re.fullmatch(r"\d+", text):
            return cls(text, rows=int(text))
        if re.fullmatch(r"\d+(\.\d+)?\s*%", text):
            share = Fraction(text.rstrip("% ")) / 100
            if share <= 1:
                return cls(text, share=share)
        raise ValueError(f"{text!r} is not a limit; write a number of rows (100) or a share (1%)")

    def is_exceeded(self, rows: int, of: int) -> bool:
        """Whether `rows` out of `of` are more than the limit allows."""
        if self.rows is not None:
            return rows > self.rows
        return self.share is not None and rows > self.share * of

    def is_missed(self, rows: int, of: int) -> bool:
        """Whether `rows` are fewer than the limit demands, where it is a share, of `of` others."""
        if self.rows is not None:
            return rows < self.rows
        return self.share is not None and rows < self.share * of

    def __str__(self) -> str:
        return self.text
