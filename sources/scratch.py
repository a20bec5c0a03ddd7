"""Numbers that are set down on disk while a source is read, so that memory does not grow with its rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from restock.errors import SourceError

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


class Scratch:
    """Arrays of 64-bit numbers in a file that no other process sees, and that is gone when this one ends.

    Raises:
        SourceError: the folder cannot be written, or its disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lengths = folder, list[int]()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, numbers: Hashes) -> None:
        """Set one more array down; raises as the constructor does."""
        try:
            left = memoryview(numbers.tobytes())
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._unwritable(error) from error
        self._lengths.append(len(numbers))

    def __iter__(self) -> Iterator[Hashes]:
        """The arrays in the order in which they came, one in memory at a time."""
        self._file.seek(0)
        for length in self._lengths:
            yield np.frombuffer(self._file.read(8 * length), np.uint64)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _unwritable(self, error: OSError) -> SourceError:
        return SourceError(
            f"The spool {self._folder.name} cannot be written: {error.strerror or error}; check the room on its disk "
            "and the folder named in RESTOCK_SPOOL."
        )
