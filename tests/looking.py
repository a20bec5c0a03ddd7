"""Looking again and again until something has come about: servers and processes tell of it a little later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 60


def look_until(look: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """What a look gives once it gives something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(f"Nothing came of it within {seconds} s.")


def wait_until(is_so: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Return when something is so."""
    look_until(lambda: True if is_so() else None, seconds)
