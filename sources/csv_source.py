"""Reads CSV strictly: cells are text, and a row is either exactly what the file says or marked with its fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import FAULT, LINE, RAW, ROW, SPOOL_COLUMNS, SUPERSEDED
from restock.errors import SourceError
from sources.columns import refuse_bad_names
from sources.csv_blocks import BlockReader
from sources.csv_rows import OPEN_QUOTE_CHARACTERS, Row, RowSplitter
from sources.csv_text import has_marks, text_blocks, undecodable_position
from sources.framing import no_text, resized
from sources.locations import open_pinned

if TYPE_CHECKING:
    from restock.feeds import Feed
    from sources.locations import SourceFile


# Text in doubt is halved down to this size before it is read the careful way.
CAREFUL_CHARACTERS = 128 * 1024


class CsvSource:
    """One CSV file, plain or gzipped. `columns` are the names in its header.

    A cell is missing where it is one of the feed's null words, whether in quotes or not; nothing else is changed.
    """

    def __init__(self, file: SourceFile, feed: Feed) -> None:
        """Read the header.

        Raises:
            SourceError: the file is no CSV, its header cannot be used, or it cannot be decoded.
        """
        self.file, self._rules = file, feed.csv
        self._splitter = RowSplitter(feed.csv, file.name)
        self.columns, self._header_characters, self._first_line = self._read_header()

    def frames(self, rows: int) -> Iterator[pd.DataFrame]:
        """The rows in frames of that many (the last may be smaller), with the spool columns beside those of the file.

        Raises:
            SourceError: the file has no rows, is cut short, or a quote in it makes the end of a row uncertain.
            SourceChanged: the file is not the one that was planned.
        """
        first, undecodable = 1, 0
        for frame in resized(self._blocks(), rows):
            frame[ROW] = np.arange(first, first + len(frame))
            first += len(frame)
            undecodable += int((frame[FAULT] == "encoding").sum())
            yield frame
        if first == 1:
            raise SourceError(f"{self.file.name} holds no rows, only a header; have it exported again.")
        if undecodable == first - 1:
            with open_pinned(self.file) as handle:
                raise self._wrong_encoding("The text", handle)

    def _read_header(self) -> tuple[list[str], int, int]:
        """The names, and where the text goes on after them: its place and line."""
        pending = ""
        with open_pinned(self.file) as handle:
            for text, is_last in text_blocks(self.file, handle, self._rules.encoding):
                pending += text
                found = self._splitter.header(pending, is_last)
                if found is None:
                    continue
                names, end, line = found
                if any(has_marks(name) for name in names):
                    raise self._wrong_encoding("The header", handle)
                refuse_bad_names(names, self.file.name)
                return names, end, line
        raise SourceError(f"{self.file.name} holds no header and no rows; have it exported again.")

    def _wrong_encoding(self, what: str, handle: BinaryIO) -> SourceError:
        encoding = self._rules.encoding
        position, wrong = undecodable_position(self.file, handle, encoding)
        likely = ", which looks like utf-16" if position == 0 and wrong[:1] in (b"\xff", b"\xfe") else ""
        return SourceError(
            f"{what} of {self.file.name} is not in {encoding}: byte {position} (0x{wrong[0]:02x}) cannot be decoded; "
            f"set `csv: encoding` to that of the file{likely}."
        )

    def _blocks(self) -> Iterator[pd.DataFrame]:
        reader = BlockReader(self._rules, self.columns)
        pending, line, is_header = "", self._first_line, True
        with open_pinned(self.file) as handle:
            for text, is_last in text_blocks(self.file, handle, self._rules.encoding):
                pending += text
                if is_header:
                    if len(pending) < self._header_characters:
                        continue
                    pending, is_header = pending[self._header_characters :], False
                frames, pending, line = self._read_text(reader, pending, line, is_last)
                yield from frames
                if len(pending) > 2 * OPEN_QUOTE_CHARACTERS:
                    raise SourceError(
                        f"The row that begins on line {line} of {self.file.name} has no end within 128 MiB; "
                        "check the line ends and quotes of the file."
                    )

    def _read_text(
        self, reader: BlockReader, text: str, line: int, is_last: bool
    ) -> tuple[list[pd.DataFrame], str, int]:
        """The rows of a text as far as they are certain; then the text left over and the line it begins on."""
        data = None if has_marks(text) else text.encode()
        block = None if data is None else reader.read(data, line)
        if data is not None and block is not None:
            frames = [_sound_frame(block.table, block.lines)]
            rest, line = data[block.used_bytes :].decode(), block.next_line
            if not (is_last and rest):
                return frames, rest, line
            careful, rest, line = self._read_carefully(rest, line, is_last)
            return frames + careful, rest, line
        if len(text) > CAREFUL_CHARACTERS:
            return self._read_halves(reader, text, line, is_last)
        return self._read_carefully(text, line, is_last)

    def _read_halves(
        self, reader: BlockReader, text: str, line: int, is_last: bool
    ) -> tuple[list[pd.DataFrame], str, int]:
        """One row in doubt must not make all others slow: each half is tried by itself."""
        middle = len(text) // 2
        while text[middle - 1] == "\r" and middle < len(text):
            middle += 1
        frames, rest, after = self._read_text(reader, text[:middle], line, False)
        if len(rest) == middle:
            return self._read_carefully(text, line, is_last)
        more, rest, after = self._read_text(reader, rest + text[middle:], after, is_last)
        return frames + more, rest, after

    def _read_carefully(self, text: str, line: int, is_last: bool) -> tuple[list[pd.DataFrame], str, int]:
        rows, used, line = self._splitter.rows(text, line, len(self.columns), is_last)
        return [self._careful_frame(rows)] if rows else [], text[used:], line

    def _careful_frame(self, rows: list[Row]) -> pd.DataFrame:
        nothing = [None] * len(self.columns)
        cells = zip(*(row.cells or nothing for row in rows), strict=True)
        columns = [self._without_null_words(pa.array(column, pa.large_string())) for column in cells]
        frame = _sound_frame(pa.table(columns, self.columns), np.array([row.line for row in rows]))
        frame[FAULT] = pd.array([row.fault for row in rows], dtype="str")
        frame[RAW] = pd.array([row.raw for row in rows], dtype="str")
        return frame

    def _without_null_words(self, column: pa.Array) -> pa.Array:
        is_null = pc.is_in(column, pa.array(self._rules.null_values, pa.large_string()))
        return pc.if_else(is_null, pa.scalar(None, pa.large_string()), column)


def _sound_frame(table: pa.Table, lines: np.ndarray) -> pd.DataFrame:
    frame = table.to_pandas()
    rows = len(frame)
    spool = {
        ROW: np.zeros(rows, np.int64),
        LINE: pd.array(lines, dtype="Int64"),
        FAULT: no_text(rows),
        RAW: no_text(rows),
        SUPERSEDED: np.zeros(rows, bool),
    }
    return pd.concat([frame, pd.DataFrame(spool, columns=list(SPOOL_COLUMNS))], axis=1)
