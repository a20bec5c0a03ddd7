"""Settings come from the environment, are absolute, and start at the folder of feeds.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from restock.errors import ConfigurationError
from restock.settings import read_settings


def test_without_an_environment_everything_is_beside_feeds_yaml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    settings = read_settings({})

    assert settings.feeds_file == tmp_path / "feeds.yaml"
    assert settings.folder == tmp_path
    assert settings.spool == tmp_path / ".restock" / "spool"
    assert settings.source_roots == (tmp_path,)
    assert settings.lease_seconds is None


def test_each_setting_can_be_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    settings = read_settings(
        {
            "RESTOCK_FEEDS": "conf/shop.yaml",
            "RESTOCK_SPOOL": "waiting",
            "RESTOCK_SOURCE_ROOTS": " in , ,~/drop",
            "RESTOCK_LEASE_SECONDS": "30",
        }
    )

    assert settings.feeds_file == tmp_path / "conf" / "shop.yaml"
    assert settings.spool == tmp_path / "waiting"
    assert settings.source_roots == (tmp_path / "in", Path.home() / "drop")
    assert settings.lease_seconds == 30.0


@pytest.mark.parametrize("text", ["soon", "0", "-5", "nan", "inf", "86401"])
def test_a_lease_that_is_no_length_of_time_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"RESTOCK_LEASE_SECONDS is .* give a number of seconds"):
        read_settings({"RESTOCK_LEASE_SECONDS": text})


def test_the_environment_of_the_process_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTOCK_FEEDS", str(tmp_path / "my.yaml"))

    assert read_settings().feeds_file == tmp_path / "my.yaml"


def test_addresses_and_folders_that_sources_may_come_from_stand_in_one_list(tmp_path):
    both, only = (
        read_settings({"RESTOCK_FEEDS": str(tmp_path / "f.yaml"), "RESTOCK_SOURCE_ROOTS": roots})
        for roots in ("in, s3://shop/feeds/", "s3://shop/feeds/")
    )

    assert (both.source_roots, both.source_addresses) == ((Path("in").absolute(),), ("s3://shop/feeds/",))
    assert (only.source_roots, only.source_addresses) == ((), ("s3://shop/feeds/",))


def test_a_task_runner_is_one_of_two():
    assert read_settings({}).task_runner == "thread"
    assert read_settings({"RESTOCK_TASK_RUNNER": "dask"}).task_runner == "dask"
    with pytest.raises(ConfigurationError, match="RESTOCK_TASK_RUNNER is 'ray'; give it one of: thread, dask"):
        read_settings({"RESTOCK_TASK_RUNNER": "ray"})
