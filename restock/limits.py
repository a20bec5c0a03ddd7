"""A limit on a number of rows, absolute or as a share: how many rejects are too many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Limit:
    """At most so many rows, or at most such a share of the rows that were read."""

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
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(text, rows=value)
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

    def __str__(self) -> str:
        return self.text
