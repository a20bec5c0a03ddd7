"""The deployments that are written into prefect.yaml: one for each feed, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.orchestration.deployments import are_current, write_deployments
from restock.errors import ConfigurationError
from restock.feeds import Feed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "prefect.yaml"
    path.write_text((ROOT / "prefect.yaml").read_text())
    return path


def feeds(**entries: dict[str, Any]) -> dict[str, Feed]:
    usual = {"source": "a.csv", "app": "shop:create_app", "model": "shop:Product"}
    return {name: Feed.model_validate({"name": name, **usual, **entry}) for name, entry in entries.items()}


def test_each_feed_becomes_a_deployment_with_its_schedule(project: Path) -> None:
    some = feeds(tools={"schedule": {"cron": "5 1 * * 1-5", "timezone": "Europe/Berlin"}}, yes={})

    assert write_deployments(project, some)

    written = {entry["name"]: entry for entry in yaml.safe_load(project.read_text())["deployments"]}
    assert list(written) == ["tools", "yes", "ad-hoc", "by-hand"]
    assert written["tools"]["schedules"] == [{"cron": "5 1 * * 1-5", "timezone": "Europe/Berlin"}]
    assert written["tools"]["entrypoint"] == "flows/sync_products.py:sync_feed_of_deployment"
    assert written["yes"]["schedules"] == []
    assert written["tools"]["description"] == "Brings the feed tools in. Its schedule is written in feeds.yaml."
    assert "Brings the feed yes in. It has no schedule" in written["yes"]["description"]
    assert {entry["work_pool"]["name"] for entry in written.values()} == {"restock"}


def test_writing_again_changes_nothing_and_a_changed_schedule_is_noticed(project: Path) -> None:
    write_deployments(project, feeds(tools={}))
    before = project.read_text()

    assert are_current(project, feeds(tools={}))
    assert not write_deployments(project, feeds(tools={}))
    assert project.read_text() == before
    assert not are_current(project, feeds(tools={"schedule": {"cron": "5 1 * * *"}}))
    assert not are_current(project, {})


@pytest.mark.parametrize(
    "name, why", [("ad-hoc", "another deployment has that name"), ("a/b", "it has one of the characters")]
)
def test_a_feed_that_cannot_be_a_deployment_is_named(project: Path, name: str, why: str) -> None:
    before = project.read_text()

    with pytest.raises(ConfigurationError, match=why):
        write_deployments(project, feeds(**{name: {}}))
    assert project.read_text() == before


def test_a_file_without_the_marks_or_no_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="run this in the folder of restock"):
        write_deployments(tmp_path / "prefect.yaml", {})
    (tmp_path / "prefect.yaml").write_text("deployments: []\n")
    with pytest.raises(ConfigurationError, match="has lost the marks"):
        write_deployments(tmp_path / "prefect.yaml", {})


def test_our_own_prefect_yaml_is_up_to_date() -> None:
    from restock.feeds_file import read_feeds

    assert are_current(ROOT / "prefect.yaml", read_feeds(ROOT / "feeds.yaml"))


@pytest.mark.parametrize(
    "schedule, fault",
    [
        ({"cron": "15 2 * *"}, "minute, hour, day, month and weekday"),
        ({"cron": "15 2 * * *", "timezone": "Berlin"}, "time zone of the tz database"),
    ],
)
def test_a_schedule_that_means_nothing_is_refused(schedule: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        feeds(tools={"schedule": schedule})
