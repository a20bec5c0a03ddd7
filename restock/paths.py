"""Paths: where restock itself lies; and those that people give, never shown from the root, and never written over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restock.errors import SourceError

# The folder of the rooms, and of what is shipped beside them.
ROOT = Path(__file__).resolve().parent.parent


def shown(path: Path | str) -> str:
    """The path as seen from the current folder, or `…/` and only its last two parts where it lies elsewhere."""
    absolute = Path(path).absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(Path("…", *absolute.parts[1:][-2:]))


@contextmanager
def new_file(path: Path) -> Iterator[None]:
    """A file for a person, written in a block: over none that is there, and whole or not at all.

    Raises:
        SourceError: there is one already, or it cannot be written.
    """
    if path.is_file():
        raise SourceError(
            f"{shown(path)} is there already, and what was written into it would be lost; name another file, or remove "
            "it first."
        )
    is_whole = False
    try:
        yield
        is_whole = True
    except OSError as error:
        raise SourceError(f"{shown(path)} cannot be written: {error.strerror or error}.") from error
    finally:
        if not is_whole and path.is_file():
            path.unlink()  # half of it would stand in the way of the next attempt
