"""The bytes of CSV files, unpacked where they are packed, and the limit on what a small file may unpack to."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from restock.errors import SourceError
from restock.formats import SUFFIXES
from restock.limits import shown_size

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from restock.feeds import Feed
    from sources.places.pinning import SourceFile

SIGNATURE_BYTES = 16
# Real feeds unpack to 3 to 30 times their size; a feed of 100 times its size says so, or is small.
USUAL_GROWTH = 100
ALWAYS_ALLOWED = 256 * 2**20

_SIGNATURES = {
    b"\x1f\x8b": "is compressed with gzip; give it the ending .gz",
    b"BZh91AY&SY": "is compressed with bzip2; give it the ending .bz2",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; give it the ending .zst",
    b"PAR1": "is a Parquet file; say `format: parquet`, or give it the ending .parquet",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet, not CSV; give an archive the ending .zip, or export it as CSV",
}
_ENCRYPTED_MEMBER = 1


def most_unpacked(feed: Feed, size: int) -> int:
    """The bytes that a file of a feed may unpack to."""
    return feed.max_unpacked or max(ALWAYS_ALLOWED, USUAL_GROWTH * size)


class Growth:
    """Counts the bytes a file unpacks to while it is read."""

    def __init__(self, file: SourceFile) -> None:
        self._file, self._bytes = file, 0

    def add(self, size: int) -> None:
        """Count so many bytes more.

        Raises:
            SourceError: these are more than the file may unpack to.
        """
        self._bytes += size
        self.expect(0)

    def expect(self, size: int) -> None:
        """Make sure that so many bytes more may come.

        Raises:
            SourceError: these are more than the file may unpack to.
        """
        if self._bytes + size > self._file.most_bytes:
            raise SourceError(
                f"{self._file.name} has {shown_size(self._file.size)} and unpacks to more than "
                f"{shown_size(self._file.most_bytes)}; if that is right, raise the limit `max_unpacked` of its feed."
            )


class Unpacked:
    """The bytes of a CSV file, unpacked where it is packed."""

    def __init__(self, file: SourceFile, handle: BinaryIO) -> None:
        """Begin with a file that stands at its start."""
        self._file, self._handle = file, handle
        self._growth = Growth(file)
        self._stream: BinaryIO | None = None

    def read(self, size: int) -> bytes:
        """At most so many bytes more; none at the end.

        Raises:
            SourceError: the file is cut short or damaged, is or holds something else than CSV, or unpacks to more than
                it may.
        """
        packing = self._file.packing
        try:
            part = self._read(size)
        except EOFError as error:
            raise self._cut_short() from error
        except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
            raise self._unsound() from error
        except OSError as error:  # a disk's fault has a number, a decoder's has none
            if packing is None or error.errno is not None:
                raise
            raise (self._cut_short() if "Truncated" in str(error) else self._unsound()) from error
        if packing is not None:
            self._growth.add(len(part))
        return part

    def _read(self, size: int) -> bytes:
        if self._stream is not None:
            return self._stream.read(size)
        self._stream = _unpacked(self._file, self._handle)
        start = self._stream.read(max(size, SIGNATURE_BYTES))
        _refuse_signature(self._file, start)
        return start

    def _cut_short(self) -> SourceError:
        return SourceError(
            f"{self._file.name} is cut short: its {self._file.packing} data has no end; fetch the file again."
        )

    def _unsound(self) -> SourceError:
        return SourceError(f"{self._file.name} is not sound {self._file.packing} data; fetch the file again.")


class _Lent(io.RawIOBase):
    """A file for Arrow, which closes what it is given; this one's owner closes it."""

    def __init__(self, handle: BinaryIO) -> None:
        super().__init__()
        self._handle = handle

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._handle.read(size)


class _Bzip2Streams(io.RawIOBase):
    """What bzip2 streams hold, one behind the other. `bz2.BZ2File` takes a damaged one for the end of the file."""

    def __init__(self, handle: BinaryIO) -> None:
        super().__init__()
        self._handle, self._stream = handle, bz2.BZ2Decompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room, part = memoryview(buffer), b""
        while not part:
            packed = b""
            if self._stream.eof:
                packed = self._stream.unused_data or self._handle.read(io.DEFAULT_BUFFER_SIZE)
                if not packed:
                    return 0
                self._stream = bz2.BZ2Decompressor()
            elif self._stream.needs_input:
                packed = self._handle.read(io.DEFAULT_BUFFER_SIZE)
                if not packed:
                    raise EOFError
            part = self._stream.decompress(packed, len(room))
        room[: len(part)] = part
        return len(part)


def _unpacked(file: SourceFile, handle: BinaryIO) -> BinaryIO:
    if file.packing == "gzip":
        return cast("BinaryIO", gzip.GzipFile(fileobj=handle))
    if file.packing == "bz2":
        return io.BufferedReader(_Bzip2Streams(handle))
    if file.packing == "zstd":
        return cast("BinaryIO", pa.CompressedInputStream(pa.PythonFile(_Lent(handle), "r"), "zstd"))
    return _only_member(file, handle) if file.packing == "zip" else handle


def _only_member(file: SourceFile, handle: BinaryIO) -> BinaryIO:
    """The one file in an archive, streamed. Its name is only asked for its ending: nothing is written anywhere."""
    archive = zipfile.ZipFile(handle)
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise SourceError(
            f"{file.name} holds {len(members)} files; restock reads an archive of one, so unpack it first."
        )
    [member] = members
    if member.flag_bits & _ENCRYPTED_MEMBER:
        raise SourceError(f"{file.name} is encrypted; have it exported without a password.")
    ending = member.filename[member.filename.rfind(".") :].lower()
    if SUFFIXES.get(ending) != "csv":
        raise SourceError(f"{file.name} holds a file whose ending is not that of CSV; unpack it, or have it renamed.")
    return cast("BinaryIO", archive.open(member))


def _refuse_signature(file: SourceFile, start: bytes) -> None:
    for signature, meaning in _SIGNATURES.items():
        if start.startswith(signature):
            if file.packing is not None:
                raise SourceError(f"{file.name} holds another packed or binary file; have the CSV packed once.")
            raise SourceError(f"{file.name} {meaning}.")
