"""Copies of files in one file without a name: nobody else can open it, and it is gone with its process."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO


class Shelf:
    """Keeps copies, each behind the one before it, so that a thousand of them need one open file."""

    def __init__(self, folder: Path) -> None:
        """Keep them on the disk of a folder, if it is there; else where the system keeps such things."""
        self._folder = folder if folder.is_dir() else None
        self._file: Any = None

    def copy(self, parts: Iterable[bytes]) -> Copy:
        """Take in a file.

        Raises:
            OSError: the disk is full.
        """
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        start = self._file.seek(0, os.SEEK_END)
        size, digest = 0, hashlib.sha256()
        for part in parts:
            digest.update(part)
            rest = memoryview(part)
            while rest:
                rest = rest[self._file.write(rest) :]
            size += len(part)
        return Copy(self, start, size, digest.hexdigest())

    def read(self, place: int, size: int) -> bytes:
        """Some of the bytes at a place; any number of readers do not disturb each other."""
        return os.pread(self._file.fileno(), size, place)


@dataclass(frozen=True)
class Copy:
    """One file on a shelf, with the digest of its bytes."""

    shelf: Shelf
    start: int
    size: int
    digest: str

    def open(self) -> BinaryIO:
        """Its bytes, from the first."""
        return io.BufferedReader(_Window(self))


class _Window(io.RawIOBase):
    """A copy, read as a file."""

    def __init__(self, copy: Copy) -> None:
        super().__init__()
        self._copy, self._place = copy, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._copy.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        copy = self._copy
        size = min(len(buffer), max(0, copy.size - self._place))
        part = copy.shelf.read(copy.start + self._place, size)
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)
