"""Files of stores, brought here once: read into a nameless copy that nobody else can open, and read from there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from restock.errors import SourceChanged, SourceError
from sources.addresses import Address
from sources.sftp_login import login
from sources.stores import FileSystem, Store, Version
from sources.web import Web


def store_of(address: Address) -> Store:
    """The store that an address is in.

    Raises:
        ConfigurationError: the extra that it needs is not installed.
    """
    if address.is_web:
        return Web()
    if address.scheme == "sftp":
        return FileSystem("sftp", lambda: login(address.host))
    return FileSystem(address.scheme)


class RemoteFile:
    """One file of a store. It is brought when it is first opened, or at once where the store tags no versions."""

    def __init__(self, store: Store, address: Address, folder: Path) -> None:
        """Ask for the file's version.

        Args:
            store: where it is.
            address: its address.
            folder: where the copy is kept, if that folder is there; else where the system keeps such things.

        Raises:
            SourceError: it cannot be read, or is empty.
            SourceChanged: it changed while it was brought.
        """
        self._store, self._address = store, address
        self._folder = folder if folder.is_dir() else None
        self._copy: _Copy | None = None
        with store.reading(address) as reading:
            self._version: Version = reading.version
            if self._version.tag is None:
                self._copy = self._brought(reading.parts)
        if self._copy is None:
            assert self._version.size is not None, "a store that tags versions knows sizes"
            self.size = self._version.size
            self.digest = hashlib.sha256(json.dumps([self.size, self._version.tag]).encode()).hexdigest()
        else:
            self.size, self.digest = self._copy.size, self._copy.digest
            self._refuse_other_version()
        if self.size == 0:
            raise SourceError(f"{address} is empty (0 bytes); have it exported again.")

    def open(self) -> BinaryIO:
        if self._copy is None:
            with self._store.reading(self._address) as reading:
                if reading.version != self._version:
                    raise SourceChanged(f"{self._address} changed since it was found; start again.")
                self._copy = self._brought(reading.parts)
        return self._copy.open()

    def refuse_changed(self, handle: BinaryIO, cause: Exception | None) -> None:
        """Nothing: the copy is ours alone."""

    def _brought(self, parts: Iterator[bytes]) -> _Copy:
        try:
            copy = _Copy(self._folder)
            for part in parts:
                copy.add(part)
        except OSError as error:
            raise SourceError(
                f"The copy of {self._address} cannot be written: {error.strerror}; make room for the spool."
            ) from error
        promised = self._version.size
        if promised is not None and copy.size != promised:
            raise SourceError(f"{self._address} broke off after {copy.size} of {promised} bytes; start again.")
        return copy

    def _refuse_other_version(self) -> None:
        if self._version.modified is None:
            return
        with self._store.reading(self._address) as reading:
            if reading.version != self._version:
                raise SourceChanged(f"{self._address} changed while it was read; start again.")


class _Copy:
    """Bytes in a file without a name: gone with the process, however it ends."""

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def add(self, part: bytes) -> None:
        self._file.write(part)
        self._hash.update(part)
        self.size += len(part)

    def open(self) -> BinaryIO:
        self._file.flush()
        return io.BufferedReader(_Window(self))

    def read_at(self, place: int, size: int) -> bytes:
        """Some of the bytes; any number of readers do not disturb each other."""
        return os.pread(self._file.fileno(), size, place)


class _Window(io.RawIOBase):
    """A copy, read as a file."""

    def __init__(self, copy: _Copy) -> None:
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
        part = self._copy.read_at(self._place, len(buffer))
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)
