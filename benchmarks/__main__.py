"""The speed claims, measured: `make bench`, or `python -m benchmarks`. The options choose what is measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks import entries
from benchmarks.catalogue import Catalogue
from benchmarks.grounds import open_grounds
from benchmarks.measuring import Site, by_restock
from benchmarks.page import markdown, write_page
from benchmarks.sections import Section, keep
from benchmarks.size import Size
from benchmarks.works import prepare_works
from flows.orchestration.prefect_server import quiet_server

WARM_UP_ROWS = 1_000
USUAL = ("contest", "ladder", "checking", "small")


@click.command()
@click.option("--rows", default=200_000, show_default=True, help="Products of the first night.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; medians are reported.")
@click.option("--seed", default=7, show_default=True, help="Seed of the catalogue.")
@click.option("--ground", "grounds", multiple=True, help="Only this database: SQLite, PostgreSQL or MariaDB.")
@click.option("--contest", "chosen", flag_value="contest", help="restock against the databases' own clients.")
@click.option("--ladder", "chosen", flag_value="ladder", help="The tutorial's loops, on at most 100,000 products.")
@click.option("--checking", "chosen", flag_value="checking", help="What strict CSV and the contract cost.")
@click.option("--small", "chosen", flag_value="small", help="A feed of 1,000 rows, and `restock --help`.")
@click.option("--profile", "chosen", flag_value="profile", help="Where the time goes, by stage.")
@click.option(
    "--memory",
    "chosen",
    flag_value="memory",
    help="Peak memory at --rows and a tenth of them; issue 6 asks for 10 million.",
)
@click.option(
    "--growth",
    "chosen",
    flag_value="growth",
    help="The pace of W2 at --rows and a tenth of them; issue 6 asks for 10 million.",
)
@click.option("--latency", "chosen", flag_value="latency", help="One worker and four, 20 ms away from the database.")
@click.option("--peers", type=click.Path(exists=True), help="Other tools, by the Python that has them.")
@click.option("--write", is_flag=True, help="Keep the results and write docs/benchmarks.md.")
def main(chosen: str | None, peers: str | None, grounds: tuple[str, ...], write: bool, **size: Any) -> None:
    """Measure, and print the tables."""
    names = ("peers",) if peers else (chosen,) if chosen else USUAL
    with _site() as site:
        for name in _spelled_out(names, grounds):
            section = entries.MEASUREMENTS[name](site, Size(**size, grounds=grounds, peers=peers))
            _show(section)
            if write:
                keep(section)
    if write:
        write_page()


def _spelled_out(names: Iterable[str], grounds: tuple[str, ...]) -> Iterator[str]:
    """The contest is a measurement of each database."""
    for name in names:
        if name != "contest":
            yield name
            continue
        for ground in grounds or entries.TOLD:
            if ground != "MariaDB" or "BENCH_MARIADB" in os.environ:
                yield f"contest {ground}"


@contextmanager
def _site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="restock-bench-") as folder:
        home = Path(folder) / "prefect"
        with quiet_server(home) as url:
            site = Site(Path(folder), url, home)
            _warm_up(site)
            yield site


def _warm_up(site: Site) -> None:
    """Let the server meet a run before any is measured: its first one loads a good deal of it."""
    with tempfile.TemporaryDirectory(dir=site.folder) as folder:
        [work] = prepare_works(Catalogue(WARM_UP_ROWS, seed=0), Path(folder), ("W1",))
        with open_grounds(Path(folder), ("SQLite",)) as [ground]:
            by_restock("parquet")(ground.fresh(), work, site)


def _show(section: Section) -> None:
    click.echo(f"\n{section.title}\n")
    for title, lines in section.tables:
        click.echo(f"{title}\n{markdown(lines)}\n")


if __name__ == "__main__":
    main()
