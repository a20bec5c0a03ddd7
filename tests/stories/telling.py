"""What the stories share: nights of a product feed, the doors in this process, and an oracle that knows no restock.

A product here is a row of text as the shop's supplier writes it; `expected` turns such rows into what the table must
hold, with the standard library alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from shops import Shop

from flows.runs import admission, correcting, reprocessing
from flows.runs.choices import Choices
from flows.runs.door import Door
from flows.runs.loading import load_here
from flows.runs.progress import Progress
from flows.runs.reports import RunReport
from flows.runs.workplace import open_workplace
from flows.terminal import work
from sinks.ledger.entries import RejectEntry

Text = dict[str, str]
LEDGER = ("restock_run", "restock_chunk", "restock_reject")

# Refuses the chunk that holds a product named POISON; the module is named by feeds.yaml, so mending is naming another.
BROKEN = """\
def clean(frame):
    if (frame["name"] == "POISON").any():
        raise ValueError("a secret cell: " + frame["name"].iloc[0])
    return frame
"""
MENDED = """\
def clean(frame):
    return frame.assign(name=frame["name"].replace("POISON", "cured"))
"""


def product(number: int, night: str = "", **cells: str) -> Text:
    """One product as the supplier writes it; the same number is the same product on every night."""
    row = {
        "sku": f"S-{number:03}",
        "name": f"Product {number}{night}",
        "price": f"{number}.{len(night):02}",
        "stock": str(number % 7),
    }
    return row | cells


def products(numbers: Iterable[int], night: str = "") -> list[Text]:
    """So many products of one night."""
    return [product(number, night) for number in numbers]


def add_transform(shop: Shop, name: str, code: str) -> str:
    """Put a transform module into the shop's package; the reference for feeds.yaml."""
    (shop.folder / shop.package / f"{name}.py").write_text(code, encoding="utf-8")
    return f"{shop.package}.{name}:clean"


def mend_transform(shop: Shop, **keys: Any) -> None:
    """Name a transform in feeds.yaml that copes with the product at which `BROKEN` fails."""
    shop.feed(chunk_rows=2, transform=add_transform(shop, "mended", MENDED), **keys)


def sync(shop: Shop, file: str | None = None, force: bool = False, progress: Progress | None = None) -> RunReport:
    """`restock sync` of what comes to one run, in this process, checked for conservation."""
    [report] = sync_all(shop, file, force, progress)
    return report


def sync_all(
    shop: Shop, file: str | None = None, force: bool = False, progress: Progress | None = None
) -> list[RunReport]:
    """`restock sync` in this process, checked for conservation."""
    place = open_workplace()
    feed = place.feed(shop.feed_name)
    choices = Choices(file=file, force=force)
    reports = admission.sync(place, feed, Door(load_here, progress or Progress()), choices)
    check_conservation(shop)
    return reports


def reprocess(shop: Shop, run_id: str | None = None, numbers: set[int] | None = None) -> list[RunReport]:
    """`restock reprocess` in this process, checked for conservation."""
    reports = reprocessing.reprocess(open_workplace(), Door(load_here), run_id, numbers)
    check_conservation(shop)
    return reports


def abandon(shop: Shop, run_id: str, numbers: set[int] | None = None) -> RunReport:
    """`restock abandon` in this process, checked for conservation."""
    report = reprocessing.abandon(open_workplace(), Door(load_here), run_id, numbers)
    check_conservation(shop)
    return report


def export(shop: Shop, run_id: str, name: str = "mended.csv") -> Path:
    """`restock rejects RUN --csv` in this process: the file that was written."""
    path = shop.folder / name
    correcting.export_rejects(open_workplace(), run_id, path)
    return path


def correct(shop: Shop, path: Path, progress: Progress | None = None, wait: float = 0.0) -> correcting.Corrected:
    """`restock reprocess --rejects` in this process, checked for conservation."""
    corrected = correcting.load_correction(open_workplace(), path, Door(load_here, progress or Progress(), wait))
    check_conservation(shop)
    return corrected


def mend(path: Path, changes: Mapping[str, Mapping[str, str]], by: str = "sku", **dialect: Any) -> None:
    """Mend a rejects file as a person with a script would: change the cells of the rows with these keys."""
    encoding = dialect.pop("encoding", "utf-8")
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.DictReader(file, **dialect)
        rows = [{**row, **changes.get(row[by], {})} for row in reader]
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(reader.fieldnames or []), **dialect)
        writer.writeheader()
        writer.writerows(rows)


def check_conservation(shop: Shop) -> None:
    """Every row that any run has read is accounted for once: by the ledger's own tables, read with plain SQL."""
    counted = "inserted + updated + unchanged + superseded + stale + rejected + skipped"
    for run in shop.execute("SELECT run_id, read_rows FROM restock_run"):
        chunks = shop.execute(
            f"SELECT status, row_count, {counted} AS counted FROM restock_chunk WHERE run_id = :run", run=run["run_id"]
        )
        assert sum(chunk["row_count"] for chunk in chunks) == run["read_rows"]
        for chunk in chunks:
            assert chunk["counted"] == (chunk["row_count"] if chunk["status"] == "loaded" else 0)
        rejected = shop.execute("SELECT sum(rejected) AS n FROM restock_chunk WHERE run_id = :run", run=run["run_id"])
        open_rejects = shop.execute(
            "SELECT count(*) AS n FROM restock_reject WHERE run_id = :run AND resolved_at IS NULL", run=run["run_id"]
        )
        assert open_rejects[0]["n"] == (rejected[0]["n"] or 0)


def counts(report: RunReport) -> dict[str, int]:
    """The counts of a report that are not zero."""
    names = ("inserted", "updated", "unchanged", "superseded", "stale", "rejected", "skipped", "abandoned")
    summary = report.summary.as_dict()
    assert report.summary.adds_up
    return {name: summary[name] for name in (*names, "outstanding") if summary[name]}


def expected(*contents: Iterable[Text]) -> dict[str, tuple[str, Decimal, int]]:
    """What the table must hold after these contents, applied in order: a dict by key, the last one winning."""
    table: dict[str, tuple[str, Decimal, int]] = {}
    for content in contents:
        for row in content:
            table[row["sku"]] = (row["name"], Decimal(row["price"]), int(row["stock"]))
    return table


def table(shop: Shop) -> dict[str, tuple[str, Decimal, int]]:
    """What the table holds, read past restock."""
    rows = shop.rows("product", "sku", "name", "price", "stock")
    assert len(rows) == len({row["sku"] for row in rows})
    return {row["sku"]: (row["name"], row["price"], row["stock"]) for row in rows}


def ledger(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    """Everything the ledger holds; empty tables and no tables are the same."""
    there = sa.inspect(shop.engine).get_table_names()
    return {name: rows for name in LEDGER if name in there and (rows := shop.rows(name))}


def everything(shop: Shop) -> tuple[Any, Any]:
    """The products and the ledger, to be compared with what they were."""
    return shop.rows("product"), ledger(shop)


def statuses(shop: Shop, run_id: str) -> list[str]:
    """The statuses of a run's chunks, in order."""
    rows = shop.execute("SELECT status FROM restock_chunk WHERE run_id = :run ORDER BY number", run=run_id)
    return [row["status"] for row in rows]


def rejects_of(run_id: str) -> list[RejectEntry]:
    """The open rejects of a run."""
    return [each.entry for each in work.rejects_of(run_id)]
