"""Reads text that is beyond doubt sound CSV with PyArrow, at its speed.

PyArrow alone is too lenient with quotes (an unclosed one swallows the rest of a file without an error), so the text is
proved sound first: every quote opens, closes or is doubled. Widths and UTF-8 PyArrow checks itself. What cannot be
proved is left to `csv_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from sources.csv_rows import FIELD_BYTES

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules

LF, CR = 10, 13
# Stands for a delimiter that is not one byte, where the text does not hold it.
STAND_IN = b"\x1f"
# The name of the column behind a trailing delimiter: no header has it, as names hold no NUL.
PHANTOM = "\0"
Places = np.ndarray[tuple[int], np.dtype[np.int64]]
_NO_PLACES: Places = np.empty(0, np.int64)


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
        self._rules = rules
        self._declared, self._quote = rules.delimiter.encode(), (rules.quote or "").encode()
        self._delimiter = self._declared if len(self._declared) == 1 else STAND_IN
        self._is_possible = len(self._quote) <= 1 and rules.line_end != "cr"
        self._border = np.zeros(256, bool)
        self._border[[self._delimiter[0], LF, CR]] = True
        self._names = [*columns, PHANTOM] if rules.trailing_delimiter else columns
        self._convert = csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.large_string()),
            include_columns=columns,
            null_values=[word.replace(rules.delimiter, self._delimiter.decode()) for word in rules.null_values],
            strings_can_be_null=bool(rules.null_values),
            quoted_strings_can_be_null=True,
        )

    def read(self, data: bytes, line: int) -> SoundBlock | None:
        """The rows of a block that begins with a row, up to its last certain line end; None where one is in doubt.

        Args:
            data: the block in UTF-8.
            line: the line it begins on.
        """
        if not self._is_possible or self._needs_care(data):
            return None
        if self._delimiter != self._declared:
            data = data.replace(self._declared, self._delimiter)
        text = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(text == self._quote[0]) if self._quote and self._quote in data else _NO_PLACES
        used = _end_of_last_row(data, quotes)
        text, quotes = text[:used], quotes[: np.searchsorted(quotes, used)]
        if not used or not self._quotes_are_sound(text, quotes) or not self._line_ends_are_sure(data, text, quotes):
            return None
        table = self._parse(data, used, len(quotes) > 0)
        lines = None if table is None else self._lines(table.num_rows, data, text, quotes)
        if table is None or lines is None:
            return None
        stood_in = data.count(self._delimiter, 0, used) if self._delimiter != self._declared else 0
        used_bytes = used + stood_in * (len(self._declared) - 1)
        return SoundBlock(table, line + lines, used_bytes, line + _count_line_ends(data, used))

    def _needs_care(self, data: bytes) -> bool:
        """Whether there is an escape, something like a comment, or the sign that would stand in for the delimiter."""
        escape, comment = (self._rules.escape or "").encode(), (self._rules.comment or "").encode()
        if escape and escape in data:
            return True
        if comment and (data.startswith(comment) or b"\n" + comment in data):
            return True
        return self._delimiter != self._declared and self._delimiter in data

    def _quotes_are_sound(self, text: np.ndarray, quotes: Places) -> bool:
        """Whether each opening quote begins a field and each closing one ends it, or the two are one doubled quote."""
        if not len(quotes):
            return True
        opening, closing = quotes[0::2], quotes[1::2]  # as many: the text ends outside quotes
        is_doubled = opening[1:] == closing[:-1] + 1
        begins = self._border[text[opening - 1]]
        begins[0] |= opening[0] == 0
        ends = self._border[text[closing + 1]]  # there is always one more byte: the text ends in LF
        return bool((begins[1:] | is_doubled).all() and begins[0] and (ends[:-1] | is_doubled).all() and ends[-1])

    def _line_ends_are_sure(self, data: bytes, text: np.ndarray, quotes: Places) -> bool:
        """Whether outside quotes there are only line ends of the declared kind, and none is a CR alone."""
        used, kind = len(text), self._rules.line_end
        returns, pairs = data.count(b"\r", 0, used), data.count(b"\r\n", 0, used)
        if kind == "lf":
            return not returns or not len(_outside(np.flatnonzero(text == CR), quotes))
        if returns != pairs:
            places = _outside(np.flatnonzero(text == CR), quotes)
            if (text[places + 1] != LF).any():
                return False
        if kind == "crlf" and data.count(b"\n", 0, used) != pairs:
            places = _outside(np.flatnonzero(text == LF), quotes)
            return bool((text[places - 1] == CR).all() and places[0] > 0)
        return True

    def _parse(self, data: bytes, used: int, has_quotes: bool) -> pa.Table | None:
        """The table of a text whose quotes are sound; None if a row has the wrong width or is no UTF-8."""
        try:
            table = csv.read_csv(
                pa.py_buffer(data).slice(0, used),
                csv.ReadOptions(column_names=self._names, block_size=used + 1),
                csv.ParseOptions(
                    delimiter=self._delimiter.decode(),
                    quote_char=self._quote.decode() if has_quotes else False,
                    double_quote=True,
                    newlines_in_values=has_quotes,
                    ignore_empty_lines=True,
                ),
                self._convert,
            )
        except pa.ArrowInvalid:
            return None
        if self._delimiter == self._declared or not has_quotes:
            return table
        declared = self._rules.delimiter
        columns = [pc.replace_substring(column, self._delimiter.decode(), declared) for column in table.columns]
        return pa.table(columns, table.column_names)

    def _lines(self, rows: int, data: bytes, text: np.ndarray, quotes: Places) -> Places | None:
        """The line that each row begins on, from 0; None if there are not as many rows, or one may be too large."""
        used = len(text)
        if _count_line_ends(data, used) == rows:
            # Each ends a row, as many rows do: none is inside quotes, and no line is blank.
            is_ended = not self._rules.trailing_delimiter or rows == sum(
                data.count(self._delimiter + end, 0, used) for end in (b"\n", b"\r\n")
            )
            return np.arange(rows) if is_ended and _has_no_long_line(data, used) else None
        ends = _outside(np.flatnonzero(text == LF), quotes)
        starts = np.concatenate(([0], ends[:-1] + 1))
        lengths = ends - starts
        is_blank = (lengths == 0) | ((lengths == 1) & (text[starts] == CR))
        starts = starts[~is_blank]
        if len(starts) != rows or lengths.max() > FIELD_BYTES or self._rules.trailing_delimiter:
            return None
        return np.searchsorted(_line_ends(text), starts)


def _end_of_last_row(data: bytes, quotes: Places) -> int:
    """The place behind the last line end that is not inside quotes; 0 if there is none."""
    end = data.rfind(b"\n") + 1
    while (before := int(np.searchsorted(quotes, end))) % 2:
        end = data.rfind(b"\n", 0, int(quotes[before - 1])) + 1
    return end


def _outside(places: Places, quotes: Places) -> Places:
    """Those places that are not inside quotes."""
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(quotes) else places


def _has_no_long_line(data: bytes, used: int) -> bool:
    """Whether no line can hold a field beyond the limit: each half of the limit holds a line end."""
    half = FIELD_BYTES // 2
    return all(data.find(b"\n", start, min(start + half, used)) >= 0 for start in range(0, used, half))


def _count_line_ends(data: bytes, used: int) -> int:
    """The number of LF, CRLF, and CR alone, inside quotes too."""
    return data.count(b"\n", 0, used) + data.count(b"\r", 0, used) - data.count(b"\r\n", 0, used)


def _line_ends(text: np.ndarray) -> Places:
    """Every LF, and every CR without one, inside quotes too."""
    is_end = (text == LF) | (text == CR)
    is_end[:-1] &= ~((text[:-1] == CR) & (text[1:] == LF))
    return np.flatnonzero(is_end)
