"""The command `restock check`: what a sync of a feed would meet, shown in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.terminal.answers import Answer, as_json, run
from restock.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from flows.looking.findings import ChangedValue, Check, Sample

REASONS_SHOWN = 20
COLUMNS_SHOWN = 20


@click.command()
@click.argument("feed")
@click.option("--file", metavar="PATH", help="Read this file, named as feeds.yaml would, and not the feed's source.")
@click.option("--table", "with_table", is_flag=True, help="Compare with the rows of the table too: what would change.")
@click.option("--samples", is_flag=True, help="Show the values at fault too, and not only where they stand.")
@as_json
def check(feed: str, file: str | None, with_table: bool, samples: bool, as_json: bool) -> None:
    """Look at a feed without writing a thing.

    Its rows are read, transformed and cast as a sync would do, whether the table exists or not. Ends as the sync
    would, as far as that can be told without the rows in the database: 0 if it would complete, 1 if chunks would
    fail, 2 if the table is missing or not as the model says, 3 if a limit would hold it.

    Of its rows it knows at most whether there are any: if not, every row is new, and a reject if it lacks what the
    model requires. With --table it compares them all: how many a sync would insert, change and leave alone, and which
    columns would change. Which of them the constraints of the table refuse, only a sync tells.
    """

    def work() -> Answer:
        from flows.looking.checking import check_feed
        from flows.runs.stopping import heeding_signals
        from flows.runs.workplace import open_workplace
        from flows.terminal.screen import TerminalProgress

        place = open_workplace()
        with heeding_signals(), TerminalProgress() as progress:
            checks = check_feed(place, place.feed(feed), progress, file, with_table)
        plain = {"checks": [each.as_dict(samples) for each in checks]}
        return Answer(plain, lambda: _print_checks(checks, samples), checks)

    run(work, as_json, f"Checking feed {feed} …")


def _print_checks(checks: list[Check], with_values: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from flows.looking.findings import FATES
    from flows.terminal.screen import plain_console

    console = plain_console()
    for each in checks:
        table = Table(title=f"{each.feed}: {each.source}", title_justify="left", box=SIMPLE_HEAD)
        table.add_column("check, nothing was written")
        table.add_column("rows", justify="right")
        table.add_row("read", f"{each.read:,}", end_section=True)
        for name in ("accepted", "rejected", "skipped", "superseded", "outstanding"):
            rows = getattr(each, name)
            if rows or name in ("accepted", "rejected"):
                table.add_row(name, f"{rows:,}")
            if name == "accepted" and each.in_table is not None:
                for fate in FATES:
                    table.add_row(f"  {fate}", f"{getattr(each.in_table, fate):,}")
        console.print(table)
        _print_findings(console, each, with_values)


def _print_findings(console: Console, found: Check, with_values: bool) -> None:
    from flows.looking.doubts import DOUBTS
    from restock.reasons import sentence

    def say(text: str) -> None:
        console.print(f"  {text}", soft_wrap=True)

    for reason in found.reasons[:REASONS_SHOWN]:
        told = f"{reason.rows:,} × {sentence(reason.code, reason.column)} ({reason.code})"
        say(f"{told} {_places(reason.samples, with_values, reason.rows)}")
    if len(found.reasons) > REASONS_SHOWN:
        say(f"and {counted(len(found.reasons) - REASONS_SHOWN, 'more reason')}")
    for changed in found.in_table.changed if found.in_table else ():
        say(f"{changed.rows:,} × {changed.column} would change {_places(changed.samples, with_values, changed.rows)}")
    for reason in found.doubtful:
        places = _places(reason.samples, with_values, reason.rows)
        say(f"{reason.rows:,} × {reason.column} {DOUBTS[reason.code]}; it would be loaded {places}")
    if found.superseded:
        places = _places(found.superseded_samples, with_values, found.superseded)
        say(f"{found.superseded:,} × Another row of the source has the same key and counts {places}")
    if found.ignored_columns:
        more = len(found.ignored_columns) - COLUMNS_SHOWN
        shown = ", ".join(found.ignored_columns[:COLUMNS_SHOWN])
        say(f"Columns not used: {shown}{f' and {more} more' if more > 0 else ''}")
    if found.lacking:
        unknown = " `--table` tells which rows are new." if found.accepted and found.in_table is None else ""
        lacking = ", ".join(found.lacking)
        say(f"Rows that are new to the table would be rejects: the model requires {lacking} as well.{unknown}")
    for trouble in found.trouble[:REASONS_SHOWN]:
        say(trouble)


def _places(samples: Sequence[Sample | ChangedValue], with_values: bool, rows: int) -> str:
    """The places of some rows: `line 4, 9 …`, or `row 4 …` where a format has no lines."""
    if not samples:
        return ""
    word = "row" if samples[0].line is None else "line"
    shown = [str(each.row if each.line is None else each.line) for each in samples]
    if with_values:
        shown = [
            place if each.shown is None else f"{place}: {each.shown}"
            for place, each in zip(shown, samples, strict=True)
        ]
    return f"[{word} {', '.join(shown)}{' …' if rows > len(samples) else ''}]"
