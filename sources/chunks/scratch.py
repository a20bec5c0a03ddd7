"""What is set down on disk while a source is read, so that memory does not grow with its rows."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa

from sources.chunks.spool import unwritable


class Place(NamedTuple):
    """Where in a scratch something lies."""

    start: int
    size: int


class PlacedRows(NamedTuple):
    """Where in a scratch some rows lie, how many, and the types of their columns."""

    place: Place
    rows: int
    schema: pa.Schema


class Scratch:
    """Bytes in a file that no other process sees, and that is gone when this one ends.

    Raises:
        SourceError: the folder cannot be written, or its disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._end = folder, 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def set_down(self, content: bytes | memoryview) -> Place:
        """Set something down; raises as the constructor does."""
        place = Place(self._end, len(content))
        try:
            left = memoryview(content)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise unwritable(self._folder, error) from error
        self._end += place.size
        return place

    def set_down_rows(self, rows: pa.RecordBatch) -> PlacedRows:
        """Set rows down; raises as the constructor does."""
        return PlacedRows(self.set_down(memoryview(rows.serialize())), rows.num_rows, rows.schema)

    def rows_at(self, placed: PlacedRows) -> pa.RecordBatch:
        """The rows that lie at a place."""
        return pa.ipc.read_record_batch(self.read(placed.place), placed.schema)

    def read(self, place: Place) -> bytes:
        """What lies at a place."""
        return os.pread(self._file.fileno(), place.size, place.start)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
