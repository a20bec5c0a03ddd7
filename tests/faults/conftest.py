"""The load under fault, in a shop of its own."""

from __future__ import annotations

import pytest
from faults.loads import Load, make_load
from shops import Shop


@pytest.fixture
def load(shop: Shop) -> Load:
    """The usual load, once on each kind of database."""
    return make_load(shop)


@pytest.fixture
def sqlite_load(sqlite_shop: Shop) -> Load:
    """The usual load on SQLite, for what has nothing to do with the kind of database."""
    return make_load(sqlite_shop)
