"""What every test shares. Databases are made in fix_databases.py, small Flask shops in fix_shop.py."""

from __future__ import annotations

import os
import tempfile
from collections import Counter

import pytest

pytest_plugins = ["fix_clouds", "fix_databases", "fix_shop"]


def pytest_configure(config: pytest.Config) -> None:
    """Keep the developer's own Prefect out of the tests: Prefect reads its settings once, when it is imported."""
    folder = tempfile.TemporaryDirectory(prefix="restock-prefect-")
    config.add_cleanup(folder.cleanup)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ |= {"PREFECT_HOME": folder.name, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a file share a process, and all that use the one station, whatever their file."""
    for item in items:
        is_at_the_station = "standing_house" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("station" if is_at_the_station else item.path.stem))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once for each reason how many tests were skipped: a missing database skips hundreds."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} skipped: {reason}", yellow=True)
