"""The normal form of a feed's keys: what is one key although suppliers, shops and spreadsheets write it differently."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from pydantic import Field, model_validator

from restock.csv_rules import Rules

# Spreadsheets write long numbers as 4.56E+12, always with a sign; 4E12 may be an article number.
SHORTENED = r"^[+-]?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+$"
_PASSES = 4  # capitals may have another Unicode form than small letters, and blanks may appear in it


class KeyForm(Rules):
    """How text in a key is normalised: on its way from the feed, and to find rows whose key the table has otherwise."""

    trim: bool = False
    case: Literal["upper", "lower"] | None = None
    unicode: Literal["NFC", "NFKC"] | None = None
    zero_pad: int | None = Field(default=None, ge=2, le=64)
    strip_zeros: bool = False
    shortened: Literal["reject", "keep"] = "reject"

    @model_validator(mode="after")
    def _zeros_go_one_way(self) -> KeyForm:
        if self.zero_pad is not None and self.strip_zeros:
            raise ValueError("zero_pad puts zeros before a number and strip_zeros takes them away; keep one")
        return self

    @property
    def changes_keys(self) -> bool:
        """Whether any key has another normal form than its own."""
        return bool(self.trim or self.case or self.unicode or self.zero_pad or self.strip_zeros)

    def of(self, key: str) -> str:
        """A key in its normal form, which is its own normal form."""
        for _ in range(_PASSES):
            before, key = key, self._once(key)
            if key == before:
                break
        return key

    def _once(self, key: str) -> str:
        if self.unicode is not None:
            key = unicodedata.normalize(self.unicode, key)
        if self.case is not None:
            key = key.upper() if self.case == "upper" else key.lower()
        if self.trim:
            key = key.strip()
        if self.zero_pad is not None and _is_digits(key):
            key = key.rjust(self.zero_pad, "0")
        if self.strip_zeros and _is_digits(key):
            key = key.lstrip("0") or "0"
        return key

    def suspects(self) -> str:
        """A regular expression that finds every text which is not in this form, and some that are.

        Written so that Python, PostgreSQL and MariaDB understand it alike.
        """
        found = [r"[^\x20-\x7e]"]
        found += ["^ ", " $"] if self.trim else []
        found += ["[a-z]"] if self.case == "upper" else ["[A-Z]"] if self.case == "lower" else []
        found += [f"^[0-9]{{1,{self.zero_pad - 1}}}$"] if self.zero_pad is not None else []
        found += ["^0[0-9]"] if self.strip_zeros else []
        return "|".join(found)


def _is_digits(key: str) -> bool:
    return re.fullmatch("[0-9]+", key) is not None
