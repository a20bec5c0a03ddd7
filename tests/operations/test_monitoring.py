"""What watches restock, tried with the real tools where they are installed: Prometheus, promtool and a Pushgateway."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from looking import look_until
from shops import Shop, run_restock

from flows.orchestration.prefect_server import free_port
from flows.runs.workplace import open_workplace
from flows.upkeep.metrics import Ledgers

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "dashboard.json").read_text())
ASKED = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def tool(name: str) -> pytest.MarkDecorator:
    """A test that needs a program."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"Install {name} to try it.")


@contextmanager
def running(*words: str) -> Iterator[None]:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def answer_of(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


@contextmanager
def answering() -> Iterator[str]:
    """`restock metrics --port`, as a process; the address it answers at."""
    port = free_port()
    with running(sys.executable, "-m", "flows.cli", "metrics", "--port", str(port)):
        url = f"127.0.0.1:{port}"
        look_until(lambda: answer_of(f"http://{url}/metrics"))
        yield url


@pytest.fixture
def loaded_shop(sqlite_shop: Shop) -> Shop:
    """A shop whose feed was brought in, with a reject."""
    sqlite_shop.write_csv("products.csv", [{"sku": f"S-{n}", "name": "" if n == 2 else "Rake"} for n in range(5)])
    assert run_restock(["sync", "products"], sqlite_shop).returncode == 0
    return sqlite_shop


def test_alerts_and_dashboard_ask_for_metrics_that_there_are(sqlite_shop: Shop) -> None:
    run_restock(["metrics"], sqlite_shop)
    there = {each.name for each in Ledgers(open_workplace()).collect()}
    there |= {"restock_rows_total", "restock_chunk_seconds_bucket"}

    asked = json.dumps(yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]) + "".join(ASKED)

    names = set(re.findall(r"\brestock_\w+", asked))
    assert names
    assert names <= there


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]

    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places) == len(ASKED)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(taken) == len(set(taken)), "two panels lie over each other"
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) == variables


def test_the_command_answers_each_scrape_anew(loaded_shop: Shop) -> None:
    with answering() as address:
        first = answer_of(f"http://{address}/metrics")
        run_restock(["sync", "products"], loaded_shop)
        second = answer_of(f"http://{address}/metrics")

    assert first is not None
    assert second is not None
    assert 'restock_rows_total{feed="products",outcome="inserted"} 4.0' in first
    assert 'restock_rows_total{feed="products",outcome="unchanged"} 4.0' in second


@tool("prometheus")
def test_a_prometheus_has_what_the_ledger_has(loaded_shop: Shop, tmp_path: Path) -> None:
    port = free_port()
    with answering() as address:
        scrape = {"job_name": "restock", "scrape_interval": "1s", "static_configs": [{"targets": [address]}]}
        file = tmp_path / "prometheus.yaml"
        file.write_text(yaml.safe_dump({"scrape_configs": [scrape], "rule_files": [str(DEPLOY / "alerts.yaml")]}))
        listen, data = f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={tmp_path / 'data'}"
        with running("prometheus", f"--config.file={file}", listen, data):
            asked = f"http://127.0.0.1:{port}/api/v1/query?query=restock_rows_total"
            rows = look_until(lambda: json.loads(answer_of(asked) or "{}").get("data", {}).get("result") or None)
            rules = json.loads(answer_of(f"http://127.0.0.1:{port}/api/v1/rules") or "")

    found = {each["metric"]["outcome"]: each["value"][1] for each in rows}
    assert (found["inserted"], found["rejected"]) == ("4", "1")
    assert {rule["health"] for group in rules["data"]["groups"] for rule in group["rules"]} <= {"ok", "unknown"}


@tool("prometheus-pushgateway")
def test_a_pushgateway_takes_and_shows_them(loaded_shop: Shop) -> None:
    address = f"127.0.0.1:{free_port()}"
    with running("prometheus-pushgateway", f"--web.listen-address={address}"):
        look_until(lambda: answer_of(f"http://{address}/-/ready"))
        done = run_restock(["metrics", "--push", f"http://{address}"], loaded_shop)
        shown = answer_of(f"http://{address}/metrics")

    assert done.returncode == 0, done.stderr
    assert shown is not None
    assert re.search(r'restock_rows_total\{feed="products",.*outcome="inserted"\} 4\b', shown)


def promtool(folder: Path, *words: str, **files: Any) -> None:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@tool("promtool")
def test_prometheus_understands_the_alerts_and_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"shown:{number}", "expr": text.replace("$feed", ".+")} for number, text in enumerate(ASKED)]

    promtool(tmp_path, "check", "rules", str(DEPLOY / "alerts.yaml"))
    promtool(tmp_path, "check", "rules", "shown.yaml", shown={"groups": [{"name": "shown", "rules": rules}]})


# Each alert with series, a value every minute, that make it ring after 29 hours, and others that do not.
RINGING = {
    "RestockFeedIsLate": ("restock_lag_seconds{feed='?'}", "0+60x1800", "0+1x1800"),
    "RestockNeedsAPerson": ("restock_failed_chunks{feed='?'}", "2x1800", "0x1800"),
    "RestockDatabaseAway": ("restock_up{feed='?'}", "0x1800", "1x1800"),
    "RestockFeedNeverCompleted": ("restock_up{feed='?'}", "1x1800", "0x1800"),
    "RestockManyRejects": ("restock_rows_total{feed='?',outcome='rejected'}", "0+1x1800", "0x1800"),
}


@tool("promtool")
@pytest.mark.parametrize("alert", RINGING)
def test_an_alert_rings_when_it_should(alert: str, tmp_path: Path) -> None:
    metric, bad, good = RINGING[alert]
    values = {"bad": bad, "good": good}
    series = [{"series": metric.replace("?", feed), "values": text} for feed, text in values.items()]
    firing = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    rung = {
        "expr": f"sum by (feed) ({firing})",
        "eval_time": "29h",
        "exp_samples": [{"labels": '{feed="bad"}', "value": 1}],
    }
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [rung]}

    promtool(tmp_path, "test", "rules", "t.yaml", t={"rule_files": [str(DEPLOY / "alerts.yaml")], "tests": [test]})
