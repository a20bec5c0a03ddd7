"""What is known so far: one section for each measurement, kept in results.json until it is measured again."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

KEPT = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Bar:
    """One bar of the chart: whose it is, in which panel, and its pace as a multiple of the reference's."""

    panel: str
    label: str
    ratio: float


@dataclass(frozen=True)
class Section:
    """A measurement as the page shows it.

    Attributes:
        name: under which it is kept; a newer one of that name takes its place.
        note: what was measured and how.
        tables: each a title (or nothing), and lines of cells of which the first is the head.
        conditions: machine, versions, sizes and rounds.
        bars: what the chart shows of it.
    """

    name: str
    title: str
    note: str
    tables: list[tuple[str, list[list[str]]]]
    conditions: str
    bars: list[Bar] = field(default_factory=list)


def keep(section: Section) -> None:
    """Keep a section for the page."""
    kept = _read()
    kept[section.name] = asdict(section)
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def kept_sections() -> dict[str, Section]:
    """Every section that was kept, by its name."""
    return {name: Section(**{**each, "bars": [Bar(**bar) for bar in each["bars"]]}) for name, each in _read().items()}


def _read() -> dict[str, dict[str, object]]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def machine(*more: str) -> str:
    """This machine and what runs on it, in one line."""
    packages = ("pandas", "pyarrow", "sqlalchemy", "prefect")
    parts = [
        f"{os.cpu_count()} cores",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in packages),
        *more,
        f"load average before: {os.getloadavg()[0]:.1f}",
    ]
    return ", ".join(parts)
