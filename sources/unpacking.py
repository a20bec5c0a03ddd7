"""What packed files unpack to, and the limit on it: a small file may hold more than a machine has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restock.errors import SourceError
from restock.limits import shown_size

if TYPE_CHECKING:
    from restock.feeds import Feed
    from sources.locations import SourceFile

# Real feeds unpack to 3 to 30 times their size; a feed of 100 times its size says so, or is small.
USUAL_GROWTH = 100
ALWAYS_ALLOWED = 256 * 2**20


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
        if self._bytes > self._file.most_bytes:
            raise SourceError(
                f"{self._file.name} has {shown_size(self._file.size)} and unpacks to more than "
                f"{shown_size(self._file.most_bytes)}; if that is right, raise the limit `max_unpacked` of its feed."
            )
