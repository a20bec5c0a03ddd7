"""Reads CSV strictly: every cell is text, and every row is either exactly what the file says or is marked with its fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import FAULT, LINE, RAW, ROW, SPOOL_COLUMNS, SUPERSEDED
from restock.errors import SourceError
from sources.columns import refuse_bad_names
from sources.csv_blocks import BlockReader
from sources.csv_rows import OPEN_QUOTE_CHARACTERS, Row, RowSplitter
from sources.csv_text import MARK, text_blocks, undecodable_position
from sources.framing import resized
from sources.locations import open_pinned

if TYPE_CHECKING:
    from restock.feeds import Feed
    from sources.locations import SourceFile


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
        self.columns, self._line = self._read_header()

    def frames(self, rows: int) -> Iterator[pd.DataFrame]:
        """The rows in frames of that many (the last may be smaller), with the spool columns beside those of the file.

        Raises:
            SourceError: the file has no rows, is cut short, or a quote in it makes the end of a row uncertain.
            SourceChanged: the file is not the one that was planned.
        """
        first = 1
        for frame in resized(self._blocks(), rows):
            frame[ROW] = np.arange(first, first + len(frame))
            first += len(frame)
            yield frame
        if first == 1:
            raise SourceError(f"{self.file.name} holds no rows, only a header; have it exported again.")

    def _read_header(self) -> tuple[list[str], int]:
        pending = ""
        with open_pinned(self.file) as handle:
            for text, is_last in text_blocks(self.file, handle, self._rules.encoding):
                pending += text
                found = self._splitter.header(pending, is_last)
                if found is None:
                    continue
                names, end, line = found
                if any(MARK.search(name) for name in names):
                    position, wrong = undecodable_position(self.file, handle, self._rules.encoding)
                    raise SourceError(
                        f"The header of {self.file.name} is not {self._rules.encoding}: byte {position} (0x{wrong[0]:02x}) "
                        f"cannot be decoded; set `csv: encoding` to that of the file{_likely_encoding(wrong, position)}."
                    )
                refuse_bad_names(names, self.file.name)
                self._header_characters = end
                return names, line
        raise SourceError(f"{self.file.name} holds no header and no rows; have it exported again.")

    def _blocks(self) -> Iterator[pd.DataFrame]:
        reader = BlockReader(self._rules, self.columns)
        pending, line, is_header = "", self._line, True
        with open_pinned(self.file) as handle:
            for text, is_last in text_blocks(self.file, handle, self._rules.encoding):
                pending += text
                if is_header:
                    if len(pending) < self._header_characters:
                        continue
                    pending, is_header = pending[self._header_characters :], False
                frames, pending, line = self._read_block(reader, pending, line, is_last)
                yield from frames
                if len(pending) > 2 * OPEN_QUOTE_CHARACTERS:
                    raise SourceError(
                        f"The row that begins on line {line} of {self.file.name} has no end within 128 MiB; "
                        "check the line ends and quotes of the file."
                    )

    def _read_block(
        self, reader: BlockReader, text: str, line: int, is_last: bool
    ) -> tuple[list[pd.DataFrame], str, int]:
        """The rows of a text, fast where it is beyond doubt; then the text left over and the line it begins on."""
        frames = []
        if text.isascii() or MARK.search(text) is None:
            data = text.encode()
            block = reader.read(data, line)
            if block is not None:
                frames.append(_sound_frame(block.table, block.lines))
                text, line = data[block.used_bytes :].decode(), block.next_line
                if not is_last:
                    return frames, text, line
        rows, used, line = self._splitter.rows(text, line, len(self.columns), is_last)
        if rows:
            frames.append(self._careful_frame(rows))
        return frames, text[used:], line

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
        FAULT: pd.array([None] * rows, dtype="str"),
        RAW: pd.array([None] * rows, dtype="str"),
        SUPERSEDED: np.zeros(rows, bool),
    }
    return pd.concat([frame, pd.DataFrame(spool, columns=list(SPOOL_COLUMNS))], axis=1)


def _likely_encoding(wrong: bytes, position: int) -> str:
    return ", which looks like utf-16" if position == 0 and wrong[:1] in (b"\xff", b"\xfe") else ""
