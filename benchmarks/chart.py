"""The chart of the benchmarks: a panel for each database and work, with a bar for each contestant. Plain SVG."""

from __future__ import annotations

from html import escape
from itertools import groupby

from benchmarks.sections import Bar

WIDTH = 1080
COLUMNS = 3
MARGIN = 16
LABEL_WIDTH = 142
PACE_WIDTH = 42
BAR_HEIGHT = 16
STEP = 22
HEAD = 34
COLOURS = {"restock": "#1f6f50", "reference": "#7a8594", "other": "#c9ced6"}
REFERENCES = ("psql", "mysql", "sqlite3")


def draw(bars: list[Bar]) -> str:
    """The chart as an SVG document: the longest bar of a panel fills it, as only bars of one panel compare."""
    panels: dict[str, dict[str, float]] = {}
    for bar in bars:
        # The same contestant of a later section was measured in other rounds: the first counts.
        panels.setdefault(bar.panel, {}).setdefault(bar.label, bar.ratio)
    rows = [list(some) for _, some in groupby(sorted(panels.items(), key=_place), key=lambda each: _place(each)[0])]
    parts, top = [_title()], 64
    for row in rows:
        for number, (name, found) in enumerate(row):
            parts.append(_panel(name, found, MARGIN + number * (WIDTH - MARGIN) // COLUMNS, top))
        top += HEAD + STEP * max(len(found) for _, found in row) + 18
    style = "text{font-family:system-ui,sans-serif;fill:#20262e}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img">'
        f'<style>{style}</style><rect width="{WIDTH}" height="{top}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _place(panel: tuple[str, dict[str, float]]) -> tuple[int, str]:
    ground, _, work = panel[0].partition(" ")
    return ("PostgreSQL", "SQLite", "MariaDB").index(ground), work


def _title() -> str:
    legend = (("restock", "restock, end to end", 700), ("reference", "own client", 860), ("other", "others", 966))
    marks = "".join(
        f'<rect x="{left}" y="20" width="12" height="12" rx="2" fill="{COLOURS[kind]}"/>'
        f'<text x="{left + 18}" y="31" font-size="13">{text}</text>'
        for kind, text, left in legend
    )
    told = "Pace, where the database’s own client is 1"
    return f'<text x="{MARGIN}" y="32" font-size="18" font-weight="600">{told}</text>{marks}'


def _panel(name: str, found: dict[str, float], left: int, top: int) -> str:
    longest = max(found.values())
    room = (WIDTH - MARGIN) // COLUMNS - LABEL_WIDTH - PACE_WIDTH - MARGIN
    parts = [f'<text x="{left}" y="{top + 16}" font-size="14" font-weight="600">{escape(name)}</text>']
    for number, (label, ratio) in enumerate(sorted(found.items(), key=lambda each: -each[1])):
        y = top + HEAD + number * STEP - 6
        length = max(1.0, room * ratio / longest)
        start = left + LABEL_WIDTH
        parts.append(
            f'<text x="{start - 6}" y="{y + 12}" font-size="11" text-anchor="end">{escape(_short(label))}</text>'
            f'<rect x="{start}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2" fill="{_colour(label)}"/>'
            f'<text x="{start + length + 5:.1f}" y="{y + 12}" font-size="11">{ratio:.2f}</text>'
        )
    return "".join(parts)


def _short(label: str) -> str:
    return label.replace("restock, Parquet, ", "restock, ").replace(", the tutorial's loop", "")


def _colour(label: str) -> str:
    kind = "restock" if label.startswith("restock") else "reference" if label.startswith(REFERENCES) else "other"
    return COLOURS[kind]
