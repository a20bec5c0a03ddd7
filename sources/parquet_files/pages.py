"""What the pages of a Parquet file say of their own size: Arrow makes room for that before it unpacks them, and for
their values when it decodes them.

Read here, in Thrift's compact protocol, as no library tells it. Columns that are encrypted are left to Arrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from restock.errors import SourceError

_Wanted = dict[int, Any]
# What is wanted of a footer and of a page's header: the numbers of fields, and of the fields in those.
# Of a column: its path, values, packed bytes, first page, page of the dictionary.
_COLUMN: _Wanted = {number: {} for number in (3, 5, 7, 9, 11)}
_FOOTER: _Wanted = {4: {1: {3: _COLUMN, 8: {}}}}  # row groups: columns: their metadata, and how they are encrypted
# Unpacked bytes, packed bytes; the values in a page and how they are encoded, or how many are in a dictionary.
_PAGE: _Wanted = {2: {}, 3: {}, 5: {1: {}, 2: {}}, 7: {1: {}}, 8: {1: {}, 4: {}}}
_HEADER_BYTES = 512  # of nearly every page; one with long statistics is read again
# A value of a fixed width takes no more, however few bits it is packed into.
_WIDEST = 8
_DELTA_BYTE_ARRAY = 7

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12


class Page(NamedTuple):
    """A page, in bytes.

    Attributes:
        group: the place of its row group in the file, from 0.
        unpacked: what it says it unpacks to.
        decoded: about what its values take, each of a dictionary as often as the column may have it; infinite where a
            value is told by the end of the one before (DELTA_BYTE_ARRAY), so that only a look can tell.
    """

    group: int
    unpacked: int
    decoded: float


def pages_of(handle: BinaryIO, name: str, columns: list[str]) -> Iterator[Page]:
    """The pages of these columns, as they say they are.

    Raises:
        SourceError: the pages are not where the footer says, or contradict themselves.
    """
    try:
        for place, group in enumerate(_footer(handle).get(4, ())):
            for column in group.get(1, ()):
                about = column.get(3)
                if about and 8 not in column and about[3][0].decode() in columns:
                    yield from _of_column(handle, about, place)
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise SourceError(
            f"{name} is not a readable Parquet file: its pages are not as they should be; have it exported again."
        ) from error


def _footer(handle: BinaryIO) -> dict[int, Any]:
    end = handle.seek(0, 2)
    handle.seek(end - 8)
    size = int.from_bytes(handle.read(4), "little")
    handle.seek(end - 8 - size)
    return _Compact(handle.read(size)).struct(_FOOTER)


def _of_column(handle: BinaryIO, about: dict[int, Any], group: int) -> Iterator[Page]:
    at = min(offset for offset in (about[9], about.get(11)) if offset)
    end = at + about[7]
    while at < end:
        header, size = _page_header(handle, at, end)
        unpacked, packed = header[2], header[3]
        if unpacked < 0 or packed < 0 or header.get(7, {}).get(1, 0) > unpacked:
            raise ValueError("a page contradicts itself")
        yield Page(group, unpacked, _decoded(header, about[5]))
        at += size + packed


def _decoded(header: dict[int, Any], values_of_column: int) -> float:
    in_dictionary = header.get(7, {}).get(1, 0)
    if in_dictionary > 0:
        return values_of_column * header[2] / in_dictionary
    values = header.get(5) or header.get(8) or {}
    if values.get(2, values.get(4)) == _DELTA_BYTE_ARRAY:
        return math.inf
    return header[2] + _WIDEST * values.get(1, 0)


def _page_header(handle: BinaryIO, at: int, end: int) -> tuple[dict[int, Any], int]:
    size = _HEADER_BYTES
    while True:
        handle.seek(at)
        read = _Compact(handle.read(min(size, end - at)))
        try:
            return read.struct(_PAGE), read.at
        except IndexError:
            if size >= end - at:
                raise
            size *= 16


class _Compact:
    """Reads Thrift's compact protocol; IndexError is the end of the bytes."""

    def __init__(self, content: bytes) -> None:
        self.at, self._content = 0, content

    def struct(self, wanted: _Wanted) -> dict[int, Any]:
        """The fields that are wanted, by their numbers; the others are passed over."""
        found, number = {}, 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._zigzag()
            value = self._value(kind & 15, wanted.get(number), is_element=False)
            if number in wanted:
                found[number] = value
        return found

    def _value(self, kind: int, wanted: _Wanted | None, is_element: bool) -> Any:
        if kind == _STRUCT:
            return self.struct(wanted or {})
        if kind in (_LIST, _SET):
            size = self._byte()
            count = size >> 4 if size >> 4 < 15 else self._varint()
            if wanted is None:
                for _ in range(count):
                    self._value(size & 15, None, is_element=True)
                return None
            return [self._value(size & 15, wanted, is_element=True) for _ in range(count)]
        if kind == _BINARY:
            size = self._varint()
            return self._take(size)
        if kind in (_TRUE, _FALSE):
            return self._byte() == _TRUE if is_element else kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._value(kinds >> 4, None, is_element=True)
                self._value(kinds & 15, None, is_element=True)
            return None
        if kind > _STRUCT:
            raise ValueError("no type of the compact protocol")
        return self._zigzag()

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _take(self, size: int) -> bytes:
        if size > len(self._content) - self.at:
            raise IndexError(size)
        self.at += size
        return self._content[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
