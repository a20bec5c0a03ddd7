"""Files of stores, brought here once and read from their copy: what is read cannot change any more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import BinaryIO

from restock.errors import SourceChanged, SourceError
from sources.places.addresses import Address
from sources.places.sftp_login import login
from sources.places.shelf import Copy, Shelf
from sources.places.stores import FileSystem, Store, Version
from sources.places.web import Web


def store_of(address: Address) -> Store:
    """The store that an address is in.

    Raises:
        ConfigurationError: the extra that it needs is not installed.
    """
    return Web() if address.is_web else file_system_of(address)


def file_system_of(address: Address) -> FileSystem:
    """The same where addresses may name folders and patterns: anywhere but on the web.

    Raises:
        ConfigurationError: the extra that it needs is not installed.
    """
    if address.scheme == "sftp":
        return FileSystem("sftp", lambda: login(address.host))
    return FileSystem(address.scheme)


class RemoteFile:
    """One file of a store. It is brought when it is first opened, or at once where no tag or no size tells it apart."""

    def __init__(self, store: Store, address: Address, shelf: Shelf) -> None:
        """Ask for the file's version.

        Args:
            store: where it is.
            address: its address.
            shelf: where its copy is kept.

        Raises:
            SourceError: it cannot be read.
            SourceChanged: it changed while it was brought.
        """
        self._store, self._address, self._shelf = store, address, shelf
        self._copy: Copy | None = None
        with store.reading(address) as reading:
            self._version: Version = reading.version
            size, tag = self._version.size, self._version.tag
            if tag is None or size is None:
                self._copy = self._brought(reading.parts)
                size, digest = self._copy.size, self._copy.digest
            else:
                digest = hashlib.sha256(json.dumps([size, tag]).encode()).hexdigest()
        self.size, self.digest = size, digest
        if self._copy is not None:
            self._refuse_other_version()

    def open(self) -> BinaryIO:
        if self._copy is None:
            with self._store.reading(self._address) as reading:
                if reading.version != self._version:
                    raise SourceChanged(
                        f"{self._address} changed since it was found; nothing of it was loaded, so start again."
                    )
                self._copy = self._brought(reading.parts)
        return self._copy.open()

    def refuse_changed(self, handle: BinaryIO, cause: Exception | None) -> None:
        """Nothing: the copy is ours alone."""

    def _brought(self, parts: Iterator[bytes]) -> Copy:
        try:
            copy = self._shelf.copy(parts)
        except OSError as error:
            raise SourceError(
                f"The copy of {self._address} cannot be written: {error.strerror}; make room for the spool."
            ) from error
        promised = self._version.size
        if promised is not None and copy.size != promised:
            raise SourceError(
                f"{self._address} broke off after {copy.size} of {promised} bytes; nothing of it was loaded, so start "
                "again."
            )
        return copy

    def _refuse_other_version(self) -> None:
        if self._version.tag is None and self._version.modified is None:
            return
        with self._store.reading(self._address) as reading:
            if reading.version != self._version:
                raise SourceChanged(
                    f"{self._address} changed while it was read; nothing of it was loaded, so start again."
                )
