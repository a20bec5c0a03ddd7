"""Reads text that is beyond doubt sound CSV with PyArrow, at its speed.

PyArrow alone is too lenient (an unclosed quote swallows the rest of a file without an error), so the text is proved
sound first: every quote opens, closes or is doubled, and every row has the right width. What cannot be proved is left
to `csv_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import csv

from sources.csv_rows import FIELD_BYTES

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules

LF, CR = 10, 13
Places = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class SoundBlock:
    """The rows of a block: a table of text, the line each begins on, where the unused text begins and on which line."""

    table: pa.Table
    lines: Places
    used_bytes: int
    next_line: int


class BlockReader:
    """Reads sound blocks of one file with known columns."""

    def __init__(self, rules: CsvRules, columns: list[str]) -> None:
        self.width = len(columns)
        self.delimiter, self.quote = rules.delimiter, rules.quote
        self.is_possible = rules.delimiter.isascii() and rules.quote.isascii()
        self._convert = csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.large_string()),
            null_values=list(rules.null_values),
            strings_can_be_null=bool(rules.null_values),
            quoted_strings_can_be_null=True,
            check_utf8=False,  # the block was encoded here
        )
        self._columns = columns

    def read(self, data: bytes, line: int) -> SoundBlock | None:
        """The rows of a block that begins with a row, up to its last certain line end; None where one is in doubt.

        Args:
            data: the block in UTF-8; none of it undecodable.
            line: the line it begins on.
        """
        if not self.is_possible:
            return None
        text = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(text == ord(self.quote)) if self.quote.encode() in data else np.empty(0, np.int64)
        ends = _outside(np.flatnonzero(text == LF), quotes)
        if not len(ends):
            return None
        used = int(ends[-1]) + 1
        text, quotes = text[:used], quotes[: np.searchsorted(quotes, used)]
        if not self._quotes_are_sound(text, quotes) or _has_lone_return(text, quotes):
            return None
        starts = np.concatenate(([0], ends[:-1] + 1))
        is_row = ~_is_blank(text, starts, ends)
        if not self._widths_are_right(text, quotes, ends, is_row) or (ends - starts).max() > FIELD_BYTES:
            return None
        line_ends = _line_ends(text) if len(quotes) else ends
        lines = line + np.searchsorted(line_ends, starts[is_row])
        table = self._parse(data, used, len(quotes) > 0)
        if table.num_rows != len(lines):
            return None
        return SoundBlock(table, lines, used, line + len(line_ends))

    def _quotes_are_sound(self, text: np.ndarray, quotes: Places) -> bool:
        """Whether each opening quote begins a field and each closing one ends it, or the two are one doubled quote."""
        if not len(quotes):
            return True
        opening, closing = quotes[0::2], quotes[1::2]
        if len(opening) != len(closing):
            return False
        is_doubled = opening[1:] == closing[:-1] + 1
        border = np.zeros(256, bool)
        border[[ord(self.delimiter), LF, CR]] = True
        begins = border[text[opening - 1]]
        begins[0] |= opening[0] == 0
        ends = border[text[closing + 1]]  # there is always one more byte: the block ends in LF, outside quotes
        return bool((begins[1:] | is_doubled).all() and begins[0] and (ends[:-1] | is_doubled).all() and ends[-1])

    def _widths_are_right(self, text: np.ndarray, quotes: Places, ends: Places, is_row: np.ndarray) -> bool:
        delimiters = _outside(np.flatnonzero(text == ord(self.delimiter)), quotes)
        fields = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
        return bool((fields[is_row] == self.width).all())

    def _parse(self, data: bytes, used: int, has_quotes: bool) -> pa.Table:
        return csv.read_csv(
            pa.py_buffer(data).slice(0, used),
            csv.ReadOptions(column_names=self._columns, block_size=used + 1),
            csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char=self.quote if has_quotes else False,
                double_quote=True,
                newlines_in_values=has_quotes,
                ignore_empty_lines=True,
            ),
            self._convert,
        )


def _outside(places: Places, quotes: Places) -> Places:
    """Those places that are not inside quotes."""
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(quotes) else places


def _has_lone_return(text: np.ndarray, quotes: Places) -> bool:
    returns = _outside(np.flatnonzero(text == CR), quotes)
    return bool((text[returns + 1] != LF).any()) if len(returns) else False


def _is_blank(text: np.ndarray, starts: Places, ends: Places) -> np.ndarray:
    length = ends - starts
    return (length == 0) | ((length == 1) & (text[starts] == CR))


def _line_ends(text: np.ndarray) -> Places:
    """Every LF, and every CR without one, inside quotes too."""
    is_end = (text == LF) | (text == CR)
    is_end[:-1] &= ~((text[:-1] == CR) & (text[1:] == LF))
    return np.flatnonzero(is_end)
