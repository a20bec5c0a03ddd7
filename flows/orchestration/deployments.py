"""Writes a deployment for each feed into prefect.yaml, between two marks, to be read and committed like the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from restock.errors import ConfigurationError
from restock.feeds import Feed
from restock.paths import shown

BEGIN = "  # The feeds, as `restock deployments` writes them from feeds.yaml: change them there."
END = "  # The end of the feeds."
BETWEEN = re.compile(f"^{re.escape(BEGIN)}\n(.*?)^{re.escape(END)}$", re.DOTALL | re.MULTILINE)
# What Prefect allows in the name of a deployment.
FORBIDDEN = re.compile(r"[/%&><]")


def write_deployments(project: Path, feeds: Mapping[str, Feed]) -> bool:
    """Bring the feeds' deployments in prefect.yaml up to date; whether anything had to be changed.

    Raises:
        ConfigurationError: prefect.yaml cannot be read or has lost the marks, or a feed cannot be a deployment.
    """
    before, after = _with_feeds(project, feeds)
    if before != after:
        project.write_text(after, encoding="utf-8")
    return before != after


def are_current(project: Path, feeds: Mapping[str, Feed]) -> bool:
    """Whether prefect.yaml has the feeds' deployments as feeds.yaml wants them.

    Raises:
        ConfigurationError: as `write_deployments` does.
    """
    before, after = _with_feeds(project, feeds)
    return before == after


def _with_feeds(project: Path, feeds: Mapping[str, Feed]) -> tuple[str, str]:
    try:
        text = project.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{shown(project)} cannot be read; run this in the folder of restock, where prefect.yaml is."
        ) from error
    found = BETWEEN.search(text)
    if found is None:
        raise ConfigurationError(
            f"{shown(project)} has lost the marks between which the feeds stand; put them back: {BEGIN.strip()!r} and "
            f"{END.strip()!r}."
        )
    outside = set(re.findall(r"^  - name: (\S+)", text[: found.start()] + text[found.end() :], re.MULTILINE))
    written = "".join(_entry(feed, outside) for feed in feeds.values())
    return text, text[: found.start(1)] + written + text[found.end(1) :]


def _entry(feed: Feed, outside: set[str]) -> str:
    if FORBIDDEN.search(feed.name) or feed.name in outside:
        why = "another deployment has that name" if feed.name in outside else "it has one of the characters / % & > <"
        raise ConfigurationError(f"The feed {feed.name!r} cannot be a deployment: {why}; rename it in feeds.yaml.")
    schedule = "Its schedule is" if feed.schedule else "It has no schedule: one would be"
    lines = [
        f"- name: {_text(feed.name)}",
        f"  description: {_text(f'Brings the feed {feed.name} in. {schedule} written in feeds.yaml.')}",
        "  entrypoint: flows/sync_products.py:sync_feed_of_deployment",
        # An empty list, because Prefect keeps the schedules of a deployment that no longer names any.
        *(["  schedules: []"] if feed.schedule is None else _schedule(feed.schedule.cron, feed.schedule.timezone)),
        "  work_pool: *pool",
    ]
    return "".join(f"  {line}\n" for line in lines)


def _schedule(cron: str, timezone: str) -> list[str]:
    return ["  schedules:", f"    - {{ cron: {_text(cron)}, timezone: {_text(timezone)} }}"]


def _text(text: str) -> str:
    """A text that YAML cannot take for anything else, whatever it says."""
    is_plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_/-]*", text) and yaml.safe_load(text) == text
    return text if is_plain else json.dumps(text)
