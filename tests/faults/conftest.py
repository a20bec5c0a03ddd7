"""The load under fault, in a shop of its own."""

from __future__ import annotations

import pytest
from faults.loads import Load, make_load
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop

AT_A_TIME = 3


@pytest.fixture
def load(shop: Shop) -> Load:
    """The usual load, once on each kind of database."""
    return make_load(shop)


@pytest.fixture
def sqlite_load(sqlite_shop: Shop) -> Load:
    """The usual load on SQLite, for what has nothing to do with the kind of database."""
    return make_load(sqlite_shop)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def loads(request: pytest.FixtureRequest, make_database: MakeDatabase, make_shop: MakeShop) -> list[Load]:
    """Several loads in databases of one kind, so that several cases can be tried at a time."""
    return [make_load(make_shop(make_database(request.param))) for _ in range(AT_A_TIME)]
