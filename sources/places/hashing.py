"""Hashes a file while it is read, so that what was read is what is compared, and no byte is fetched twice for it."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

BLOCK_BYTES = 4 * 1024 * 1024


class HashedFile:
    """An open file whose bytes are hashed on their way, by a second thread, as far as they are read from its start on.

    Everything else is left to the file itself; reading here and there is fine, and makes `digest` read what it lacks.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._hash = hashlib.sha256()
        self._hashed = 0  # bytes, counted when they are handed over
        self._thread = ThreadPoolExecutor(1)
        self._busy: Future[None] | None = None

    def read(self, size: int = -1) -> bytes:
        """Read as the file does."""
        start = self._handle.tell()
        content = self._handle.read(size)
        if start <= self._hashed < start + len(content):
            self._take(content[self._hashed - start :])
        return content

    def digest(self) -> str:
        """The SHA-256 of the whole file, in hexadecimal."""
        self._handle.seek(self._hashed)
        while content := self._handle.read(BLOCK_BYTES):
            self._take(content)
        self._wait()
        return self._hash.hexdigest()

    def _take(self, content: bytes) -> None:
        self._wait()  # no more than one block waits: memory stays bounded
        self._hashed += len(content)
        self._busy = self._thread.submit(self._hash.update, content)

    def _wait(self) -> None:
        if self._busy is not None:
            self._busy.result()

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and end the thread."""
        self._thread.shutdown()
        self._handle.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)
