"""Which files of this machine a feed reads: plain paths, patterns and folders, inside the allowed folders."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from restock.errors import ConfigurationError, SourceError

if TYPE_CHECKING:
    from restock.settings import Settings


def find_file(text: str, settings: Settings) -> Path:
    """The one file that a path names, relative to the folder of feeds.yaml or to an allowed one.

    Raises:
        ConfigurationError: it is no plain path, or leads out of the allowed folders.
    """
    _refuse_no_path(text)
    candidates = [Path(os.path.realpath(folder / text)) for folder in (settings.folder, *settings.source_roots)]
    allowed = [path for path in candidates if _is_allowed(path, settings)]
    if not allowed:
        raise _outside(text)
    return next((path for path in allowed if path.exists()), allowed[0])


def find_files(pattern: str, settings: Settings) -> list[Path]:
    """The files that a path, a pattern or a folder of a feed stands for.

    Raises:
        ConfigurationError: it is no plain path, or leads out of the allowed folders.
        SourceError: it stands for no file.
    """
    _refuse_no_path(pattern)
    whole = settings.folder / pattern
    if not glob.has_magic(pattern) or whole.exists():
        real = _allowed(whole, pattern, settings)
        return _in_folder(real, pattern, settings) if real.is_dir() else [real]
    fixed = settings.folder / Path(*_before_magic(Path(pattern)))
    _allowed(fixed, pattern, settings)  # nothing outside the allowed folders is even listed
    whole = glob.escape(str(settings.folder)) / Path(pattern)  # the folder's own name is no pattern
    found = [Path(match) for match in glob.glob(str(whole), recursive=True) if Path(match).is_file()]  # noqa: PTH207
    if not found:
        raise SourceError(f"No file matches the source {pattern!r}; put one there, or correct the pattern.")
    return [_allowed(path, pattern, settings) for path in found]


def refuse_no_file(path: Path, name: str) -> None:
    """Refuse what cannot be read as a file, without opening it.

    Raises:
        SourceError: it is missing, or not a file.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError(f"There is no file {name}; put it there, or correct the source.") from error
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}.") from error
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{name} is a folder; name a file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{name} is not a regular file; copy its content into one.")


def display_name(path: Path, settings: Settings) -> str:
    """The path as seen from the folder of feeds.yaml, or from the allowed folder it is in.

    Bytes of it that are no UTF-8 are shown by their number, as `\\xdc`: no database and no screen takes them.
    """
    roots = (Path(os.path.realpath(folder)) for folder in (settings.folder, *settings.source_roots))
    seen = next((path.relative_to(root).as_posix() for root in roots if path.is_relative_to(root)), path.name)
    return seen.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _in_folder(folder: Path, text: str, settings: Settings) -> list[Path]:
    found = [path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir()]
    if not found:
        raise SourceError(f"The folder {text!r} holds no file; put one there, or correct the source.")
    return [_allowed(path, text, settings) for path in found]


def _before_magic(path: Path) -> Iterator[str]:
    for part in path.parts:
        if glob.has_magic(part):
            return
        yield part


def _refuse_no_path(text: str) -> None:
    if not text.strip() or any(ord(sign) < 32 for sign in text):
        raise ConfigurationError("The source is empty or holds a control character; give the path of a file.")
    if text.startswith("~") or "|" in text or (os.sep != "\\" and "\\" in text):
        raise ConfigurationError(f"The source {text!r} holds a '~', a '|' or a '\\'; write the path out without them.")


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
