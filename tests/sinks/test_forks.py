"""A process that is forked from one with open connections leaves these alone and opens its own (T15)."""

from __future__ import annotations

import gc
import importlib
import os
import traceback
import weakref
from collections.abc import Callable

import pytest
from contracts.loads import ITEM, Table, make_items, open_table
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop

from sinks.database.app_database import AppDatabase

CHILDREN = 4
ROWS = 50


def in_children(work: Callable[[int], None]) -> list[int]:
    """Do a work in several forks of this process at a time, each under its number; their exit statuses."""
    processes = []
    for number in range(CHILDREN):
        process = os.fork()
        if not process:
            status = 1
            try:
                work(number)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        processes.append(process)
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


@pytest.fixture(params=["postgresql", "mariadb"])
def products(request: pytest.FixtureRequest, make_database: MakeDatabase, make_shop: MakeShop) -> Table:
    """The table of an app that is made when its module is imported, as one that a server preloads is."""
    shop = make_shop(make_database(request.param))
    (shop.folder / shop.package / "wsgi.py").write_text("from . import create_app\n\napp = create_app()\n")
    return open_table(shop, app=f"{shop.package}.wsgi:app")


def test_forks_of_a_process_that_has_used_its_database_load_at_a_time(products: Table) -> None:
    items = make_items(CHILDREN * ROWS)

    with products.admitted([ROWS] * CHILDREN) as refs:

        def load(number: int) -> None:
            mine = open_table(products.shop, app=products.sink.feed.app)
            mine.load_chunk(mine.chunk(items[number * ROWS : (number + 1) * ROWS], refs[number]))

        assert in_children(load) == [0] * CHILDREN
        assert len(products.seen_by_app("sku")) == len(items)  # the parent's connections are still its own

    assert sorted(products.rows(*ITEM), key=lambda row: row["sku"]) == items


def test_what_was_opened_for_an_app_goes_with_the_app(sqlite_shop: Shop) -> None:
    module = importlib.import_module(sqlite_shop.package)
    engines = weakref.WeakSet([AppDatabase(module.create_app(), module.Product, sqlite_shop.app).engine])
    assert engines

    module.apps.clear()
    gc.collect()

    assert not engines
