"""How a path is shown to people: never from the root of their machine."""

from __future__ import annotations

from pathlib import Path


def shown(path: Path | str) -> str:
    """The path as seen from the current folder, or `…/` and only its last two parts where it lies elsewhere."""
    absolute = Path(path).absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(Path("…", *absolute.parts[1:][-2:]))
