"""Where the torture takes place: a database of one kind and a load in it, without pytest."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from faults import upsets
from faults.line import Line
from faults.loads import Load, make_load
from shops import DEFAULT_MODELS, Shop, write_package
from torture.servers import Server, own_mariadb, own_postgresql

KINDS = ("sqlite", "postgresql", "mariadb")
DROP = {"postgresql": "DROP DATABASE {name} WITH (FORCE)", "mariadb": "DROP DATABASE {name}"}


@dataclass
class Ground:
    """One load, reached by restock through a line that can be cut (SQLite has none)."""

    kind: str
    load: Load
    line: Line | None = None
    server: Server | None = None


@contextmanager
def prepared(kind: str) -> Iterator[Ground | None]:
    """A ground of a kind; None where this machine has no such database."""
    upsets.try_again_at_once()
    with ExitStack() as closing_all:
        folder = Path(closing_all.enter_context(tempfile.TemporaryDirectory(prefix="restock-torture-")))
        folder.chmod(0o755)  # the PostgreSQL server runs as another user where we are root
        name = f"restock_torture_{uuid.uuid4().hex[:8]}"
        if kind == "sqlite":
            file = sa.make_url(f"sqlite:///{folder / 'shop.sqlite'}")
            yield Ground(kind, _load(folder, file, file, closing_all))
            return
        found = closing_all.enter_context({"postgresql": own_postgresql, "mariadb": own_mariadb}[kind](folder))
        if found is None:
            yield None
            return
        server, address = found
        _run(address, f"CREATE DATABASE {name}")
        closing_all.callback(_run, address, DROP[kind].format(name=name))
        url = address.set(database=name)
        line = Line(url)
        closing_all.callback(line.close)
        yield Ground(kind, _load(folder, url, sa.make_url(line.url), closing_all), line, server)


def _load(folder: Path, direct: sa.URL, reached: sa.URL, closing_all: ExitStack) -> Load:
    package = f"shop_{uuid.uuid4().hex[:8]}"
    home = folder / package
    home.mkdir()
    write_package(home, package, reached.render_as_string(hide_password=False), DEFAULT_MODELS, {})
    os.environ |= {"RESTOCK_FEEDS": str(home / "feeds.yaml"), "RESTOCK_SPOOL": str(home / "spool")}
    sys.path.insert(0, str(home))
    module = importlib.import_module(package)
    with module.create_app().app_context():
        module.db.create_all()
        module.db.engine.dispose()
    engine = sa.create_engine(direct, pool_pre_ping=True)
    closing_all.callback(engine.dispose)
    shop = Shop(home, package, engine)
    shop.feed()
    load = make_load(shop)
    upsets.sync_once(load)
    closing_all.callback(lambda: upsets.engine_of(shop).dispose())
    return load


def _run(server: sa.URL, statement: str) -> None:
    time.sleep(0.05)
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with closing(engine.connect()) as connection:
        connection.exec_driver_sql(statement)
