"""The restock command. Imports Prefect only when a run goes through it, and little before a command begins."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.terminal.answers import Answer, Commands, as_json, run
from flows.terminal.check_command import check
from flows.terminal.feed_command import feed
from flows.terminal.operations_commands import automations, deployments, metrics
from flows.terminal.row_commands import rejects, superseded
from restock.wording import counted

if TYPE_CHECKING:
    from flows.runs.correcting import Corrected
    from flows.runs.reports import RunReport
    from restock.chunks import RunSummary

WAIT_SECONDS = 90.0

wait = click.option(
    "--wait", default=WAIT_SECONDS, show_default=True, metavar="S", help="Seconds to wait while another run goes on."
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="restock")
def main() -> None:
    """Keep the product tables of a Flask-SQLAlchemy app in step with product feeds.

    The feeds are read from feeds.yaml in the current folder, or from the file that RESTOCK_FEEDS names. Exit status: 0
    completed, 1 incomplete or failed, 2 wrong call or configuration, 3 held by a limit, 4 another run owns the table.
    """


@main.command()
@click.argument("feed")
@click.option("--file", metavar="PATH", help="Read this file, named as feeds.yaml would, and not the feed's source.")
@click.option("--prefect", is_flag=True, help="Run through Prefect, on a server of its own if none is configured.")
@wait
@click.option("--fresh", is_flag=True, help="Begin anew where an interrupted run of the same content would go on.")
@click.option("--max-rejects", metavar="LIMIT", help="Hold this run after so many rejects: 100, or 1%.")
@click.option("--force", is_flag=True, help="Go on although a limit trips (min_rows, max_rejects, max_chunk_rejects).")
@as_json
def sync(feed: str, prefect: bool, wait: float, as_json: bool, **decided: Any) -> None:
    """Bring a feed in.

    Its rows are read, checked, and inserted or updated. An interrupted run of the same content goes on.
    """

    def work() -> Answer:
        from flows.runs.choices import read_choices
        from flows.runs.reports import nothing_new
        from flows.terminal.work import sync_feed

        reports = sync_feed(feed, read_choices(**decided), wait, prefect)
        if [report.run.kind for report in reports] == ["full"]:
            return Answer(reports[0].summary.as_dict(), lambda: _print_report(reports[0]), reports)
        return _of_runs(reports, "" if reports else nothing_new(feed))

    run(work, as_json, f"Opening feed {feed} …")


@main.command()
@click.option("--run", "run_id", metavar="ID", help="Only the chunks of this run; else those of every unfinished run.")
@click.option("--chunk", "chunks", multiple=True, type=int, metavar="N", help="Only this chunk of the run; repeatable.")
@click.option("--rejects", type=click.Path(path_type=Path), metavar="FILE", help="Load a mended rejects file.")
@click.option("--prefect", is_flag=True, help="Run through Prefect, on a server of its own if none is configured.")
@wait
@as_json
def reprocess(
    run_id: str | None, chunks: tuple[int, ...], rejects: Path | None, prefect: bool, wait: float, as_json: bool
) -> None:
    """Load failed chunks again.

    They are read from the spool, whatever became of the source. With --rejects, a mended rejects file is loaded.
    """
    if rejects is not None and (run_id or chunks):
        raise click.UsageError("--rejects names its own rows; leave --run and --chunk out.")
    if chunks and run_id is None:
        raise click.UsageError("--chunk needs the run it belongs to; add --run ID.")

    def work() -> Answer:
        from flows.runs.reports import nothing_owed
        from flows.terminal.work import correct, reprocess_chunks

        if rejects is not None:
            return _of_correction(correct(rejects, wait))
        reports = reprocess_chunks(run_id, set(chunks) or None, wait, prefect)
        return _of_runs(reports, "" if reports else nothing_owed(run_id))

    run(work, as_json, "Looking for what is to be loaded again …")


@main.command()
def init() -> None:
    """Create the ledger tables.

    In every database of feeds.yaml. This is also done on first use.
    """

    def work() -> Answer:
        from flows.terminal.work import create_ledgers

        ready = create_ledgers()
        return Answer(ready, lambda: click.echo("\n".join(f"The ledger is ready in {name}." for name in ready)))

    run(work, False)


@main.command()
@as_json
def runs(as_json: bool) -> None:
    """List the runs, newest first."""

    def work() -> Answer:
        from flows.terminal.screen import print_runs
        from flows.terminal.work import list_runs

        found, unreached = list_runs()
        plain = {
            "runs": [{**_counts(summary), "started_at": run.started_at} for run, summary in found],
            "unreached": [asdict(each) for each in unreached],
        }

        def show() -> None:
            if found:
                print_runs(found)
            elif not unreached:
                click.echo("There are no runs yet.")

        return Answer(plain, show, unreached)

    run(work, as_json)


@main.command()
@click.argument("run_id", metavar="RUN")
@as_json
def show(run_id: str, as_json: bool) -> None:
    """Show one run.

    Its counts, what it needs of you, its rejects by reason, and its chunks that are not loaded.
    """

    def work() -> Answer:
        from flows.terminal.screen import print_whole_report
        from flows.terminal.work import report_of

        report = report_of(run_id)
        plain = {
            **_counts(report.summary),
            "reason": report.run.reason,
            "ignored_columns": report.run.ignored_columns,
            "chunks": [asdict(chunk) for chunk in report.chunks],
            "rejects": [{"code": code, "column": column, "rows": rows} for code, column, rows in report.reasons],
        }
        return Answer(plain, lambda: print_whole_report(report))

    run(work, as_json)


@main.command()
@click.argument("run_id", metavar="RUN")
@click.option("--chunk", "chunks", multiple=True, type=int, metavar="N", help="Only this chunk; repeatable.")
@wait
def abandon(run_id: str, chunks: tuple[int, ...], wait: float) -> None:
    """Give outstanding chunks up.

    This stays on record: their rows are counted as abandoned.
    """

    def work() -> Answer:
        from flows.terminal.work import give_up

        report = give_up(run_id, set(chunks) or None, wait)
        return Answer(None, lambda: _print_report(report))

    run(work, False)


@main.command()
@click.option("--older-than", default=90.0, show_default=True, metavar="DAYS", help="Forget finished runs of that age.")
def prune(older_than: float) -> None:
    """Clear away what is finished.

    Old runs leave the ledger, orphans the spool; nothing outstanding is ever removed.
    """

    def work() -> Answer:
        from flows.terminal.work import prune_all

        done = prune_all(older_than)
        runs, leavings = counted(len(done.forgotten), "run"), counted(len(done.orphans), "leaving")
        told = f"{runs} forgotten, and {leavings} gone from the spool"
        kept = "; unknown files stay there" if done.unreached else ""
        return Answer(None, lambda: click.echo(f"{told}{kept}."), done.unreached)

    run(work, False)


main.add_command(check)
main.add_command(feed)
main.add_command(automations)
main.add_command(deployments)
main.add_command(metrics)
main.add_command(rejects)
main.add_command(superseded)


def _counts(summary: RunSummary) -> dict[str, Any]:
    """A run's summary without the time of an execution, which only the execution itself knows."""
    counts = summary.as_dict()
    return {name: counts[name] for name in counts if name not in ("seconds", "rows_per_second")}


def _of_correction(done: Corrected) -> Answer:
    from flows.terminal.screen import print_corrected

    plain = {**_of_runs(done.reports, "").plain, "rows": done.rows}
    return Answer(plain, lambda: print_corrected(done), done.reports)


def _of_runs(reports: list[RunReport], told: str) -> Answer:
    left = sum(chunk.is_outstanding for each in reports for chunk in each.chunks)
    plain = {"runs": [each.summary.as_dict() for each in reports], "outstanding": left}

    def show() -> None:
        for each in reports:
            _print_report(each)
        if told:
            click.echo(told)

    return Answer(plain, show, reports)


def _print_report(report: RunReport) -> None:
    from flows.terminal.screen import print_report

    print_report(report)


if __name__ == "__main__":
    main()
