"""Paths: where restock itself lies; and those that people give, never shown from the root, and never written over."""

from __future__ import annotations

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


def check_is_new(path: Path) -> None:
    """Make sure that no file is overwritten by one that is written for a person.

    Raises:
        SourceError: there is one.
    """
    if path.is_file():
        raise SourceError(
            f"{shown(path)} is there already, and what was written into it would be lost; name another file, or remove "
            "it first."
        )
