"""How chunks become task runs, and what the summary artifact says: no server needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from factories import make_ref

from flows.orchestration.artifacts import key_of
from flows.orchestration.summary_page import summary_page
from flows.orchestration.task_windows import window_name, windows
from flows.runs.reports import RunReport
from restock.chunks import ChunkEntry, RunSummary, WriteCounts
from sinks.ledger.entries import RunEntry


@pytest.mark.parametrize(
    "chunks, rows, task_runs, largest",
    [
        pytest.param(0, 50_000, 0, 0, id="nothing"),
        pytest.param(8, 100, 8, 1, id="a few chunks, however small"),
        pytest.param(9, 100, 5, 2, id="many small ones"),
        pytest.param(1_000, 100, 8, 125, id="very many small ones"),
        pytest.param(20, 50_000, 7, 3, id="a million rows"),
        pytest.param(200, 50_000, 50, 4, id="ten million rows"),
        pytest.param(200, 1_000_000, 200, 1, id="large chunks"),
        pytest.param(20_000, 50_000, 200, 100, id="a billion rows"),
    ],
)
def test_a_run_has_a_few_task_runs_or_as_many_as_its_rows_are_worth(
    chunks: int, rows: int, task_runs: int, largest: int
) -> None:
    refs = [make_ref(number=number, rows=rows) for number in range(1, chunks + 1)]

    found = windows(refs)

    assert [ref for window in found for ref in window] == refs
    assert (len(found), max(map(len, found), default=0)) == (task_runs, largest)


@pytest.mark.parametrize(
    "numbers, name", [([7], "chunk 7"), ([11, 12, 13], "chunks 11-13"), ([11, 13, 19], "chunks 11-19 (3 of them)")]
)
def test_a_window_is_named_by_its_chunks(numbers: list[int], name: str) -> None:
    assert window_name([make_ref(number=number) for number in numbers]) == name


@pytest.mark.parametrize("feed, key", [("buy-com", "buy-com"), ("Buy_Com 2", "buy-com-2"), ("Été", "t"), ("§", "feed")])
def test_artifacts_have_keys_that_prefect_accepts(feed: str, key: str) -> None:
    assert key_of(feed) == key


def make_report(reasons: list[tuple[str, str | None, int]], error: str | None = None, **counts: Any) -> RunReport:
    summary = RunSummary(
        run_id="run-1", feed="products", source="a|b.csv", generation=3, status="incomplete", read=100,
        **{name: counts.get(name, 0) for name in ("inserted", "updated", "unchanged", "superseded", "stale")},
        **{name: counts.get(name, 0) for name in ("rejected", "skipped", "abandoned", "outstanding")},
        chunks_planned=4, chunks_loaded=3, chunks_failed=1,
    )  # fmt: skip
    run = RunEntry(
        run_id="run-1", feed="products", target="product", kind="full", generation=3, fingerprint="", code_digest="",
        source=summary.source, ignored_columns=[], content="", status="incomplete", read=100,
        started_at=datetime(2026, 1, 1, tzinfo=UTC), finished_at=None, reason=None,
    )  # fmt: skip
    chunk = ChunkEntry(4, "failed" if error else "loaded", 1, 25, WriteCounts(), error, None)
    return RunReport(run, summary, [chunk], reasons, {("too_long", "name"): ["line 3", "line 9"]})


def test_the_counts_of_the_summary_add_up_to_the_rows_read() -> None:
    page = summary_page(
        make_report(
            [],
            inserted=55,
            updated=1,
            unchanged=2,
            superseded=3,
            stale=4,
            rejected=5,
            skipped=6,
            abandoned=7,
            outstanding=17,
        )
    )

    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]
    *counts, (last, total) = rows
    assert last == "**read**"
    assert sum(int(number) for _, number in counts) == int(total.strip("*")) == 100


def test_the_summary_names_failed_chunks_and_reasons_and_how_to_go_on() -> None:
    page = summary_page(make_report([("too_long", "name", 7)], error="It is <b>bad</b> | so.", outstanding=25))

    assert "| 4 | 25 | It is &lt;b>bad&lt;/b> \\| so. |" in page
    assert "| 7 | too_long | name is longer than its column. | line 3, line 9 |" in page
    assert "`restock reprocess --run run-1`" in page
    assert "`restock rejects run-1 --csv rejects.csv`" in page
    assert "Run `run-1` of a\\|b.csv, generation 3" in page


def test_the_summary_of_a_held_run_does_not_send_people_into_the_same_limit_again() -> None:
    report = make_report([("too_long", "name", 7)], outstanding=25)

    page = summary_page(replace(report, summary=replace(report.summary, status="held")))

    feed = report.run.feed
    assert f"run the deployment `sync-products/{feed}` with `force`, or `restock sync {feed} --force`" in page
    assert "reprocess-failed-chunks" not in page


def test_a_long_list_of_reasons_is_cut_and_says_so() -> None:
    page = summary_page(make_report([(f"code_{number}", None, 1) for number in range(13)]))

    assert "code_9 |" in page
    assert "code_10" not in page
    assert "and 3 more" in page


def test_a_finished_run_needs_no_advice() -> None:
    report = make_report([], inserted=100)

    assert "What to do" not in summary_page(replace(report, summary=replace(report.summary, status="completed")))
