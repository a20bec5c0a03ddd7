"""The grammar of a CSV dialect as patterns: what a line end, a field and a row are, and what the cells of a row say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules

# How each kind of line end is found, the signs that text does not hold because of it, and where it does all the same.
_LINE_ENDS = {
    "any": (r"\r\n|\r|\n", r"\r\n", ""),
    "lf": (r"\n", r"\n", ""),
    "cr": (r"\r", r"\r", ""),
    "crlf": (r"\r\n", r"\r", r"\r(?!\n)"),
}
_NOTHING = "(?!)"


class Grammar:
    """The patterns of one dialect. Each takes time in proportion to what it matches, whatever the text holds.

    A quoted field begins and ends with the quote; in it a doubled quote is one. A bare field holds no quote. An escape,
    in both, makes text of the one sign behind it. A row is fields with delimiters between them, up to a line end.
    """

    def __init__(self, rules: CsvRules) -> None:
        self.delimiter, self.quote, self._escape = rules.delimiter, rules.quote, rules.escape
        d, q, e = (re.escape(sign or "") for sign in (rules.delimiter, rules.quote, rules.escape))
        first = re.escape(rules.delimiter[0])
        end, stops, not_end = _LINE_ENDS[rules.line_end]
        escaped = rf"{e}(?s:.|\Z)" if e else ""
        not_delimiter = f"(?!{d}){first}" if len(rules.delimiter) > 1 else ""
        bare = _run(stops + first + q + e, escaped, not_delimiter, not_end)
        inside = _run(q + e, q + q, f"{e}(?s:.)" if e else "") if q else _NOTHING
        quoted = f"{q}{inside}{q}"
        field = f"(?:{quoted}|{bare})"
        self.line_end, self.quoted, self.bare = re.compile(end), re.compile(quoted), re.compile(bare)
        self.row = re.compile(rf"{field}(?:{d}{field})*+(?={end}|\Z)")
        self.sound_fields = re.compile(f"(?:{field}{d})*+")
        self.line = re.compile(_run(stops + e, escaped, not_end))
        self.comment = re.compile(re.escape(rules.comment or "") + _run(stops, not_end) if rules.comment else _NOTHING)
        self._field = re.compile(f"{d}(?:{q}({inside}){q}|({bare}))")
        self._quotes = re.compile(f"{escaped}|({q})" if e else f"({q})")
        self._marked = re.compile(rf"{e}([{first}{q}{e}\r\n])" + (f"|{q}({q})" if q else ""))

    def cells(self, row: str) -> list[str]:
        """The cells of a row that the grammar matches, without its line end."""
        has_quotes = self.quote is not None and self.quote in row
        has_escapes = self._escape is not None and self._escape in row
        if not (has_quotes or has_escapes):
            return row.split(self.delimiter)
        found = self._field.findall(self.delimiter + row)
        if has_escapes:
            return [self._marked.sub(_sign, quoted or bare) for quoted, bare in found]
        return [quoted.replace(f"{self.quote}{self.quote}", str(self.quote)) or bare for quoted, bare in found]

    def count_quotes(self, text: str, start: int, end: int) -> int:
        """The quotes between two places of a text that no escape makes text of."""
        return sum(1 for match in self._quotes.finditer(text, start, end) if match.group(1))


def _run(stops: str, *others: str) -> str:
    """A run of text without these signs, but for the places where one of the other patterns matches."""
    alternatives = "".join(f"|{other}" for other in others if other)
    return f"(?:[^{stops}]++{alternatives})*+" if alternatives else f"[^{stops}]*+"


def _sign(match: re.Match[str]) -> str:
    return match.group(match.lastindex or 0)
