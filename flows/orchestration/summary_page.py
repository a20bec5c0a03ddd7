"""The summary of a run in the Prefect UI: a page to read, and tables to sort and copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.orchestration.artifacts import Showcase, key_of
from flows.runs.reports import RunReport
from restock.chunks import OUTCOMES
from restock.reasons import sentence
from restock.wording import counted

REASONS_SHOWN = 10
FAILED_SHOWN = 50

Row = dict[str, str | int]


def show_summary(report: RunReport, showcase: Showcase) -> None:
    """Show a run as a page, its counts as a table, and its failed chunks and rejects as tables.

    Where there are none, a table is shown only in the place of one that tells of an earlier run.
    """
    summary, key = report.summary, key_of(report.run.feed)
    told = f"{summary.chunks_loaded} of {counted(summary.chunks_planned, 'chunk')} loaded"
    showcase.create("markdown", f"{key}-summary", summary_page(report), f"{summary.status.capitalize()}: {told}")
    tables = {
        "counts": (counts_table(report), f"What became of {counted(summary.read, 'row')}"),
        "failed-chunks": (failed_table(report), f"{counted(summary.chunks_failed, 'failed chunk')}, and why"),
        "rejects": (rejects_table(report), f"{counted(summary.rejected, 'rejected row')}, and why"),
    }
    for name, (rows, description) in tables.items():
        if rows:
            showcase.create("table", f"{key}-{name}", rows, description)
        else:
            showcase.clear(f"{key}-{name}", description)


def counts_table(report: RunReport) -> list[Row]:
    """What became of the rows; the last line is their sum."""
    counts = report.summary.as_dict()
    named: list[Row] = [{"outcome": name, "rows": counts[name]} for name in OUTCOMES]
    return [*named, {"outcome": "read", "rows": report.run.read}]


def failed_table(report: RunReport) -> list[Row]:
    """The chunks that failed, and why."""
    failed = report.failed[:FAILED_SHOWN]
    return [{"chunk": chunk.number, "rows": chunk.rows, "reason": chunk.error or ""} for chunk in failed]


def rejects_table(report: RunReport) -> list[Row]:
    """The most frequent reasons of rejects, with the places of the first of them: no value of any row."""
    return [
        {
            "rows": rows,
            "code": code,
            "reason": sentence(code, column),
            "for example": ", ".join(report.places.get((code, column), [])),
        }
        for code, column, rows in report.reasons[:REASONS_SHOWN]
    ]


def summary_page(report: RunReport) -> str:
    """A run in markdown: counts that add up, failed chunks, reasons of rejects, and how to go on."""
    run, summary = report.run, report.summary
    pace = f" Loaded at {summary.rows_per_second:,.0f} rows per second." if summary.rows_per_second else ""
    lines = [
        f"# {_cell(run.feed)}: {summary.status}",
        f"Run `{run.run_id}` of {_cell(run.source)}, generation {run.generation}; "
        f"{summary.chunks_loaded} of {counted(summary.chunks_planned, 'chunk')} loaded.{pace}",
    ]
    if summary.status == "held" and run.reason:
        lines.append(f"**Held:** {_cell(run.reason)}")
    *counts, read = counts_table(report)
    lines += _table(counts, f"| **read** | **{read['rows']:,}** |")
    if report.failed:
        lines += ["## Failed chunks", *_table(failed_table(report)), *_more(report.failed, FAILED_SHOWN)]
    if report.reasons:
        lines += ["## Rejected rows", *_table(rejects_table(report)), *_more(report.reasons, REASONS_SHOWN)]
    return "\n\n".join(lines + _advice(report)) + "\n"


def _advice(report: RunReport) -> list[str]:
    run_id, feed = report.run.run_id, report.run.feed
    advice = []
    if report.summary.status == "held":
        advice.append(
            "Mend the source as it says above, or go on in spite of the limit: run the deployment "
            f"`sync-products/{feed}` with `force`, or `restock sync {feed} --force`."
        )
    elif report.summary.outstanding:
        advice.append(
            "Mend the cause, then load what is outstanding: run the deployment `reprocess-failed-chunks/by-hand` with "
            f"`run_id` = `{run_id}`, or `restock reprocess --run {run_id}`."
        )
    if report.reasons:
        advice.append(
            f"To mend rejected rows: `restock rejects {run_id} --csv rejects.csv`, edit the file, then "
            "`restock reprocess --rejects rejects.csv`."
        )
    return ["## What to do", *advice] if advice else []


def _table(rows: Sequence[Row], last: str | None = None) -> list[str]:
    cells = [[f"{cell:,}" if isinstance(cell, int) else _cell(cell) for cell in row.values()] for row in rows]
    lines = ["| " + " | ".join(line) + " |" for line in ([*rows[0]], ["---"] * len(rows[0]), *cells)]
    return ["\n".join([*lines, *([last] if last else [])])]


def _more(found: list[Any], shown: int) -> list[str]:
    return [f"and {len(found) - shown} more"] if len(found) > shown else []


def _cell(text: str) -> str:
    """Text that cannot break out of its place in the page."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
