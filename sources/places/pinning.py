"""The files of a source, pinned: what is read is what was found, or the change is an error."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from restock.errors import SourceChanged, SourceError
from restock.formats import Format, Packing
from sources.places.hashing import CheckedFile, FileHashes, hash_file


class Origin(Protocol):
    """Where the bytes of a source file come from."""

    def open(self) -> BinaryIO:
        """The bytes that were found, for the caller to close.

        Raises:
            SourceError: they are gone or cannot be read.
            SourceChanged: there are others in their place.
        """

    def refuse_changed(self, handle: BinaryIO, cause: Exception | None) -> None:
        """Make sure that what was read were the bytes that were found.

        Raises:
            SourceChanged: they were not.
        """


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: its digest, its size as stored, and the most bytes it may unpack to.

    `digest` is of the stored bytes, or of what their store says about their version. `name` is how people see the file.
    """

    origin: Origin
    name: str
    format: Format
    packing: Packing | None
    digest: str
    size: int
    most_bytes: int


@contextmanager
def open_pinned(file: SourceFile) -> Iterator[BinaryIO]:
    """Open a file for reading, and make sure at the end that its bytes are still those that were found.

    Raises:
        SourceChanged: they are not; this goes before any other fault that reading found.
        SourceError: the file is empty, is gone or cannot be read.
    """
    with open_start(file) as handle:
        yield handle
        file.origin.refuse_changed(handle, None)


@contextmanager
def open_start(file: SourceFile) -> Iterator[BinaryIO]:
    """Open a file to look at its start: a fault found there counts only if the bytes are those that were found.

    Who reads the rest of it finds any other change.

    Raises:
        SourceChanged: there was a fault, and the bytes are others.
        SourceError: the file is empty, is gone or cannot be read.
    """
    with file.origin.open() as handle:
        try:
            if not file.size:
                raise SourceError(f"{file.name} is empty (0 bytes); have it exported again.")
            yield handle
        except SourceChanged:
            raise
        except SourceError as error:
            file.origin.refuse_changed(handle, error)
            raise
        except OSError as error:
            raise SourceError(f"{file.name} cannot be read to its end ({error}); check its disk.") from error


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine, under the real path that was allowed."""

    path: Path
    name: str
    found: FileHashes

    @classmethod
    def find(cls, path: Path, name: str) -> LocalFile:
        """Hash a file.

        Raises:
            SourceError: it cannot be read.
        """
        try:
            with open_real(path) as handle:
                return cls(path, name, hash_file(handle))
        except OSError as error:
            raise SourceError(f"{name} cannot be read: {error.strerror}.") from error

    def open(self) -> BinaryIO:
        try:
            return cast("BinaryIO", CheckedFile(open_real(self.path)))
        except OSError as error:
            raise SourceError(
                f"{self.name} can no longer be read ({error.strerror}); bring it back and start again."
            ) from error

    def refuse_changed(self, handle: BinaryIO, cause: Exception | None) -> None:
        size = os.fstat(handle.fileno()).st_size
        if size != self.found.size:
            raise SourceChanged(
                f"{self.name} changed while it was read: it had {self.found.size} bytes and has {size}; "
                "nothing of it was loaded, so start again."
            ) from cause
        if cast("CheckedFile", handle).checksum() != self.found.checksum:
            raise SourceChanged(
                f"{self.name} changed while it was read: its size is the same and its content is not; nothing of it "
                "was loaded, so start again."
            ) from cause


def open_real(path: Path) -> BinaryIO:
    """Open a path that was resolved before it was allowed; a link put in its place since is not followed."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    handle = os.fdopen(os.open(path, flags), "rb")
    if os.path.realpath(path) != os.fspath(path):  # a folder above it can be replaced as well
        handle.close()
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return handle
