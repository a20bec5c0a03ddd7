"""From zero to nightly: `make up` and what it leaves behind."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from looking import look_until
from operations.houses import AT_NIGHT, House

from flows.station import Station
from restock.errors import ConfigurationError


def test_the_deployments_of_the_feeds_are_registered_with_their_schedules(house: House) -> None:
    nightly = house.client.read_deployment_by_name("sync-products/products")

    (schedule,) = nightly.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("15 2 * * *", "Europe/Berlin")
    ad_hoc = house.client.read_deployment_by_name("sync-products/ad-hoc")
    assert ad_hoc.schedules == []
    asked = {each.name: list(each.parameter_openapi_schema["properties"]) for each in (nightly, ad_hoc)}
    of_a_run = ["file", "fresh", "max_rejects", "force"]
    assert asked == {"products": of_a_run, "ad-hoc": ["feed", *of_a_run]}


def test_the_schedule_makes_runs_and_every_field_of_a_form_has_its_help(house: House) -> None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    nightly = house.client.read_deployment_by_name("sync-products/products")
    of_it = DeploymentFilter(id=DeploymentFilterId(any_=[nightly.id]))

    def scheduled() -> set[str] | None:
        runs = [run for run in house.client.read_flow_runs(deployment_filter=of_it) if run.state.is_scheduled()]
        slots = (run.expected_start_time.astimezone(ZoneInfo("Europe/Berlin")) for run in runs)
        return {f"{slot:%H:%M}" for slot in slots} or None

    # With SQLAlchemy 2.1, Prefect 3.8.8 shows the schedule as active and never makes a run of it.
    assert look_until(scheduled) == {"02:15"}
    for name in ("sync-products/products", "sync-products/ad-hoc", "reprocess-failed-chunks/by-hand"):
        asked = house.client.read_deployment_by_name(name).parameter_openapi_schema["properties"]
        assert all(field.get("description") for field in asked.values()), asked


def test_up_again_changes_nothing(house: House) -> None:
    processes = [house.process(name) for name in ("server", "worker")]

    again = house.run("flows.station", "up")

    assert again.returncode == 0, again.stderr
    assert house.pages in again.stdout
    assert processes == [house.process(name) for name in ("server", "worker")]


def test_up_says_that_the_work_pool_is_paused(house: House) -> None:
    from prefect.client.schemas.actions import WorkPoolUpdate

    house.client.update_work_pool("restock", WorkPoolUpdate(is_paused=True))
    try:
        paused = house.run("flows.station", "up").stdout
    finally:
        house.client.update_work_pool("restock", WorkPoolUpdate(is_paused=False))

    told = "The work pool is paused, so its runs wait: `prefect work-pool resume restock` lets them go.\n"
    assert paused.endswith(told)
    assert "paused" not in house.run("flows.station", "up").stdout


def test_the_lines_for_commands_hold_in_any_folder(tmp_path: Path, house: House) -> None:
    lines = [line[line.index("export ") :] for line in house.run("flows.station", "up").stdout.splitlines()[2:4]]

    script = "\n".join([*lines, 'printf %s "$PREFECT_API_URL $PREFECT_API_AUTH_STRING"'])
    told = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert told == f"{house.pages}/api {(house.folder / '.restock/station/auth-string').read_text()}"


@AT_NIGHT
def test_down_keeps_what_was_known(house: House) -> None:
    known = house.client.read_deployment_by_name("sync-products/products").id

    ended = house.run("flows.station", "down")

    assert ended.stdout == "Ended: worker and server. What they knew is kept.\n"
    assert house.run("flows.station", "down").stdout == "Nothing was running.\n"
    house.succeed("-m", "flows.station", "up")
    assert house.client.read_deployment_by_name("sync-products/products").id == known


@AT_NIGHT
def test_a_run_that_down_ends_is_found_dead_after_the_next_up(house: House) -> None:
    house.fill(300)
    with house.told("slow", "1"):
        run = house.start("sync-products/products")
        house.has_begun(run)
        house.succeed("-m", "flows.station", "down")
    house.succeed("-m", "flows.station", "up")

    state = house.ended(run, 180)

    assert state.name == "Crashed", state
    assert house.ended(house.start("sync-products/products")).name == "Completed"
    assert len(house.shop.execute("SELECT run_id FROM restock_run")) == 1
    assert len(house.shop.rows("product")) == 300


@AT_NIGHT
def test_what_a_script_started_in_its_background_can_be_ended(house: House) -> None:
    house.succeed("-m", "flows.station", "down")
    # A shell lets what it starts in the background ignore Ctrl-C, and so does whatever that starts.
    up = ["sh", "-c", 'trap "" INT; exec "$0" -m flows.station up', sys.executable]
    subprocess.run(up, cwd=house.folder, env=house.environment, capture_output=True, check=True)
    look_until(lambda: "started!" in last_line(house, "worker") or None)

    house.succeed("-m", "flows.station", "down")

    assert "stopped!" in last_line(house, "worker")
    house.succeed("-m", "flows.station", "up")


def last_line(house: House, process: str) -> str:
    """What the station's server or worker said last."""
    return (house.folder / ".restock" / "station" / f"{process}.log").read_text().splitlines()[-1]


def test_nobody_may_ask_the_server_without_the_string(house: House) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{house.pages}/api/admin/version")
    with pytest.raises(urllib.error.HTTPError, match="403"):  # a page of another site could send this: no CSRF token
        urllib.request.urlopen(f"{house.pages}/api/flows/count", data=b"{}")
    file = house.folder / ".restock/station/auth-string"
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0  # the logs and Prefect's database lie there


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(house.folder)
    monkeypatch.delenv("RESTOCK_FEEDS", raising=False)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"^Port {port} is taken by another program; end that one, or"):
            Station(tmp_path / "station").up(port)


def test_a_prefect_yaml_behind_feeds_yaml_is_a_sentence(
    tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESTOCK_FEEDS", str(house.folder / "feeds.yaml"))
    (tmp_path / "prefect.yaml").write_text((Path(__file__).parents[2] / "prefect.yaml").read_text())

    with pytest.raises(ConfigurationError, match=r"^prefect\.yaml is behind feeds\.yaml; run `restock deployments`"):
        Station(tmp_path / "station").up(1)
