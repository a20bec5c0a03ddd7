"""What every test shares. Databases are made in fix_databases.py, small Flask shops in fix_shop.py."""

from __future__ import annotations

import os
import tempfile

import pytest

pytest_plugins = ["fix_databases", "fix_shop"]


def pytest_configure(config: pytest.Config) -> None:
    """Keep the developer's own Prefect out of the tests: Prefect reads its settings once, when it is imported."""
    folder = tempfile.TemporaryDirectory(prefix="restock-prefect-")
    config.add_cleanup(folder.cleanup)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ |= {"PREFECT_HOME": folder.name, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
