"""Every file of the Pollock benchmark through restock's reader, judged row by row: `make pollock PATH=…`.

Pollock (Vitagliano et al., PVLDB 16(8), 2023) pollutes one product list in 2,290 ways and gives, for each file, its
parameters and its truth. Its own score rewards a loader that guesses; counted here is whether a row is wrong or lost.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import FAULT, SPOOL_COLUMNS
from restock.errors import SourceError
from restock.feeds import Feed
from restock.settings import read_settings
from sources.csv_files.source import CsvSource
from sources.places.locations import find_source

Cells = tuple[str, ...]
# From best to worst: the rows of the truth, no more and no less; some of them, the others named; no row, and where it
# went wrong; the same without a place; fewer rows than the truth without a word; a row that is not in the truth.
VERDICTS = ("exact", "exact, the rest named", "refused with a place", "refused", "lost", "wrong")
PUBLISHED = {
    "DuckDB 1.2, given the parameters": 9.961,
    "pandas 1.4.3": 9.895,
    "Python csv": 9.721,
    "PostgreSQL 15": 0.136,
}
_PLACE = re.compile(r"\b[Ll]ine \d|\bbyte \d|holds no|is empty")


@dataclass(frozen=True)
class Loaded:
    """What a reader made of a file: the rows in order, and how many it set aside by name; or why it refused."""

    rows: Sequence[Cells] = ()
    named: int = 0
    refusal: str | None = None


Reader = Callable[[Path, dict[str, Any]], Loaded]


def rules_of(parameters: dict[str, Any]) -> dict[str, Any]:
    """The keys under `csv:` for the parameters of a file. Line ends are left alone: the files do not keep theirs."""
    escape = parameters["escapechar"]
    rules = {
        "encoding": parameters["encoding"],
        "delimiter": parameters["delimiter"] or ",",
        "quote": parameters["quotechar"] or None,
        "escape": escape if escape and escape != parameters["quotechar"] else None,
        "null_values": [],
    }
    # As in the benchmark's own adapters, the names are given and the header is passed over.
    names = parameters["column_names"] or [f"column {place}" for place in range(1, parameters["n_columns"] + 1)]
    if not names:
        return rules
    above = parameters["preamble_lines"] + parameters["header_lines"]
    return {**rules, "names": names, "header_rows": 0, "skip_lines": above}


def read_with_restock(path: Path, parameters: dict[str, Any]) -> Loaded:
    """The rows as restock's reader would spool them."""
    feed = Feed(name="pollock", source=path.name, app="app:app", model="app:Model", csv=rules_of(parameters))
    try:
        [file] = find_source(feed, read_settings({"RESTOCK_FEEDS": str(path.parent / "feeds.yaml")}))
        table = pa.concat_tables(CsvSource(file, feed).tables())
    except SourceError as error:
        return Loaded(refusal=str(error))
    sound = table.filter(pc.is_null(table[FAULT])).drop_columns(list(SPOOL_COLUMNS))
    rows = zip(*(column.to_pylist() for column in sound.columns), strict=True)
    return Loaded(list(rows), table.num_rows - sound.num_rows)


def read_with_pandas(path: Path, parameters: dict[str, Any]) -> Loaded:
    """The rows of `pandas.read_csv` with nothing said but that all is text."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        return Loaded(refusal=str(error))
    return Loaded(list(frame.itertuples(index=False, name=None)))


def published(folder: Path) -> dict[str, Reader]:
    """What other loaders made of the files, by name, where the checkout holds their published results."""
    found = sorted((folder / "results").glob("*/polluted_files/loading"))
    return {f"{each.parts[-3]}, as published": partial(_read_published, each) for each in found}


def _read_published(loading: Path, path: Path, parameters: dict[str, Any]) -> Loaded:
    """The rows that another loader wrote below a header. Blanks around cells are not held against it."""
    try:
        content = (loading / f"{path.name}_converted.csv").read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return Loaded(refusal="no result")
    rows = [tuple(cell.strip() for cell in row) for row in csv.reader(io.StringIO(content, newline="")) if row]
    if not rows or rows[0][0].startswith("Application Error"):
        return Loaded(refusal="it gave up")
    return Loaded(rows[1:])


def truth_of(path: Path, has_header: bool) -> list[Cells]:
    """The rows that a file should have."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)]
    return rows[1:] if has_header else rows


def verdict(loaded: Loaded, truth: Sequence[Cells]) -> str:
    """What became of a file, one of `VERDICTS`."""
    if loaded.refusal is not None:
        return "refused with a place" if _PLACE.search(loaded.refusal) else "refused"
    if not _is_part(loaded.rows, truth):
        return "wrong"
    missing = len(truth) - len(loaded.rows)
    if missing > loaded.named:
        return "lost"
    return "exact, the rest named" if loaded.named else "exact"


def _is_part(rows: Iterable[Cells], truth: Iterable[Cells]) -> bool:
    """Whether the rows are among those of the truth, in its order."""
    remaining = iter(truth)
    return all(row in remaining for row in rows)


def judge(folder: Path, read: Reader) -> dict[str, Counter[str]]:
    """The verdicts on all files of a checkout, counted by the kind of pollution."""
    folder = folder / "polluted_files" if (folder / "polluted_files").is_dir() else folder
    counts: dict[str, Counter[str]] = {}
    for path in sorted((folder / "csv").glob("*.csv")):
        parameters = json.loads((folder / "parameters" / f"{path.name}_parameters.json").read_text(encoding="utf-8"))
        truth = truth_of(folder / "clean" / path.name, bool(parameters["header_lines"]))
        found = verdict(read(path, parameters), truth)
        counts.setdefault(_kind(path.name), Counter())[found] += 1
    return counts


def _kind(name: str) -> str:
    """`row_less_sep` for a file of many of its kind, and its own name for one of the others."""
    many = re.match(r"row_[a-z_]+?(?=_row\d|_?\d)", name)
    return many.group() if many else name.removesuffix(".csv")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Judge restock, pandas, and every loader with published results on the files of a Pollock checkout."""
    counts = judge(folder, read_with_restock)
    for kind, found in sorted(counts.items()):
        click.echo(f"{kind:34}" + ", ".join(f"{found[each]} {each}" for each in VERDICTS if found[each]))
    others = {"pandas.read_csv": read_with_pandas, **published(folder)}
    totals = {"restock": _total(counts)} | {name: _total(judge(folder, read)) for name, read in others.items()}
    click.echo()
    for reader, found in totals.items():
        click.echo(f"{reader:34}" + ", ".join(f"{found[each]} {each}" for each in VERDICTS))
    click.echo(
        "\nThe benchmark's own simple score, of 10, as published: "
        + ", ".join(f"{score} {name}" for name, score in PUBLISHED.items())
    )
    if totals["restock"]["wrong"] or totals["restock"]["lost"]:
        raise SystemExit(1)


def _total(counts: dict[str, Counter[str]]) -> Counter[str]:
    return sum(counts.values(), Counter())


if __name__ == "__main__":
    main()
