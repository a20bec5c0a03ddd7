"""The bytes of a CSV file as text, in blocks. Bytes that the declared encoding does not know are marked, not lost."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from restock.errors import ConfigurationError, SourceError
from sources.places.unpacking import Unpacked

if TYPE_CHECKING:
    from sources.places.locations import SourceFile

# Larger blocks are not faster: the memory of a block stays in the caches and is used again for the next one.
BLOCK_BYTES = 2 * 1024 * 1024

# Each byte that cannot be decoded becomes one character of this range, which no decoder lets through.
_MARK = re.compile("[\udc00-\udcff]")
_MARKING = "restock_mark_undecodable"
_BOM = "\ufeff".encode()
# Codecs that write or expect a byte order mark, by those that do not.
_WITHOUT_BOM = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


class TextBlock(NamedTuple):
    """Some of a file's text in UTF-8, the byte of the file it ends before, and whether the file ends with it."""

    data: bytes
    end_byte: int
    is_last: bool


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARKING, _mark_undecodable)


class Encoding:
    """A declared encoding: how the bytes of a file become UTF-8 and text, and how many bytes some text took.

    What cannot be decoded is no sound UTF-8 either: in a file of UTF-8 it is left as it is, and else it is written as
    surrogates. Text holds a mark for each such byte.
    """

    def __init__(self, name: str) -> None:
        """Take the name of a codec.

        Raises:
            ConfigurationError: it is not one of text.
        """
        try:
            b"a".decode(name, _MARKING)  # refuses codecs that are not of text, such as rot13 and punycode
            self._codec = codecs.lookup(name)
        except (LookupError, UnicodeError) as error:
            raise ConfigurationError(
                f"csv: encoding: {name!r} is not an encoding of text; utf-8, cp1252 and utf-16 are."
            ) from error
        self.name = name
        self._plain = _WITHOUT_BOM.get(self._codec.name, self._codec.name)

    def blocks(self, file: SourceFile, handle: BinaryIO) -> Iterator[TextBlock]:
        """The text of a file in UTF-8 without its byte order mark, in blocks.

        No block but the last ends in CR, so that a CRLF is never cut in two. A block may be empty.

        Raises:
            SourceError: the file is not what its name says, or is cut short.
        """
        decoder = None if self._plain == "utf-8" else self._codec.incrementaldecoder(_MARKING)
        held, is_first, done = b"", True, 0
        for part in byte_blocks(file, handle):
            done += len(part)
            decoded = self._decoded(decoder, part, file.name) if decoder else part
            data = held + decoded
            if is_first and (len(data) >= len(_BOM) or not part):
                data, is_first = data.removeprefix(_BOM), False
            held = data if is_first else b"\r" if part and data.endswith(b"\r") else b""
            waiting = len(decoder.getstate()[0]) if decoder else 0
            yield TextBlock(data[: len(data) - len(held)], done - waiting - self.bytes_in_file(held), not part)

    def _decoded(self, decoder: codecs.IncrementalDecoder, part: bytes, file: str) -> bytes:
        """Some more of a file in UTF-8; the empty part ends it."""
        try:
            return decoder.decode(part, not part).encode("utf-8", "surrogatepass")
        except UnicodeError as error:  # not that bytes are wrong: those are marked
            raise SourceError(
                f"{file} begins with no byte order mark; say the order of its bytes with `csv: encoding` "
                f"{self._codec.name}-le or {self._codec.name}-be."
            ) from error

    def text(self, data: bytes, is_last: bool) -> str:
        """UTF-8 of this file as text with marks, but for the beginning of a character at its end if more follows."""
        if self._plain != "utf-8":
            return data.decode("utf-8", "surrogatepass")
        return codecs.getincrementaldecoder("utf-8")(_MARKING).decode(data, is_last)

    def size(self, text: str) -> int:
        """The bytes that a text with marks takes in the UTF-8 of this file."""
        return self._bytes(text, "utf-8") if self._plain == "utf-8" else len(text.encode("utf-8", "surrogatepass"))

    def size_in_file(self, text: str) -> int:
        """The bytes that a text with marks took in the file itself.

        Right for every encoding that writes a text in one way only; near it for the few that switch tables by escapes.
        """
        return self._bytes(text, self._plain)

    def bytes_in_file(self, data: bytes) -> int:
        """The bytes that whole characters of UTF-8 of this file took in the file itself."""
        return len(data) if self._plain == "utf-8" else self.size_in_file(self.text(data, True))

    def _bytes(self, text: str, codec: str) -> int:
        plain = _MARK.sub("", text)
        return len(plain.encode(codec, "replace")) + len(text) - len(plain)

    def first_undecodable(self, file: SourceFile, handle: BinaryIO) -> tuple[int, bytes]:
        """Position (from 0) and bytes of the first place in the text of a file that this encoding does not know."""
        handle.seek(0)
        decoder = self._codec.incrementaldecoder()
        done = 0
        for part in byte_blocks(file, handle):
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(part, not part)
            except UnicodeDecodeError as error:
                return done - waiting + error.start, error.object[error.start : error.end]
            done += len(part)
        raise SourceError(f"{file.name} cannot be decoded as {self.name}; set `csv: encoding` to that of the file.")


def has_marks(text: str) -> bool:
    """Whether some of the text could not be decoded."""
    try:
        text.encode()  # 20 times faster than a search: marks are what UTF-8 cannot hold
    except UnicodeEncodeError:
        return True
    return False


def first_mark(text: str) -> int:
    """The place of the first mark in a text that has one."""
    match = _MARK.search(text)
    return match.start() if match else 0


def show_marks(text: str) -> str:
    """The text with each byte that could not be decoded written as `\\xNN`."""
    return _MARK.sub(lambda mark: f"\\x{ord(mark[0]) - 0xDC00:02x}", text)


def byte_blocks(file: SourceFile, handle: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it is packed; the last block is empty."""
    stream = Unpacked(file, handle)
    part = b" "
    while part:
        part = stream.read(BLOCK_BYTES)
        yield part
