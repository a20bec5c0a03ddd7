"""The table that the sink is tried on."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.loads import MakeTable, Table, open_table
from fix_shop import MakeShop


@pytest.fixture
def make_table(make_shop: MakeShop, database_url: str) -> MakeTable:
    """Make the table of a model, once on each kind of database: `make_table(models=None, model="Product", **feed)`.

    `models` is the source of the models module; the other keys are those of the feed.
    """

    def make(models: str | None = None, model: str = "Product", **keys: Any) -> Table:
        return open_table(make_shop(database_url, models), model, **keys)

    return make
