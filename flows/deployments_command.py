"""The command `restock deployments`: a deployment for each feed, written into prefect.yaml."""

from __future__ import annotations

from pathlib import Path

import click

from flows.answers import Answer, run

PROJECT = Path("prefect.yaml")


@click.command()
@click.option("--check", is_flag=True, help="Only say whether prefect.yaml is up to date.")
def deployments(check: bool) -> None:
    """Write the feeds' deployments.

    Into prefect.yaml of the current folder, each with the schedule that feeds.yaml gives the feed. Register them with
    `prefect --no-prompt deploy --all`. With --check nothing is written; it ends with status 2 if something should be.
    """

    def work() -> Answer:
        from flows.deployments import are_current, write_deployments
        from flows.workplace import open_workplace
        from restock.errors import ConfigurationError

        feeds = open_workplace().feeds
        if check and not are_current(PROJECT, feeds):
            raise ConfigurationError("prefect.yaml is behind feeds.yaml; run `restock deployments`.")
        changed = not check and write_deployments(PROJECT, feeds)
        told = f"prefect.yaml has the deployments of {len(feeds)} feeds; "
        told += "register them with `prefect --no-prompt deploy --all`." if changed else "nothing had to be changed."
        return Answer(None, lambda: click.echo(told))

    run(work, False)
