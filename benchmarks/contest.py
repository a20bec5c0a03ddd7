"""Contestants take turns at the works on every ground; medians, and their ratio to the ground's reference."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.grounds import Ground
from benchmarks.measuring import DEFAULT, FOUR_WORKERS, Contestant, Measured, Site, measure
from benchmarks.sections import Bar
from benchmarks.works import TITLES, Work

# What issue 6 asks for: the least ratio to the reference, and the one aimed at; told for each setting.
MUSTS = {
    ("PostgreSQL", "W1", "restock, Parquet"): (0.8, 1.2),
    ("PostgreSQL", "W2", "restock, Parquet"): (1.2, 2.0),
    ("PostgreSQL", "W3", "restock, Parquet"): (1.0, 1.5),
    ("PostgreSQL", "W1", "restock, CSV"): (0.7, 1.0),
    ("PostgreSQL", "W2", "restock, CSV"): (1.0, 1.6),
    ("SQLite", "W1", "restock, Parquet"): (0.6, 1.0),
    ("SQLite", "W2", "restock, Parquet"): (1.2, 2.0),
    ("SQLite", "W3", "restock, Parquet"): (0.8, 1.5),
    ("MariaDB", "W1", "restock, Parquet"): (0.6, 1.0),
    ("MariaDB", "W2", "restock, Parquet"): (0.8, 1.3),
    ("PostgreSQL", "W1", "restock, mappings"): (3.0, 6.0),
    ("PostgreSQL", "W2", "restock, mappings"): (3.0, 6.0),
}
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Contest:
    """Every measured run, by ground, work and contestant."""

    results: dict[Key, list[Measured]]
    works: Sequence[Work]
    contestants: Sequence[Contestant]

    def pace(self, key: Key) -> float:
        """The median rows per second."""
        [rows] = [work.rows for work in self.works if work.name == key[1]]
        return rows / statistics.median(each.seconds for each in self.results[key])

    def ratio(self, key: Key) -> float | None:
        """The pace as a multiple of the reference's at the same work on the same ground."""
        for contestant in self.contestants:
            reference = (key[0], key[1], contestant.name)
            if contestant.is_reference and reference in self.results:
                return self.pace(key) / self.pace(reference)
        return None

    def tables(self) -> list[tuple[str, list[list[str]]]]:
        """For each ground a table: a line for each contestant, a column for each work."""
        names = [work.name for work in self.works]
        tables = []
        for ground in dict.fromkeys(key[0] for key in self.results):
            lines = [["", *(f"{name}: {TITLES[name]}" for name in names), "peak memory"]]
            for contestant in self.contestants:
                if any((ground, name, contestant.name) in self.results for name in names):
                    cells = [self._cell((ground, name, contestant.name)) for name in names]
                    lines.append([contestant.name, *cells, self._memory(ground, contestant.name)])
            tables.append((ground if len({key[0] for key in self.results}) > 1 else "", lines))
        return tables

    def _cell(self, key: Key) -> str:
        if key not in self.results:
            return ""
        ratio = self.ratio(key)
        return f"{self.pace(key):,.0f}" + ("" if ratio is None else f" (× {ratio:.2f})")

    def _memory(self, ground: str, name: str) -> str:
        runs = [each for key, found in self.results.items() if (key[0], key[2]) == (ground, name) for each in found]
        peaks = [each.peak_mib for each in runs if each.peak_mib is not None]
        return f"{max(peaks):,.0f} MiB" if peaks else ""

    def musts(self) -> list[list[str]]:
        """What was asked for, and what it came to."""
        lines = [["", "work", "of the reference", "must", "goal", ""]]
        for (ground, work, name), (must, goal) in MUSTS.items():
            for setting in (DEFAULT, FOUR_WORKERS):
                key = (ground, work, name + setting)
                ratio = self.ratio(key) if key in self.results else None
                if ratio is not None:
                    told = [f"{ground}, {name}{setting}", work, f"{ratio:.2f}", f"{must}", f"{goal}"]
                    lines.append([*told, verdict(ratio, must, goal)])
        return lines

    def bars(self) -> list[Bar]:
        """What the chart shows: a panel for each ground and work."""
        return [Bar(f"{key[0]} {key[1]}", key[2], round(self.ratio(key) or 0, 3)) for key in self.results]


def verdict(ratio: float, must: float, goal: float) -> str:
    """What a ratio is called that should reach one and be led on by the other."""
    return "goal reached" if ratio >= goal else "reached" if ratio >= must else "**missed**"


def hold_contest(
    contestants: Sequence[Contestant], grounds: Iterable[Ground], works: Sequence[Work], site: Site, rounds: int
) -> Contest:
    """Let the contestants take turns, in the other direction every second round.

    Args:
        works: with W1 first; it is also what the tables of the later works hold before.
    """
    results: dict[Key, list[Measured]] = defaultdict(list)
    grounds = list(grounds)
    for number in range(rounds):
        for ground in grounds:
            for work in works:
                for contestant in contestants if number % 2 == 0 else reversed(contestants):
                    if ground.name in contestant.grounds and work.name in contestant.works:
                        measured = measure(contestant, ground, work, works[0], site)
                        results[ground.name, work.name, contestant.name].append(measured)
    return Contest(dict(results), works, contestants)
