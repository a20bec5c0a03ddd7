"""Fresh, empty, real databases: SQLite and PostgreSQL always, MariaDB where one is named.

`RESTOCK_TEST_POSTGRESQL_URL` and `RESTOCK_TEST_MARIADB_URL` name servers to use, for example
`mysql+pymysql://root@127.0.0.1:3306/test`; each test gets a database of its own there, which is dropped again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from factories import fresh_word

MakeDatabase = Callable[[str], str]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sink tries again it tries at once, and it waits for no server."""
    monkeypatch.setattr("sinks.database.retries.LONGEST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("sinks.database.retries.AWAY_SECONDS", 0.0)


@pytest.fixture(scope="session")
def mariadb_server() -> sa.URL:
    """The MariaDB server that the environment names."""
    given = os.environ.get("RESTOCK_TEST_MARIADB_URL")
    if not given:
        pytest.skip("Set RESTOCK_TEST_MARIADB_URL to run this on MariaDB.")
    # For each connection the driver would read all certificates of the machine, which takes longer than most tests do.
    return sa.make_url(given).update_query_dict({"ssl_disabled": "true"})


@pytest.fixture
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeDatabase]:
    """Make an empty database of a kind (`sqlite`, `postgresql`, `mariadb`), as often as a test likes; gives its URL."""

    def make(kind: str) -> str:
        name = f"restock_test_{fresh_word()}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.sqlite"
        server = request.getfixturevalue(f"{kind}_server")
        return databases.enter_context(_database(server, name, **_STATEMENTS[kind]))

    with ExitStack() as databases:
        yield make


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, make_database: MakeDatabase) -> str:
    """The URL of an empty database; a test that asks for it runs once on each kind."""
    return make_database(request.param)


@pytest.fixture
def sqlite_url(make_database: MakeDatabase) -> str:
    """The URL of an empty SQLite file."""
    return make_database("sqlite")


@pytest.fixture
def postgresql_url(make_database: MakeDatabase) -> str:
    """The URL of an empty PostgreSQL database."""
    return make_database("postgresql")


@pytest.fixture
def mariadb_url(make_database: MakeDatabase) -> str:
    """The URL of an empty MariaDB database."""
    return make_database("mariadb")


def asking(url: str, query: str) -> str:
    """The URL of a database whose driver is asked for more, such as `charset=latin1`."""
    return sa.make_url(url).update_query_string(query).render_as_string(hide_password=False)


_STATEMENTS = {
    "postgresql": {
        "create": "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'",
        # FORCE: a test that killed a loader may leave its connection behind.
        "drop": "DROP DATABASE {name} WITH (FORCE)",
    },
    "mariadb": {
        "create": "CREATE DATABASE {name} CHARACTER SET utf8mb4",
        # Against waiting for ever where a test left a transaction open.
        "drop": "SET STATEMENT lock_wait_timeout = 20 FOR DROP DATABASE {name}",
    },
}


@contextmanager
def _database(server: sa.URL, name: str, create: str, drop: str) -> Iterator[str]:
    _run(server, create.format(name=name))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _run(server, drop.format(name=name))


def _run(server: sa.URL, statement: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with closing(engine.connect()) as connection:
        connection.exec_driver_sql(statement)
