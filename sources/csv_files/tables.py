"""Turns stretches of a CSV file's text into tables: at once where the text is beyond doubt, else row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from restock.errors import SourceError
from sources.chunks.framing import TEXT, with_spool_columns
from sources.csv_files.blocks import BlockReader, Places

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules
    from sources.csv_files.header import TableStart
    from sources.csv_files.rows import Row, RowSplitter
    from sources.csv_files.text import Encoding, TextBlock

# Text in doubt is halved down to this size before it is read the careful way.
CAREFUL_BYTES = 128 * 1024
# Text that has grown so much without the end of a row is in doubt; to look for proof would cost more than it holds.
DOUBTFUL_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Stretch:
    """Text in UTF-8 that begins with a row, and the line it begins on.

    It ends before `end_byte` of its file; `is_last` says that the file ends there too.
    """

    data: bytes
    line: int
    end_byte: int
    is_last: bool


class Piece(NamedTuple):
    """Some rows: their cells, the line each begins on, and of each the fault, its text and its byte, if any has one.

    The lines are counted from line `above`, which may be known only later.
    """

    cells: pa.Table
    lines: Places
    faults: list[str | None] | None = None
    raws: list[str | None] | None = None
    places: list[int | None] | None = None
    above: int = 0

    def table(self) -> pa.Table:
        """The rows with the spool columns beside the cells."""
        return with_spool_columns(self.cells, self.lines + self.above, self.faults, self.raws, self.places)


class Rows(NamedTuple):
    """The rows of a stretch as far as they are certain, in pieces; then the stretch that is left over."""

    pieces: list[Piece]
    rest: Stretch

    def on(self, line: int) -> Rows:
        """The same rows, where the stretch was read as from line 0 and begins on this one."""
        pieces = [piece._replace(above=piece.above + line) for piece in self.pieces]
        return Rows(pieces, replace(self.rest, line=self.rest.line + line))

    def tables(self) -> list[pa.Table]:
        """The rows in tables, with the spool columns beside the cells."""
        return [piece.table() for piece in self.pieces]


class TableReader:
    """Reads the stretches of one file whose start is known."""

    def __init__(self, rules: CsvRules, start: TableStart, splitter: RowSplitter, encoding: Encoding) -> None:
        self._null_words = pa.array(rules.null_values, TEXT)
        self._columns = start.names
        self._blocks, self._splitter, self._encoding = BlockReader(rules, start.names), splitter, encoding

    def stretches(self, blocks: Iterable[TextBlock], start: int) -> Iterator[Stretch]:
        """The text behind a place, in stretches that seem to begin and end with a row. They know their lines not yet.

        In a file with faults, or with fields larger than a block, they may not.
        """
        held, skip = b"", start
        for block in blocks:
            data = block.data
            if skip:
                held += data
                if len(held) < skip and not block.is_last:
                    continue
                data, held, skip = held[skip:], b"", 0
            end = len(data) if block.is_last else self._blocks.likely_end(held, data) or len(data)
            used, held = held + memoryview(data)[:end], data[end:]  # once is a large block copied, and not twice
            if used or block.is_last:
                yield Stretch(used, 0, block.end_byte - self._encoding.bytes_in_file(held), block.is_last)

    def try_to_read(self, text: Stretch) -> tuple[Stretch, Rows | None]:
        """A stretch, and its rows if it begins with a row; none if it cannot be read as if it did."""
        try:
            return text, self.read(text)
        except SourceError:
            return text, None

    def read(self, text: Stretch) -> Rows:
        """The rows of a stretch that begins with a row.

        Raises:
            SourceError: a quote makes the end of a row uncertain.
        """
        if not text.data:
            return Rows([], text)
        if len(text.data) > DOUBTFUL_BYTES:
            return self._read_carefully(text)
        block = self._blocks.read(text.data)
        if block is not None:
            piece = Piece(block.table, block.lines, above=text.line)
            rest = replace(text, data=text.data[block.used_bytes :], line=text.line + block.next_line)
            if not (rest.is_last and rest.data):
                return Rows([piece], rest)
            more, rest = self._read_carefully(rest)
            return Rows([piece, *more], rest)
        middle = text.data.find(b"\n", len(text.data) // 2) + 1
        if len(text.data) > CAREFUL_BYTES and 0 < middle < len(text.data):
            return self._read_halves(text, middle)
        return self._read_carefully(text)

    def _read_halves(self, text: Stretch, middle: int) -> Rows:
        """One row in doubt must not make all others slow: each half is tried by itself."""
        end_byte = text.end_byte - self._encoding.bytes_in_file(text.data[middle:])
        pieces, rest = self.read(Stretch(text.data[:middle], text.line, end_byte, False))
        if len(rest.data) == middle:
            return self._read_carefully(text)
        more, rest = self.read(replace(text, data=rest.data + text.data[middle:], line=rest.line))
        return Rows(pieces + more, rest)

    def _read_carefully(self, stretch: Stretch) -> Rows:
        text = self._encoding.text(stretch.data, stretch.is_last)
        rows, used, line = self._splitter.rows(text, stretch.line, len(self._columns), stretch.is_last)
        rest = replace(stretch, data=stretch.data[self._encoding.size(text[:used]) :], line=line)
        return Rows([self._careful_piece(rows, text, stretch)] if rows else [], rest)

    def _careful_piece(self, rows: list[Row], text: str, stretch: Stretch) -> Piece:
        nothing = [None] * len(self._columns)
        cells = zip(*(row.cells or nothing for row in rows), strict=True)
        table = pa.table([self._without_null_words(pa.array(column, TEXT)) for column in cells], self._columns)
        lines, faulty = np.array([row.line for row in rows]), [row for row in rows if row.fault is not None]
        if not faulty:
            return Piece(table, lines)
        at = iter(self._bytes_of([row.place for row in faulty], text, stretch))
        places = [None if row.fault is None else next(at) for row in rows]
        return Piece(table, lines, [row.fault for row in rows], [row.raw for row in rows], places)

    def _bytes_of(self, places: list[int], text: str, stretch: Stretch) -> list[int]:
        """The bytes of the file at some places of a stretch's text, in rising order."""
        byte, done, found = stretch.end_byte - self._encoding.bytes_in_file(stretch.data), 0, []
        for place in places:
            byte += self._encoding.size_in_file(text[done:place])
            done = place
            found.append(byte)
        return found

    def _without_null_words(self, column: pa.Array) -> pa.Array:
        is_null = pc.is_in(column, self._null_words)
        return pc.if_else(is_null, pa.scalar(None, TEXT), column)
