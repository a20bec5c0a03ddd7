"""The commands about single rows: `restock rejects` and `restock superseded`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.terminal.answers import Answer, as_json, run
from restock.wording import counted


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--csv", "path", type=click.Path(path_type=Path), metavar="FILE", help="Write them to be mended.")
@as_json
def rejects(run_id: str, path: Path | None, as_json: bool) -> None:
    """Show or export rejected rows.

    With --csv they are written with their original columns and the reason, ready to be mended.
    """

    def work() -> Answer:
        from flows.terminal.screen import print_rejects
        from flows.terminal.work import export, rejects_of

        if path is None:
            found = rejects_of(run_id)
            none = f"Run {run_id} has no open rejects."
            plain = {"run_id": run_id, "rejects": [each.as_dict() for each in found]}
            return Answer(plain, lambda: print_rejects(found) if found else click.echo(none))
        count = export(run_id, path)
        told = (
            f"{counted(count, 'reject')} written to {path}; mend them there, then `restock reprocess --rejects {path}`."
        )
        return Answer({"run_id": run_id, "written": count}, lambda: click.echo(told))

    run(work, as_json)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--csv", "path", type=click.Path(path_type=Path), metavar="FILE", help="Write them all.")
@as_json
def superseded(run_id: str, path: Path | None, as_json: bool) -> None:
    """Show or export rows that lost to another row.

    Rows of the run's source that do not count because another one has their key, each with the row that counts.
    """

    def work() -> Answer:
        from flows.terminal.screen import ROWS_SHOWN, print_superseded
        from flows.terminal.work import superseded_of

        first, count = superseded_of(run_id, path, ROWS_SHOWN)
        if path is not None:
            told = f"{counted(count, 'superseded row')} written to {path}."
            return Answer({"run_id": run_id, "written": count}, lambda: click.echo(told))
        none = "No row lost to another one of its source, or the list is in the spool of another machine."
        plain = {"run_id": run_id, "superseded": count, "first": first}
        return Answer(plain, lambda: print_superseded(first, count) if count else click.echo(none))

    run(work, as_json)
