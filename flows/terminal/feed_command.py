"""The commands of `restock feed`: a feed proposed from a file and a model, and what editors know of feeds.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import click

from flows.terminal.answers import Answer, run


@click.group()
def feed() -> None:
    """Write feeds: propose one from a file, or let an editor complete it."""


@feed.command()
def schema() -> None:
    """Print the JSON schema of feeds.yaml, for editors.

    Written to a file beside feeds.yaml, its name goes into the first line there:
    "# yaml-language-server: $schema=feeds.schema.json".
    """
    from restock.feeds_file import json_schema

    click.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


@feed.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, metavar="MODULE:CLASS", help="The model its rows are to land in.")
@click.option("--app", metavar="MODULE:NAME", help="The Flask app; looked for beside the model otherwise.")
@click.option("--name", help="The name of the feed; that of the file otherwise.")
def guess(file: Path, model: str, app: str | None, name: str | None) -> None:
    """Propose a feed for a file, as YAML on standard output.

    Dialect, columns, number and date formats are guessed from its first rows; samples and doubts stand beside them as
    comments. Read it, correct it, put it into feeds.yaml, and look first with `restock check`.
    """

    def work() -> Answer:
        from flows.looking.guessing import guess_feed
        from flows.looking.proposing import as_yaml

        text = as_yaml(guess_feed(file, model, app, name))
        return Answer(None, lambda: click.echo(text, nl=False))

    run(work, False)
