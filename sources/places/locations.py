"""Which files a feed reads: found where sources may come from, and pinned to the bytes that were found."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from restock.formats import format_of, packing_of
from sources.places.addresses import Address, allowed_address, is_address, refuse_outside
from sources.places.local_files import display_name, find_file, find_files, refuse_no_file
from sources.places.pinning import LocalFile, Origin, SourceFile, open_pinned, open_start
from sources.places.remote_files import RemoteFile, file_system_of, store_of
from sources.places.shelf import Shelf
from sources.places.unpacking import most_unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from restock.feeds import Feed
    from restock.settings import Settings

__all__ = ["SourceFile", "content_of", "find_source", "fingerprint", "open_pinned", "open_start"]


def find_source(feed: Feed, settings: Settings, file: str | None = None) -> list[SourceFile]:
    """The files to read, in sorted order, each pinned to its bytes.

    Args:
        feed: its `source` names paths, patterns or folders, relative to the folder of feeds.yaml.
        settings: where sources may come from.
        file: the one file to read in their place, relative to that folder or to an allowed one.

    Raises:
        ConfigurationError: a path leads out of the allowed places, or the format of a file is not known.
        SourceError: a file is missing, or not a file.
    """
    shelf = Shelf(settings.spool)
    if file is not None and is_address(file):
        return [_remote(allowed_address(file, settings), feed, shelf)]
    if file is not None:
        return [_local(find_file(file, settings), feed, settings)]
    asked = [allowed_address(text, settings) for text in feed.source if is_address(text)]
    paths = {path for text in feed.source if not is_address(text) for path in find_files(text, settings)}
    addresses = dict.fromkeys(each for address in asked for each in _at(address, settings))
    local = [_local(path, feed, settings) for path in sorted(paths)]
    # Those that differ in their query alone stay as the feed lists them: a query may hold a signature, new each night.
    return local + [_remote(address, feed, shelf) for address in sorted(addresses, key=str)]


def content_of(files: list[SourceFile]) -> str:
    """A digest of what a source holds, however it is read. The names of the files do not count, their order does."""
    return _digest(files)


def fingerprint(files: list[SourceFile], feed: Feed) -> str:
    """A digest of what a source holds and of what makes rows of it."""
    return _digest(files, feed.reader_options())


def _digest(files: list[SourceFile], *read_by: str) -> str:
    whole = json.dumps([[[file.size, file.digest] for file in files], *read_by])
    return hashlib.sha256(whole.encode()).hexdigest()


def _at(address: Address, settings: Settings) -> list[Address]:
    """The files that an address stands for; a store may not lead elsewhere."""
    if not (address.is_folder or address.is_pattern):
        return [address]
    found = file_system_of(address).find(address)
    refuse_outside(found, settings)
    return found


def _local(path: Path, feed: Feed, settings: Settings) -> SourceFile:
    name = display_name(path, settings)
    refuse_no_file(path, name)
    format_of(name, feed)  # before anything is opened
    local = LocalFile.find(path, name)
    return _source_file(local, name, feed, local.found.digest, local.found.size)


def _remote(address: Address, feed: Feed, shelf: Shelf) -> SourceFile:
    format_of(address.path, feed)  # before anything is opened
    found = RemoteFile(store_of(address), address, shelf)
    return _source_file(found, str(address), feed, found.digest, found.size)


def _source_file(origin: Origin, name: str, feed: Feed, digest: str, size: int) -> SourceFile:
    return SourceFile(
        origin=origin,
        name=name,
        format=format_of(name, feed),
        packing=packing_of(name),
        digest=digest,
        size=size,
        most_bytes=most_unpacked(feed, size),
    )
