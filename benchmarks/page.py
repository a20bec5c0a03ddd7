"""Writes docs/benchmarks.md and its chart from what is known."""

from __future__ import annotations

from benchmarks.chart import draw
from benchmarks.grounds import ROOT
from benchmarks.sections import Section, kept_sections

PREFACE = """# Benchmarks

`make bench` wrote this page and its chart. The catalogue has 12 columns (id, sku, name, a description of about 120
characters, brand, category, price, currency, quantity, active, weight, updated_at) with 5% nulls, made from a seed.
Three works:

- **W1** loads it into an empty table;
- **W2** brings the whole catalogue in again the next night: 5% of the rows changed, 1% are new;
- **W3** brings in as many rows, half of them changed products and half new ones, shuffled.

restock is measured end to end, as `restock sync` with a Prefect server running: fingerprint, extraction, spool,
duplicates, `transforms.products:clean`, contract, table, ledger, task runs and artifacts; interpreter start and
imports are left out, for all. The references are what a database itself takes by its own client: they read a file that
is ready for them, and do not check, isolate, count or survive a crash. **Every result was compared with the expected
table, all columns of all rows, before it counted.** Contestants take turns within a round, medians are shown, and × is
the pace as a multiple of the reference in the same rounds. Machines differ and drift: compare the ratios.

![The pace of restock and others as a multiple of the database's own client, by database and work](benchmarks.svg)
"""
ORDER = (
    "contest PostgreSQL",
    "contest SQLite",
    "contest MariaDB",
    "peers",
    "ladder",
    "profile",
    "memory",
    "growth",
    "latency",
    "checking",
    "small",
)


def write_page() -> None:
    """Write the page and the chart anew."""
    sections = kept_sections()
    known = [sections[name] for name in ORDER if name in sections]
    text = "\n".join([PREFACE, *(_told(section) for section in known)])
    (ROOT / "docs" / "benchmarks.md").write_text(text, encoding="utf-8")
    bars = [bar for section in known for bar in section.bars]
    (ROOT / "docs" / "benchmarks.svg").write_text(draw(bars), encoding="utf-8")


def _told(section: Section) -> str:
    parts = [f"## {section.title}", section.note]
    for title, lines in section.tables:
        parts += [f"### {title}"] if title else []
        parts.append(markdown(lines))
    return "\n\n".join([*parts, f"*{section.conditions}*"]) + "\n"


def markdown(lines: list[list[str]]) -> str:
    """A table; the first line is its head."""
    head, *rest = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rest])
