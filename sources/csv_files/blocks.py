"""Reads text that is beyond doubt sound CSV with PyArrow, at its speed.

PyArrow alone is too lenient with quotes (an unclosed one swallows the rest of a file without an error), so the text is
proved sound first: every quote opens, closes or is doubled, and it is UTF-8. Widths PyArrow checks itself. What cannot
be proved is left to `csv_rows`.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from sources.csv_files.rows import FIELD_BYTES

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
            check_utf8=False,  # a look at the whole text takes a tenth of the time
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
        quotes = _places(text, self._quote[0]) if self._quote and self._quote in data else _NO_PLACES
        used = _end_of_last_row(data, quotes)
        text, quotes = text[:used], quotes[: np.searchsorted(quotes, used)]
        ends = _LineEnds.of(text, may_have_returns=b"\r" in data)
        if not used or not self._quotes_are_sound(text, quotes) or not self._are_sure(ends, text, quotes):
            return None
        table = self._parse(data, used, len(quotes) > 0)
        lines = None if table is None else self._lines(table.num_rows, data, ends, text, quotes)
        if table is None or lines is None:
            return None
        stood_in = _count(text, self._delimiter[0]) if self._delimiter != self._declared else 0
        used_bytes = used + stood_in * (len(self._declared) - 1)
        return SoundBlock(table, line + lines, used_bytes, line + ends.count)

    def likely_end(self, data: bytes) -> int:
        """The place behind the last line end that is not inside quotes, if all of them are sound; else that of any."""
        line_end = b"\n" if b"\n" in data else b"\r"
        last = end = data.rfind(line_end) + 1
        is_inside = len(self._quote) == 1 and _count(np.frombuffer(data, np.uint8, end), self._quote[0]) % 2 == 1
        while is_inside:
            before = data.rfind(line_end, 0, data.rfind(self._quote, 0, end)) + 1
            is_inside, end = data.count(self._quote, before, end) % 2 == 0, before
        return end or last

    def _needs_care(self, data: bytes) -> bool:
        """Whether there is an escape, what could be a comment, a mark that Arrow drops, or the delimiter's stand-in."""
        escape, comment = (self._rules.escape or "").encode(), (self._rules.comment or "").encode()
        if (escape and escape in data) or data.startswith(BOM_UTF8):
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

    def _are_sure(self, ends: _LineEnds, text: np.ndarray, quotes: Places) -> bool:
        """Whether outside quotes there are only line ends of the declared kind, and none is a CR alone."""
        kind = self._rules.line_end
        if len(_outside(ends.returns if kind == "lf" else ends.lone_returns, quotes)):
            return False
        if kind != "crlf" or ends.feeds == len(ends.returns) - len(ends.lone_returns):
            return True
        feeds = _outside(np.flatnonzero(text == LF), quotes)
        return bool(feeds[0] > 0 and (text[feeds - 1] == CR).all())

    def _parse(self, data: bytes, used: int, has_quotes: bool) -> pa.Table | None:
        """The table of a text whose quotes are sound; None if a row has the wrong width or is no UTF-8."""
        try:
            if not data.isascii():
                places = pa.py_buffer(np.array([0, used], np.int64))
                pa.LargeStringArray.from_buffers(1, places, pa.py_buffer(data)).validate(full=True)
            table = csv.read_csv(
                pa.py_buffer(data).slice(0, used),
                csv.ReadOptions(column_names=self._names, block_size=used + 1, use_threads=False),
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

    def _lines(self, rows: int, data: bytes, ends: _LineEnds, text: np.ndarray, quotes: Places) -> Places | None:
        """The line that each row begins on, from 0; None if there are not as many rows, or one may be too large."""
        if ends.count == rows:
            # Each ends a row, as many rows do: none is inside quotes, and no line is blank.
            return np.arange(rows) if self._are_ended(text) and _has_no_long_line(data, len(text)) else None
        feeds = _outside(np.flatnonzero(text == LF), quotes)
        starts = np.concatenate(([0], feeds[:-1] + 1))
        lengths = feeds - starts
        starts = starts[~((lengths == 0) | ((lengths == 1) & (text[starts] == CR)))]
        if len(starts) != rows or lengths.max() > FIELD_BYTES or self._rules.trailing_delimiter:
            return None
        return np.searchsorted(np.union1d(np.flatnonzero(text == LF), ends.lone_returns), starts)

    def _are_ended(self, text: np.ndarray) -> bool:
        """Whether each line ends in a delimiter, where that is declared."""
        if not self._rules.trailing_delimiter:
            return True
        feeds = np.flatnonzero(text == LF)
        last = text[feeds - 1]
        return bool((np.where(last == CR, text[feeds - 2], last) == self._delimiter[0]).all())


@dataclass(frozen=True)
class _LineEnds:
    """The line ends of a text, inside quotes too: how many LF, the places of CR, and of the CR without LF behind."""

    feeds: int
    returns: Places
    lone_returns: Places

    @classmethod
    def of(cls, text: np.ndarray, may_have_returns: bool) -> _LineEnds:
        returns = np.flatnonzero(text == CR) if may_have_returns else _NO_PLACES
        lone = returns[text[returns + 1] != LF]  # there is always one more byte: the text ends in LF
        return cls(_count(text, LF), returns, lone)

    @property
    def count(self) -> int:
        """The number of LF, CRLF, and CR alone."""
        return self.feeds + len(self.lone_returns)


def _count(text: np.ndarray, byte: int) -> int:
    """How often a byte occurs; in steps, as the memory of a large comparison costs more than the comparison."""
    step = 256 * 1024
    return sum(int(np.count_nonzero(text[at : at + step] == byte)) for at in range(0, len(text), step))


def _places(text: np.ndarray, byte: int) -> Places:
    """The places of a byte, as `flatnonzero` finds them, in half the time: first the words of eight that hold it."""
    is_byte = text == byte
    whole = len(text) // 8 * 8
    words = is_byte[:whole].view(np.uint64)
    holding = np.flatnonzero(words != 0)
    found = np.flatnonzero(words[holding].view(bool))
    return np.concatenate(((holding[found >> 3] << 3) + (found & 7), whole + np.flatnonzero(is_byte[whole:])))


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
