"""What every test shares: databases of fix_databases.py and fix_postgresql.py, small Flask shops of fix_shop.py."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["fix_clouds", "fix_databases", "fix_postgresql", "fix_shop"]


MEMORY_DISK = Path("/dev/shm")
ROOM_BYTES = 4 << 30


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests' files in memory, and the developer's own Prefect out: it reads its settings once, on import."""
    if "TMPDIR" not in os.environ and _may_hold_all(MEMORY_DISK):
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY_DISK)
    folder = tempfile.TemporaryDirectory(prefix="restock-prefect-")
    config.add_cleanup(folder.cleanup)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    # A busy machine is no fault of what is tested; what fails comes with the line that repeats it.
    settings.register_profile("restock", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
    settings.load_profile("restock")
    os.environ |= {"PREFECT_HOME": folder.name, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


def _may_hold_all(folder: Path) -> bool:
    """Whether files may be made and run there, as many as all tests make: a disk is waited for at every COMMIT."""
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < ROOM_BYTES:
        return False
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over the libraries' objects, which are here for good, and come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out by file, in their order, to processes; all at the station stay together."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, _ = nodeid.partition("::")
            return "operations" if "/operations/" in file else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once for each reason how many tests were skipped: a missing database skips hundreds."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} skipped: {reason}", yellow=True)
