"""Files hashed: once for what they are, and again while they are read, so that what was read is what is compared."""

from __future__ import annotations

import hashlib
from typing import Any, BinaryIO, NamedTuple

import xxhash

BLOCK_BYTES = 1024 * 1024


class FileHashes(NamedTuple):
    """The size of a file, its SHA-256 in hexadecimal, and the checksum that each reading of it must come to.

    The checksum (XXH3, 128 bits) is no proof against who wants to deceive, who could as well have sent the other file
    at first; each reading has to make it, and it takes a small part of the time of SHA-256.
    """

    size: int
    digest: str
    checksum: str


def hash_file(handle: BinaryIO) -> FileHashes:
    """Read a file from where it is to its end."""
    size, digest, checksum = 0, hashlib.sha256(), xxhash.xxh3_128()
    while content := handle.read(BLOCK_BYTES):
        size += len(content)
        digest.update(content)
        checksum.update(content)
    return FileHashes(size, digest.hexdigest(), checksum.hexdigest())


class CheckedFile:
    """An open file whose checksum is made as it is read, as far as it is read from its start on.

    Everything else is left to the file itself; reading here and there is fine, and makes `checksum` read what it lacks.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._hash = xxhash.xxh3_128()
        self._hashed = 0  # bytes

    def read(self, size: int = -1) -> bytes:
        """Read as the file does."""
        start = self._handle.tell()
        content = self._handle.read(size)
        if start <= self._hashed < start + len(content):
            self._take(memoryview(content)[self._hashed - start :])
        return content

    def checksum(self) -> str:
        """That of the whole file."""
        self._handle.seek(self._hashed)
        while content := self._handle.read(BLOCK_BYTES):
            self._take(content)
        return self._hash.hexdigest()

    def _take(self, content: bytes | memoryview) -> None:
        self._hash.update(content)
        self._hashed += len(content)

    def __enter__(self) -> CheckedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)
