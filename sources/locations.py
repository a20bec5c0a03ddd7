"""Which files a feed reads: found inside the allowed folders, hashed, and pinned to those bytes while they are read."""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from restock.errors import ConfigurationError, SourceChanged, SourceError
from sources.unpacking import most_unpacked

if TYPE_CHECKING:
    from restock.feeds import Feed
    from restock.settings import Settings

Format = Literal["csv", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
}
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+:|.*::|//|\\\\", re.DOTALL)


@dataclass(frozen=True)
class SourceFile:
    """One file of a source, with the digest of its bytes as stored, and the most bytes it may unpack to.

    `name` is how people see it.
    """

    path: Path
    format: Format
    digest: str
    size: int
    name: str
    most_bytes: int

    @property
    def is_compressed(self) -> bool:
        return self.path.suffix.lower() == ".gz"


def find_source(feed: Feed, settings: Settings, file: str | None = None) -> list[SourceFile]:
    """The files to read, in sorted order, each hashed.

    Args:
        feed: its `source` names paths or globs, relative to the folder of feeds.yaml.
        settings: where the allowed folders are.
        file: the one file to read in their place, relative to that folder or to an allowed one.

    Raises:
        ConfigurationError: a path is no plain path, leads out of the allowed folders, or its format is not known.
        SourceError: a file is missing, empty, or not a file.
    """
    if file is not None:
        paths = {_find_file(file, settings)}
    else:
        paths = {path for pattern in feed.source for path in _find_pattern(pattern, settings)}
    return [_take(path, feed, settings) for path in sorted(paths)]


def fingerprint(files: list[SourceFile], feed: Feed) -> str:
    """A digest of what a source holds and how it is read. The names of the files do not count, their order does."""
    content = json.dumps([[[file.size, file.digest] for file in files], feed.reader_options()])
    return hashlib.sha256(content.encode()).hexdigest()


@contextmanager
def open_pinned(file: SourceFile) -> Iterator[BinaryIO]:
    """Open a file for reading, and make sure at the end that its bytes are still those that were hashed.

    Raises:
        SourceChanged: they are not; this goes before any other fault that reading found.
        SourceError: the file is gone or cannot be read.
    """
    try:
        handle = _open(file.path)
    except OSError as error:
        raise SourceError(
            f"{file.name} can no longer be read ({error.strerror}); bring it back and start again."
        ) from error
    with handle:
        try:
            yield handle
        except SourceError as error:
            _check_unchanged(file, handle, error)
            raise
        except OSError as error:
            raise SourceError(f"{file.name} cannot be read to its end ({error}); check its disk.") from error
        _check_unchanged(file, handle, None)


def _check_unchanged(file: SourceFile, handle: io.BufferedReader, cause: Exception | None) -> None:
    handle.seek(0)
    size = os.fstat(handle.fileno()).st_size
    if size != file.size:
        raise SourceChanged(
            f"{file.name} changed while it was read: it had {file.size} bytes and has {size}; start again."
        ) from cause
    if _digest(handle) != file.digest:
        raise SourceChanged(
            f"{file.name} changed while it was read: its size is the same and its content is not; start again."
        ) from cause


def _open(path: Path) -> io.BufferedReader:
    # The path was resolved before it was checked; a link put in its place since must not be followed.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags), "rb")


def _digest(handle: io.BufferedReader) -> str:
    return hashlib.file_digest(handle, "sha256").hexdigest()


def _find_file(text: str, settings: Settings) -> Path:
    _refuse_no_path(text)
    candidates = [Path(os.path.realpath(folder / text)) for folder in (settings.folder, *settings.source_roots)]
    allowed = [path for path in candidates if _is_allowed(path, settings)]
    if not allowed:
        raise _outside(text)
    return next((path for path in allowed if path.exists()), allowed[0])


def _find_pattern(pattern: str, settings: Settings) -> list[Path]:
    _refuse_no_path(pattern)
    whole = settings.folder / pattern
    if not glob.has_magic(pattern) or whole.exists():
        return [_allowed(whole, pattern, settings)]
    fixed = Path(*_before_magic(whole))
    _allowed(fixed, pattern, settings)  # nothing outside the allowed folders is even listed
    found = [Path(match) for match in glob.glob(str(whole), recursive=True) if Path(match).is_file()]  # noqa: PTH207
    if not found:
        raise SourceError(f"No file matches the source {pattern!r}; put one there, or correct the pattern.")
    return [_allowed(path, pattern, settings) for path in found]


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _refuse_no_path(text: str) -> None:
    if not text.strip() or "\0" in text:
        raise ConfigurationError("The source is empty or holds a NUL character; give the path of a file.")
    if _URI.match(text):
        raise ConfigurationError(
            f"The source {text!r} is not a plain path; this version reads local files only, so copy the file "
            "into an allowed folder and give its path."
        )
    if text.startswith("~") or "|" in text:
        raise ConfigurationError(f"The source {text!r} holds a '~' or a '|'; write the path out without them.")


def _allowed(path: Path, text: str, settings: Settings) -> Path:
    real = Path(os.path.realpath(path))
    if not _is_allowed(real, settings):
        raise _outside(text)
    return real


def _is_allowed(real: Path, settings: Settings) -> bool:
    return any(real.is_relative_to(os.path.realpath(root)) for root in settings.source_roots)


def _outside(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"The source {text!r} leads out of the folders that sources may come from; "
        "move the file, or name its folder in RESTOCK_SOURCE_ROOTS."
    )


def _take(path: Path, feed: Feed, settings: Settings) -> SourceFile:
    name = _display_name(path, settings)
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError(f"There is no file {name}; put it there, or correct the source.") from error
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}.") from error
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{name} is a folder; name a file in it, or a pattern such as {name}/*.csv.")
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{name} is not a regular file; copy its content into one.")
    if found.st_size == 0:
        raise SourceError(f"{name} is empty (0 bytes); have it exported again.")
    kind = _format(path, name, feed)
    try:
        with _open(path) as handle:
            digest, opened = _digest(handle), os.fstat(handle.fileno())
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}.") from error
    return SourceFile(path, kind, digest, opened.st_size, name, most_unpacked(feed, opened.st_size))


def _format(path: Path, name: str, feed: Feed) -> Format:
    if feed.format is not None:
        return feed.format
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        known = SUFFIXES.get(suffixes[-2]) if len(suffixes) > 1 else None
        known = known if known == "csv" else None
    else:
        known = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if known is None:
        raise ConfigurationError(
            f"The format of {name} cannot be told by its ending; say `format: csv` or `format: parquet` "
            f"in the feed {feed.name!r}."
        )
    return known


def _display_name(path: Path, settings: Settings) -> str:
    for folder in (settings.folder, *settings.source_roots):
        real = Path(os.path.realpath(folder))
        if path.is_relative_to(real):
            return path.relative_to(real).as_posix()
    return path.name
