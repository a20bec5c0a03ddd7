"""The commands for those who run restock every night: `restock deployments`, `automations` and `metrics`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.terminal.answers import Answer, run

PROJECT = Path("prefect.yaml")


@click.command()
@click.option("--check", is_flag=True, help="Only say whether prefect.yaml is up to date.")
def deployments(check: bool) -> None:
    """Write the feeds' deployments.

    Into prefect.yaml of the current folder, each with the schedule that feeds.yaml gives the feed. Register them with
    `prefect --no-prompt deploy --all`. With --check nothing is written; it ends with status 2 if something should be.
    """

    def work() -> Answer:
        from flows.orchestration.deployments import are_current, write_deployments
        from flows.runs.workplace import open_workplace
        from restock.errors import ConfigurationError

        feeds = open_workplace().feeds
        if check and not are_current(PROJECT, feeds):
            raise ConfigurationError("prefect.yaml is behind feeds.yaml; run `restock deployments`.")
        changed = not check and write_deployments(PROJECT, feeds)
        told = f"prefect.yaml has the deployments of all feeds ({len(feeds)}); "
        told += "register them with `prefect --no-prompt deploy --all`." if changed else "nothing had to be changed."
        return Answer(None, lambda: click.echo(told))

    run(work, False)


@click.command()
@click.option("--notify", metavar="BLOCK", help="Send notifications through this block, as slack-webhook/operators.")
def automations(notify: str | None) -> None:
    """Register what Prefect does by itself.

    The automations that come along: find runs that died or never began, go on after trouble, and call for a person.
    """

    def work() -> Answer:
        from flows.orchestration.prefect_server import check_server, configured_api_url
        from restock.errors import ConfigurationError

        url = configured_api_url()
        if url is None:
            raise ConfigurationError("No Prefect server is configured; name one in PREFECT_API_URL.")
        check_server(url)
        from flows.orchestration.automations import register_automations

        registered, left_out = register_automations(notify)
        lines = [f"Registered: {name}" for name in registered]
        lines += [f"Left out, because it needs --notify: {name}" for name in left_out]
        return Answer(None, lambda: click.echo("\n".join(lines)))

    run(work, False)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Answer Prometheus on this port.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to answer at.")
@click.option("--push", metavar="URL", help="Send them to this Pushgateway, once.")
def metrics(port: int | None, host: str, push: str | None) -> None:
    """Show the ledgers as Prometheus metrics.

    Rows by outcome, the seconds chunks took, and the time since the last completed run, for each feed.
    """
    if port and push:
        raise click.UsageError("--port answers, --push sends; choose one.")

    def work() -> Answer:
        from flows.runs.workplace import open_workplace
        from flows.upkeep.metrics import metrics_text, push_metrics, serve_metrics

        place = open_workplace()
        if port:
            click.echo(f"Answering at http://{host}:{port}/metrics; Ctrl-C ends it.", err=True)
            serve_metrics(place, host, port)
        if push:
            push_metrics(place, push)
            return Answer(None, lambda: click.echo("The Pushgateway has the metrics."))
        text = metrics_text(place)
        return Answer(None, lambda: click.echo(text, nl=False))

    run(work, False)
