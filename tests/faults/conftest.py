"""The load under fault, in a shop of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from faults.line import Line
from faults.loads import Load, make_load
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop

AT_A_TIME = 3


@pytest.fixture(params=[True, False], ids=["on", "off"])
def is_on(request: pytest.FixtureRequest) -> bool:
    """Whether the safety rule of a test is in force."""
    return bool(request.param)


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


@pytest.fixture(params=["postgresql", "mariadb"])
def load_on_a_line(
    request: pytest.FixtureRequest, make_database: MakeDatabase, make_shop: MakeShop
) -> Iterator[tuple[Load, Line]]:
    """A load whose product reaches the database by a line; the oracle goes there directly."""
    server = sa.make_url(make_database(request.param))
    line = Line(server)
    made = make_shop(line.url)
    engine = sa.create_engine(server)
    yield make_load(Shop(made.folder, made.package, engine)), line
    engine.dispose()
    made.engine.dispose()
    line.close()
