"""What may be decided for one run, by the person who starts it or by its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from restock.errors import ConfigurationError
from restock.feeds import Feed
from restock.limits import Limit


@dataclass(frozen=True)
class Choices:
    """The choices of one run; without any, the feed is brought in as feeds.yaml says.

    `file` is read in place of the feed's source, inside the allowed roots. With `fresh`, an interrupted run of the same
    content does not go on but is begun anew. `max_rejects` is the limit of this run, and with `force` there is none.
    `due` is when a schedule wanted the run.
    """

    file: str | None = None
    fresh: bool = False
    max_rejects: Limit | None = None
    force: bool = False
    due: datetime | None = None

    def applied_to(self, feed: Feed) -> Feed:
        """The feed with the limits of this run."""
        if self.force:
            return feed.without_limits()
        return feed if self.max_rejects is None else feed.model_copy(update={"max_rejects": self.max_rejects})


def read_choices(
    file: object, fresh: object, max_rejects: object, force: object, due: datetime | None = None
) -> Choices:
    """The choices as somebody wrote them: Prefect's own check of a form can be switched off for a run.

    Raises:
        ConfigurationError: one of them is not what it should be.
    """
    chosen = text_or_none("file", file)
    for name, value in {"fresh": fresh, "force": force}.items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} is {value!r}; give true or false.")
    limit = text_or_none("max_rejects", max_rejects)
    try:
        parsed = None if limit is None else Limit.parse(limit)
    except ValueError as error:
        raise ConfigurationError(f"max_rejects: {error}.") from error
    return Choices(chosen, fresh is True, parsed, force is True, due)


def text_or_none(name: str, value: object) -> str | None:
    """The text of a field that may be left empty.

    Raises:
        ConfigurationError: it is no text.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} is {value!r}; give a text, or leave it empty.")
    return value
