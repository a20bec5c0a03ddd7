"""One installation of restock: its settings, its feeds and its spool."""

from __future__ import annotations

from dataclasses import dataclass

from restock.feeds import Feed
from restock.feeds_file import find_feed, read_feeds
from restock.references import add_to_import_path
from restock.settings import Settings, read_settings
from sources.chunks.memory import settle_memory
from sources.chunks.spool import Spool


@dataclass(frozen=True)
class Workplace:
    """What every door works with."""

    settings: Settings
    feeds: dict[str, Feed]

    @property
    def spool(self) -> Spool:
        return Spool(self.settings.spool)

    def feed(self, name: str) -> Feed:
        """The feed of that name.

        Raises:
            ConfigurationError: there is none.
        """
        return find_feed(self.feeds, name, self.settings.feeds_file)


def open_workplace() -> Workplace:
    """Read the settings and feeds.yaml, and make the modules beside it importable.

    Raises:
        ConfigurationError: something in them is wrong.
    """
    settle_memory()
    settings = read_settings()
    feeds = read_feeds(settings.feeds_file)
    add_to_import_path(str(settings.folder))
    return Workplace(settings, feeds)
