"""The databases of feeds.yaml, each visited once, and where in them a run is."""

from __future__ import annotations

from dataclasses import dataclass

from flows.runs.workplace import Workplace
from restock.errors import ConfigurationError, RestockError, SinkUnavailable
from sinks.flask_sink import FlaskSink, open_sink
from sinks.ledger.bookkeeping import Ledger
from sinks.ledger.entries import RunEntry
from sinks.ledger.history import History


@dataclass(frozen=True)
class Visit:
    """One database, the sinks of the feeds that land in it, by feed name, and what its ledger tells."""

    sinks: dict[str, FlaskSink]
    history: History


@dataclass(frozen=True)
class Unreached:
    """A feed whose database could not be visited, and why."""

    feed: str
    reason: str

    def verdict(self) -> None:
        """Say that an answer lacks what its database knows.

        Raises:
            SinkUnavailable: always.
        """
        raise SinkUnavailable(f"Feed {self.feed} could not be asked: {self.reason}")


@dataclass(frozen=True)
class FoundRun:
    """A run, in the database that knows it; and its feed, where that could not be opened."""

    run: RunEntry
    visit: Visit
    unreached: Unreached | None = None

    @property
    def history(self) -> History:
        """What the ledger tells of it."""
        return self.visit.history

    @property
    def ledger(self) -> Ledger:
        """What can be written of it, whether or not its feed is still known."""
        return Ledger(self.history.database, self.run.target)

    @property
    def sink(self) -> FlaskSink:
        """The sink that loads it.

        Raises:
            ConfigurationError: its feed is no longer in feeds.yaml.
            SinkUnavailable: its feed could not be opened.
        """
        sink = self.visit.sinks.get(self.run.feed)
        if sink is None and self.unreached is not None:
            self.unreached.verdict()
        if sink is None:
            raise ConfigurationError(
                f"Run {self.run.run_id} belongs to the feed {self.run.feed!r}, which has left feeds.yaml; put it "
                f"back, or give the run's chunks up with `restock abandon {self.run.run_id}`."
            )
        return sink


def visit_databases(place: Workplace) -> tuple[list[Visit], list[Unreached]]:
    """Open each database of feeds.yaml once, and name those that cannot be reached, or whose ledger cannot be read."""
    visits: dict[str, Visit] = {}
    unreached: list[Unreached] = []
    for feed in place.feeds.values():
        try:
            sink = open_sink(feed, place.settings.lease_seconds)
            key = sink.database.identity
            if key not in visits:
                history = History(sink.database)
                history.check_readable()  # a database that does not answer is found here
                visits[key] = Visit({}, history)
            visits[key].sinks[feed.name] = sink
        except RestockError as error:
            unreached.append(Unreached(feed.name, str(error)))
    return list(visits.values()), unreached


def find_run(place: Workplace, run_id: str) -> FoundRun:
    """The run of that id, in whichever database it is.

    Raises:
        ConfigurationError: no ledger has it.
        SinkUnavailable: it is in none that answers, and some do not.
    """
    visits, unreached = visit_databases(place)
    lost = {each.feed: each for each in unreached}
    runs = [(run, visit) for visit in visits if (run := visit.history.find_run(run_id)) is not None]
    found = [FoundRun(run, visit, lost.get(run.feed)) for run, visit in runs]
    if found:
        # Two addresses may lead to one database, each with the sinks of its own feeds.
        return next((each for each in found if each.run.feed in each.visit.sinks), found[0])
    if unreached:
        raise SinkUnavailable(
            f"Run {run_id} was not found, but the database of feed {unreached[0].feed} could not be asked: "
            f"{unreached[0].reason}"
        )
    raise ConfigurationError(f"There is no run {run_id} in any ledger; `restock runs` lists those there are.")


def unfinished_runs(visits: list[Visit]) -> list[FoundRun]:
    """The runs with outstanding chunks in the order in which they apply, whether or not their feed is still known."""
    return [FoundRun(run, visit) for visit in visits for run in visit.history.unfinished()]
