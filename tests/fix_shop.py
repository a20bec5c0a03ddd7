"""Makes shops: packages on disk, tables in a real database, and the environment that points at them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from factories import fresh_word
from fix_databases import MakeDatabase
from shops import DEFAULT_MODELS, Shop, write_package

from sinks.database import app_database, user_app
from sinks.staging import key_forms

MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_database: MakeDatabase,  # asked for so that the connections are closed before the databases are dropped
) -> Iterator[MakeShop]:
    """Make a shop with empty tables: `make_shop(database_url, models_source=None, binds=None) -> Shop`.

    `models_source` is what follows `shops.PREAMBLE` in the models module; `binds` names further databases by bind key.
    The environment of the test points at the shop made last.
    """

    def make(url: str, models_source: str | None = None, binds: Mapping[str, str] | None = None) -> Shop:
        package = f"shop_{fresh_word()}"
        folder = tmp_path / package
        folder.mkdir()
        write_package(folder, package, url, models_source or DEFAULT_MODELS, binds or {})
        _point_environment_at(folder, monkeypatch)
        module = importlib.import_module(package)
        closing.callback(_forget, module)
        _create_tables(module)
        engine = sa.create_engine(url)
        closing.callback(engine.dispose)
        shop = Shop(folder, package, engine)
        shop.feed()
        return shop

    with ExitStack() as closing:
        yield make


@pytest.fixture
def shop(make_shop: MakeShop, database_url: str) -> Shop:
    """The default shop, once on each kind of database."""
    return make_shop(database_url)


@pytest.fixture
def sqlite_shop(make_shop: MakeShop, sqlite_url: str) -> Shop:
    """The default shop on SQLite, for what has nothing to do with the kind of database."""
    return make_shop(sqlite_url)


def _point_environment_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("RESTOCK_FEEDS", str(folder / "feeds.yaml"))
    monkeypatch.setenv("RESTOCK_SPOOL", str(folder / "spool"))
    for name in ("RESTOCK_SOURCE_ROOTS", "RESTOCK_LEASE_SECONDS"):
        monkeypatch.delenv(name, raising=False)


def _create_tables(module: ModuleType) -> None:
    with module.create_app().app_context():
        module.db.create_all()


def _forget(module: ModuleType) -> None:
    """Close the connections of every app that was made of the shop, ours and the product's, and unload it.

    A process of the product serves few apps and keeps them; one of the tests would keep thousands.
    """
    for opened in (user_app.open_app, app_database._open_database, key_forms._search_of):
        opened.cache_clear()
    for app in module.apps:
        with app.app_context():
            for engine in module.db.engines.values():
                engine.dispose()
    for name in [name for name in sys.modules if name.partition(".")[0] == module.__name__]:
        # It listens to the connections of all engines, also of shops that come later.
        listener = getattr(sys.modules.pop(name), "check_foreign_keys", None)
        if listener is not None and sa.event.contains(sa.Engine, "connect", listener):
            sa.event.remove(sa.Engine, "connect", listener)
