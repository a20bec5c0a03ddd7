"""How much a measurement measures, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Products, rounds and seed; `grounds` empty is everywhere; `peers` is the Python that has the other tools."""

    rows: int
    rounds: int
    seed: int
    grounds: tuple[str, ...] = ()
    peers: str | None = None

    def told(self) -> str:
        """The size as it stands on the page."""
        rounds = "one round" if self.rounds == 1 else f"medians of {self.rounds} rounds"
        return f"{self.rows:,} products, seed {self.seed}, {rounds}"
