"""The tables on which the contract of the sink is tried: by each writer, on each kind of database."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.loads import MakeTable, Table, open_table
from fix_databases import MakeDatabase
from fix_shop import MakeShop

WAYS = [
    f"{kind}-{writer}" for writer in ("copy", "mappings", "objects") for kind in ("sqlite", "postgresql", "mariadb")
]


@pytest.fixture(params=WAYS)
def make_table(request: pytest.FixtureRequest, make_shop: MakeShop, make_database: MakeDatabase) -> MakeTable:
    """Make the table of a model in each of the ways: `make_table(models=None, model="Product", **feed)`.

    `models` is the source of the models module; the other keys are those of the feed.
    """
    kind, _, writer = request.param.partition("-")

    def make(models: str | None = None, model: str = "Product", **keys: Any) -> Table:
        return open_table(make_shop(make_database(kind), models), model, **{"writer": writer, **keys})

    return make
