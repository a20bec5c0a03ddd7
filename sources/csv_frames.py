"""Turns stretches of a CSV file's text into frames: at once where the text is beyond doubt, else row by row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SUPERSEDED
from sources.csv_blocks import BlockReader
from sources.framing import column_of, no_numbers, no_text

if TYPE_CHECKING:
    from restock.csv_rules import CsvRules
    from sources.csv_rows import Row, RowSplitter
    from sources.csv_text import Encoding

# Text in doubt is halved down to this size before it is read the careful way.
CAREFUL_BYTES = 128 * 1024


@dataclass(frozen=True)
class Stretch:
    """Text in UTF-8 that begins with a row, and the line it begins on.

    It ends before `end_byte` of its file; `is_last` says that the file ends there too.
    """

    data: bytes
    line: int
    end_byte: int
    is_last: bool


class FrameReader:
    """Reads the stretches of one file with known columns."""

    def __init__(self, rules: CsvRules, columns: list[str], splitter: RowSplitter, encoding: Encoding) -> None:
        self._null_words = pa.array(rules.null_values, pa.large_string())
        self._columns = columns
        self._blocks, self._splitter, self._encoding = BlockReader(rules, columns), splitter, encoding

    def read(self, text: Stretch) -> tuple[list[pd.DataFrame], Stretch]:
        """The rows of a stretch as far as they are certain, in frames; then the stretch that is left over.

        Raises:
            SourceError: a quote makes the end of a row uncertain.
        """
        if not text.data:
            return [], text
        block = self._blocks.read(text.data, text.line)
        if block is not None:
            frame = _sound_frame(block.table, block.lines)
            rest = replace(text, data=text.data[block.used_bytes :], line=block.next_line)
            if not (rest.is_last and rest.data):
                return [frame], rest
            more, rest = self._read_carefully(rest)
            return [frame, *more], rest
        middle = text.data.find(b"\n", len(text.data) // 2) + 1
        if len(text.data) > CAREFUL_BYTES and 0 < middle < len(text.data):
            return self._read_halves(text, middle)
        return self._read_carefully(text)

    def _read_halves(self, text: Stretch, middle: int) -> tuple[list[pd.DataFrame], Stretch]:
        """One row in doubt must not make all others slow: each half is tried by itself."""
        end_byte = text.end_byte - self._encoding.bytes_in_file(text.data[middle:])
        frames, rest = self.read(Stretch(text.data[:middle], text.line, end_byte, False))
        if len(rest.data) == middle:
            return self._read_carefully(text)
        more, rest = self.read(replace(text, data=rest.data + text.data[middle:], line=rest.line))
        return frames + more, rest

    def _read_carefully(self, stretch: Stretch) -> tuple[list[pd.DataFrame], Stretch]:
        text = self._encoding.text(stretch.data, stretch.is_last)
        rows, used, line = self._splitter.rows(text, stretch.line, len(self._columns), stretch.is_last)
        rest = replace(stretch, data=stretch.data[self._encoding.size(text[:used]) :], line=line)
        return [self._careful_frame(rows, text, stretch)] if rows else [], rest

    def _careful_frame(self, rows: list[Row], text: str, stretch: Stretch) -> pd.DataFrame:
        nothing = [None] * len(self._columns)
        cells = zip(*(row.cells or nothing for row in rows), strict=True)
        columns = [self._without_null_words(pa.array(column, pa.large_string())) for column in cells]
        frame = _sound_frame(pa.table(columns, self._columns), np.array([row.line for row in rows]))
        faulty = [place for place, row in enumerate(rows) if row.fault is not None]
        if faulty:
            frame[FAULT] = pd.array([row.fault for row in rows], dtype="str")
            frame[RAW] = pd.array([row.raw for row in rows], dtype="str")
            frame.loc[faulty, BYTE] = self._bytes_of([rows[place].place for place in faulty], text, stretch)
        return frame

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
        return pc.if_else(is_null, pa.scalar(None, pa.large_string()), column)


def _sound_frame(table: pa.Table, lines: np.ndarray) -> pd.DataFrame:
    rows = table.num_rows
    columns = {name: column_of(table.column(name)) for name in table.column_names}
    columns[ROW] = np.zeros(rows, np.int64)
    columns[LINE] = pd.arrays.IntegerArray(lines, np.zeros(rows, bool))
    columns[BYTE] = no_numbers(rows)
    columns[FAULT], columns[RAW] = no_text(rows), no_text(rows)
    columns[SUPERSEDED] = np.zeros(rows, bool)
    return pd.DataFrame(columns, copy=False)
