"""Which files a feed reads: found where sources may come from, and pinned to the bytes that were found."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from sources.formats import format_of, packing_of
from sources.local_files import display_name, find_file, find_files, take
from sources.pinning import SourceFile, open_pinned
from sources.unpacking import most_unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from restock.feeds import Feed
    from restock.settings import Settings

__all__ = ["SourceFile", "find_source", "fingerprint", "open_pinned"]


def find_source(feed: Feed, settings: Settings, file: str | None = None) -> list[SourceFile]:
    """The files to read, in sorted order, each pinned to its bytes.

    Args:
        feed: its `source` names paths, patterns or folders, relative to the folder of feeds.yaml.
        settings: where sources may come from.
        file: the one file to read in their place, relative to that folder or to an allowed one.

    Raises:
        ConfigurationError: a path leads out of the allowed places, or the format of a file is not known.
        SourceError: a file is missing, empty, or not a file.
    """
    if file is not None:
        return [_local(find_file(file, settings), feed, settings)]
    paths = {path for text in feed.source for path in find_files(text, settings)}
    return [_local(path, feed, settings) for path in sorted(paths)]


def fingerprint(files: list[SourceFile], feed: Feed) -> str:
    """A digest of what a source holds and how it is read. The names of the files do not count, their order does."""
    content = json.dumps([[[file.size, file.digest] for file in files], feed.reader_options()])
    return hashlib.sha256(content.encode()).hexdigest()


def _local(path: Path, feed: Feed, settings: Settings) -> SourceFile:
    name = display_name(path, settings)
    found = take(path, name)
    return SourceFile(
        origin=found,
        name=name,
        format=format_of(name, feed),
        packing=packing_of(name),
        digest=found.digest,
        size=found.size,
        most_bytes=most_unpacked(feed, found.size),
    )
