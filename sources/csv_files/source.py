"""Reads CSV strictly: cells are text, and a row is either exactly what the file says or marked with its fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from restock.ahead import THREADS, in_order
from restock.chunks import FAULT
from restock.errors import NoRows, SourceError
from sources.chunks.columns import refuse_bad_names
from sources.chunks.framing import TEXT
from sources.csv_files.header import TableStart, find_start
from sources.csv_files.rows import OPEN_QUOTE_CHARACTERS, RowSplitter
from sources.csv_files.second_table import SecondTable
from sources.csv_files.tables import Stretch, TableReader
from sources.csv_files.text import Encoding, has_marks
from sources.places.locations import open_pinned, open_start

if TYPE_CHECKING:
    from restock.feeds import Feed
    from sources.places.locations import SourceFile


class CsvSource:
    """One CSV file, plain or compressed. `columns` are the names in its header, or those the feed gives.

    A cell is missing where it is one of the feed's null words, whether in quotes or not; nothing else is changed.
    """

    def __init__(self, file: SourceFile, feed: Feed) -> None:
        """Read the header.

        Raises:
            SourceError: the file is no CSV, its header cannot be used, or it cannot be decoded.
        """
        self.file, self._rules = file, feed.csv
        self._encoding = Encoding(feed.csv.encoding)
        self._splitter = RowSplitter(feed.csv, file.name)
        self._start = self._find_start()
        self.columns = self._start.names

    @property
    def types(self) -> dict[str, pa.DataType]:
        """The type of each column: text."""
        return dict.fromkeys(self.columns, TEXT)

    def tables(self) -> Iterator[pa.Table]:
        """The rows in tables of bounded size, with the spool columns beside those of the file.

        Raises:
            SourceError: the file has no rows, is cut short, has its header again between rows, or a quote in it makes
                the end of a row uncertain.
            SourceChanged: the file is not the one that was planned.
        """
        rows = undecodable = 0
        with open_pinned(self.file) as handle:
            for table in SecondTable(self._rules, self._start, self.file.name).watched(self._read(handle)):
                rows += table.num_rows
                faults = table[FAULT]
                if faults.null_count < len(faults):
                    undecodable += pc.sum(pc.equal(faults, "encoding")).as_py() or 0
                yield table
        if not rows:
            only = ", only a header" if self._rules.header_rows else ""
            raise NoRows(f"{self.file.name} holds no rows{only}; have it exported again.")
        if undecodable == rows:
            with open_pinned(self.file) as handle:
                raise self._wrong_encoding("The text", handle)

    def _find_start(self) -> TableStart:
        data = b""
        with open_start(self.file) as handle:
            for block in self._encoding.blocks(self.file, handle):
                data += block.data
                text = self._encoding.text(data, block.is_last)
                start = find_start(text, block.is_last, self._rules, self._splitter)
                if start is None:
                    continue
                if any(has_marks(name) for name in start.names):
                    raise self._wrong_encoding("The header", handle)
                refuse_bad_names(start.names, self.file.name)
                return start._replace(place=self._encoding.size(text[: start.place]))
        raise SourceError(f"{self.file.name} holds no header and no rows; have it exported again.")

    def _wrong_encoding(self, what: str, handle: BinaryIO) -> SourceError:
        position, wrong = self._encoding.first_undecodable(self.file, handle)
        likely = ", which looks like utf-16" if position == 0 and wrong[:1] in (b"\xff", b"\xfe") else ""
        return SourceError(
            f"{what} of {self.file.name} is not in {self._rules.encoding}: byte {position} (0x{wrong[0]:02x}) cannot "
            f"be decoded; set `csv: encoding` to that of the file{likely}."
        )

    def _read(self, handle: BinaryIO) -> Iterator[pa.Table]:
        reader = TableReader(self._rules, self._start, self._splitter, self._encoding)
        rest, enough = Stretch(b"", self._start.line, 0, False), 0
        stretches = reader.stretches(self._encoding.blocks(self.file, handle), self._start.place)
        for text, found in in_order(reader.try_to_read, stretches, ready=THREADS + 1):
            if rest.data or found is None:
                text = replace(text, data=rest.data + text.data, line=rest.line)
                if len(text.data) < enough and not text.is_last:
                    rest = text
                    continue
                rows = reader.read(text)
            else:
                rows = found.on(rest.line)
            yield from rows.tables()
            rest = rows.rest
            self._refuse_endless(rest)
            # Text without a whole row is tried again when there is twice as much, so that it is not tried often.
            enough = 0 if rows.pieces else 2 * len(rest.data)

    def _refuse_endless(self, rest: Stretch) -> None:
        if len(rest.data) > 2 * OPEN_QUOTE_CHARACTERS:
            raise SourceError(
                f"The row that begins on line {rest.line} of {self.file.name} has no end within "
                f"{2 * OPEN_QUOTE_CHARACTERS // 2**20} MiB; check the line ends and quotes of the file."
            )
