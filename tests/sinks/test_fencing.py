"""The fence of a transaction: nobody writes past it, and on SQLite nobody waits for what is made ready before it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from contracts.loads import MakeTable, interposed, make_items, open_table
from fix_shop import MakeShop
from sqlalchemy.orm import Session

from restock.chunks import WriteCounts
from restock.errors import ChunkFailed


def test_on_sqlite_a_shop_may_write_while_the_rows_are_made_ready(make_shop: MakeShop, sqlite_url: str) -> None:
    products = open_table(make_shop(sqlite_url))

    def sell(_session: Session) -> None:
        with closing(sqlite3.connect(str(products.shop.engine.url.database), timeout=0)) as shop:
            shop.execute("INSERT INTO product (sku, name) VALUES ('of the shop', 'Spade')")
            shop.commit()

    counts = interposed(products, sell).load(make_items(1))

    assert counts == WriteCounts(inserted=1)
    assert len(products.rows()) == 2


def test_a_savepoint_keeps_nothing_of_a_transaction_that_fails(make_table: MakeTable) -> None:
    """The driver of SQLite would commit what is written in one that is the first thing in a transaction."""
    products = make_table()

    def write_and_raise(session: Session) -> None:
        with session.begin_nested():
            session.execute(sa.text("INSERT INTO product (sku, name) VALUES ('half', 'done')"))
        raise RuntimeError

    with products.admitted([1]) as [ref], pytest.raises(ChunkFailed, match="RuntimeError"):
        interposed(products, write_and_raise).load_chunk(products.chunk(make_items(1), ref))

    assert products.rows() == []
