"""Reads text that is beyond doubt sound CSV with PyArrow, at its speed.

PyArrow alone is too lenient with quotes (an unclosed one swallows the rest of a file without an error), so the text is
proved sound first: every quote opens, closes or is doubled, and it is UTF-8. Widths PyArrow checks itself. What cannot
be proved is left to `rows`.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from sources.csv_files.bits import Bits
from sources.csv_files.rows import FIELD_BYTES

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules

LF, CR = 10, 13
# Stands for a delimiter that is not one byte, where the text does not hold it.
STAND_IN = b"\x1f"
# The name of the column behind a trailing delimiter: no header has it, as names hold no NUL.
PHANTOM = "\0"
Places = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class SoundBlock:
    """The rows of a block: a table of text, the line each begins on, where the unused text begins and on which line.

    Lines are counted from that on which the block begins.
    """

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
        self._names = [*columns, PHANTOM] if rules.trailing_delimiter else columns
        self._convert = csv.ConvertOptions(
            check_utf8=False,  # a look at the whole text takes a tenth of the time
            column_types=dict.fromkeys(columns, pa.large_string()),
            include_columns=columns,
            null_values=[word.replace(rules.delimiter, self._delimiter.decode()) for word in rules.null_values],
            strings_can_be_null=bool(rules.null_values),
            quoted_strings_can_be_null=True,
        )

    def read(self, data: bytes) -> SoundBlock | None:
        """The rows of UTF-8 text that begins with a row, up to its last certain line end; None if one is in doubt."""
        if not self._is_possible or self._needs_care(data):
            return None
        if self._delimiter != self._declared:
            data = data.replace(self._declared, self._delimiter)
        text = np.frombuffer(data, np.uint8)
        marks = _Marks.of(text, self._delimiter, self._quote if self._quote in data else b"", b"\r" in data)
        used = (marks.feeds & ~marks.inside).last() + 1
        marks = marks if used == len(text) else marks.below(used)
        if not used or not (self._are_sure(marks) and marks.are_quotes_sound() and self._are_ended(marks)):
            return None
        table = self._parse(data, used, bool(marks.quotes))
        lines = None if table is None else self._lines(table.num_rows, data, marks, used)
        if table is None or lines is None:
            return None
        stood_in = marks.delimiters.count() if self._delimiter != self._declared else 0
        used_bytes = used + stood_in * (len(self._declared) - 1)
        return SoundBlock(table, lines, used_bytes, marks.lines)

    def likely_end(self, held: bytes, data: bytes) -> int:
        """The place behind the last line end of data that is not inside quotes, if all are sound; else that of any.

        Args:
            held: what stands between the end of a row and the data.
        """
        line_end = b"\n" if b"\n" in data else b"\r"
        last = end = data.rfind(line_end) + 1
        is_inside = False
        if len(self._quote) == 1:
            quotes = np.count_nonzero(np.frombuffer(data, np.uint8, end) == self._quote[0])
            is_inside = (held.count(self._quote) + quotes) % 2 == 1
        while is_inside and (quote := data.rfind(self._quote, 0, end)) >= 0:
            before = data.rfind(line_end, 0, quote) + 1
            is_inside, end = data.count(self._quote, before, end) % 2 == 0, before
        return last if is_inside else end or last

    def _needs_care(self, data: bytes) -> bool:
        """Whether there is an escape, what could be a comment, a mark that Arrow drops, or the delimiter's stand-in."""
        escape, comment = (self._rules.escape or "").encode(), (self._rules.comment or "").encode()
        if (escape and escape in data) or data.startswith(BOM_UTF8):
            return True
        if comment and (data.startswith(comment) or b"\n" + comment in data):
            return True
        return self._delimiter != self._declared and self._delimiter in data

    def _are_sure(self, marks: _Marks) -> bool:
        """Whether outside quotes there are only line ends of the declared kind, and none is a CR alone."""
        kind = self._rules.line_end
        if (marks.returns if kind == "lf" else marks.lone_returns) & ~marks.inside:
            return False
        return kind != "crlf" or not marks.feeds & ~marks.inside & ~marks.returns.next()

    def _are_ended(self, marks: _Marks) -> bool:
        """Whether each line ends in a delimiter, where that is declared."""
        if not self._rules.trailing_delimiter:
            return True
        ended = marks.delimiters.next()
        return not marks.feeds & ~(ended | (marks.returns & ended).next())

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

    def _lines(self, rows: int, data: bytes, marks: _Marks, used: int) -> Places | None:
        """The line that each row begins on, from 0; None if there are not as many rows, or one may be too large."""
        if marks.lines == rows:
            # Each line end ends a row, as many rows do: none is inside quotes, and no line is blank.
            return np.arange(rows) if _has_no_long_line(data, used) else None
        if self._rules.trailing_delimiter:
            return None
        feeds = (marks.feeds & ~marks.inside).places()
        starts = np.concatenate(([0], feeds[:-1] + 1))
        is_blank = (starts == feeds) | ((starts + 1 == feeds) & (np.frombuffer(data, np.uint8)[starts] == CR))
        starts, lengths = starts[~is_blank], feeds - starts
        if len(starts) != rows or lengths.max() > FIELD_BYTES:
            return None
        return np.searchsorted((marks.feeds | marks.lone_returns).places(), starts)


@dataclass(frozen=True)
class _Marks:
    """The marks of a text that ends in LF: quotes, LF and CR, also inside quotes, and the places inside quotes."""

    text: np.ndarray
    delimiter: bytes
    quotes: Bits
    feeds: Bits
    returns: Bits
    inside: Bits

    @classmethod
    def of(cls, text: np.ndarray, delimiter: bytes, quote: bytes, may_have_returns: bool) -> _Marks:
        quotes = Bits.of(text, quote[0]) if quote else Bits.none(len(text))
        returns = Bits.of(text, CR) if may_have_returns else Bits.none(len(text))
        return cls(text, delimiter, quotes, Bits.of(text, LF), returns, quotes.odd_before())

    def below(self, place: int) -> _Marks:
        """Those of the text that ends at a place."""
        found = (marks.below(place) for marks in (self.quotes, self.feeds, self.returns, self.inside))
        return _Marks(self.text[:place], self.delimiter, *found)

    @cached_property
    def delimiters(self) -> Bits:
        """The delimiters, also inside quotes."""
        return Bits.of(self.text, self.delimiter[0])

    @cached_property
    def lone_returns(self) -> Bits:
        """The CR without LF behind."""
        return self.returns & ~self.feeds.previous() if self.returns else self.returns

    @cached_property
    def lines(self) -> int:
        """The number of LF, CRLF, and CR alone."""
        return self.feeds.count() + self.lone_returns.count()

    def are_quotes_sound(self) -> bool:
        """Whether each opening quote begins a field and each closing one ends it, or the two are one doubled quote."""
        if not self.quotes:
            return True
        # Of two quotes side by side one opens and one closes, so that each may have any quote beside it.
        border = self.delimiters | self.feeds | self.returns | self.quotes
        opening, closing = self.quotes & ~self.inside, self.quotes & self.inside
        return not opening & ~border.next(start=True) and not closing & ~border.previous()


def _has_no_long_line(data: bytes, used: int) -> bool:
    """Whether no line can hold a field beyond the limit: each half of the limit holds a line end."""
    half = FIELD_BYTES // 2
    return all(data.find(b"\n", start, min(start + half, used)) >= 0 for start in range(0, used, half))
