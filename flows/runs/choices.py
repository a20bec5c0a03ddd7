"""What may be decided for one run, by the person who starts it or by its schedule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from restock.errors import ConfigurationError
from restock.feeds import Feed
from restock.limits import Limit

# More than any run has: a typing error must not fill the memory.
MOST_NUMBERS = 1_000_000


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


def read_numbers(name: str, value: object) -> set[int] | None:
    """The numbers of a field such as `3, 7-9`, or None where it was left empty.

    Raises:
        ConfigurationError: it holds something else.
    """
    text = text_or_none(name, value)
    if text is None:
        return None
    parts = [re.fullmatch(r"(\d{1,9})(?:\s*-\s*(\d{1,9}))?", part.strip()) for part in text.split(",")]
    ranges = [(int(part[1]), int(part[2] or part[1])) for part in parts if part]
    if len(ranges) < len(parts) or any(last < first or last - first > MOST_NUMBERS for first, last in ranges):
        raise ConfigurationError(f"{name} is {text!r}; give numbers and ranges, such as 3, 7-9.")
    return {number for first, last in ranges for number in range(first, last + 1)}
