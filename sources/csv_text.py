"""The bytes of a CSV file as text, in blocks. Bytes that the declared encoding does not know are marked, not lost."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from restock.errors import ConfigurationError, SourceError

if TYPE_CHECKING:
    from sources.locations import SourceFile

# Larger blocks were not faster: 4 MiB keeps the work of a block inside the processor's caches.
BLOCK_BYTES = 4 * 1024 * 1024

# Each byte that cannot be decoded becomes one character of this range, which no decoder lets through.
_MARK = re.compile("[\udc00-\udcff]")
_MARKING = "restock_mark_undecodable"

_SIGNATURES = {
    b"\x1f\x8b": "is compressed with gzip; give it the ending .gz",
    b"PAR1": "is a Parquet file; say `format: parquet`, or give it the ending .parquet",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet, not CSV; export it as CSV",
}


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARKING, _mark_undecodable)


def has_marks(text: str) -> bool:
    """Whether some of the text could not be decoded."""
    try:
        text.encode()  # 20 times faster than a search: marks are what UTF-8 cannot hold
    except UnicodeEncodeError:
        return True
    return False


def show_marks(text: str) -> str:
    """The text with each byte that could not be decoded written as `\\xNN`."""
    return _MARK.sub(lambda mark: f"\\x{ord(mark[0]) - 0xDC00:02x}", text)


def text_blocks(file: SourceFile, handle: BinaryIO, encoding: str) -> Iterator[tuple[str, bool]]:
    """The text of a file without its byte order mark, in blocks; with each, whether it is the last.

    No block but the last ends in CR, so that a CRLF is never cut in two. A block may be empty.

    Raises:
        ConfigurationError: the encoding is not one of text.
        SourceError: the file is not what its name says, or is cut short.
    """
    decoder = _decoder(encoding)
    held, is_first = "", True
    for part in byte_blocks(file, handle):
        text = held + decoder.decode(part, not part)
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        held = "\r" if part and text.endswith("\r") else ""
        yield text.removesuffix("\r") if held else text, not part


def byte_blocks(file: SourceFile, handle: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it is compressed; the last block is empty."""
    if not file.is_compressed:
        _refuse_signature(file, handle)
    stream = cast("BinaryIO", gzip.GzipFile(fileobj=handle)) if file.is_compressed else handle
    part = b" "
    while part:
        try:
            part = stream.read(BLOCK_BYTES)
        except EOFError as error:
            raise SourceError(f"{file.name} is cut short: its gzip data has no end; fetch the file again.") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(f"{file.name} is not sound gzip data; fetch the file again.") from error
        yield part


def undecodable_position(file: SourceFile, handle: BinaryIO, encoding: str) -> tuple[int, bytes]:
    """Position (from 0) and bytes of the first place in the text of a file that its encoding does not know."""
    handle.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    for part in byte_blocks(file, handle):
        waiting = len(decoder.getstate()[0])
        try:
            decoder.decode(part, not part)
        except UnicodeDecodeError as error:
            return done - waiting + error.start, error.object[error.start : error.end]
        done += len(part)
    raise SourceError(f"{file.name} cannot be decoded as {encoding}; set `csv: encoding` to that of the file.")


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        b"a".decode(encoding, "ignore")  # refuses codecs that are not of text, such as rot13
        return codecs.getincrementaldecoder(encoding)(_MARKING)
    except (LookupError, UnicodeError) as error:
        raise ConfigurationError(
            f"csv: encoding: {encoding!r} is not an encoding of text; utf-8, cp1252 and utf-16 are."
        ) from error


def _refuse_signature(file: SourceFile, handle: BinaryIO) -> None:
    start = handle.read(4)
    handle.seek(0)
    for signature, meaning in _SIGNATURES.items():
        if start.startswith(signature):
            raise SourceError(f"{file.name} {meaning}.")
