"""COMMIT gets lost on its way, its answer gets lost, or the database refuses it (T05, T06)."""

from __future__ import annotations

from contextlib import suppress

import pytest
import sqlalchemy as sa
from faults import oracle, upsets
from faults.line import Line
from faults.loads import Load
from faults.shops_at_risk import DEFERRED
from fix_databases import MakeDatabase
from fix_shop import MakeShop

from flows.runs.progress import Progress
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, RestockError, SinkUnavailable

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_a_commit_that_gets_lost_is_neither_repeated_nor_forgotten(
    load_on_a_line: tuple[Load, Line], lost: str
) -> None:
    load, line = load_on_a_line
    upsets.sync_once(load)
    found = []
    for number in range(1, 100):
        load.reset()
        line.lose_commit(number, lost)
        with suppress(RestockError):
            upsets.sync_once(load)
        if not line.lost:
            break
        found += load.untruths()
        upsets.load_until_done(load)
        found += [f"COMMIT {number}, {lost} lost: {each}" for each in load.violations()]
    line.lose_nothing()

    assert number > 10
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_chunk_whose_commit_is_refused_harms_none_of_those_after_it(
    make_database: MakeDatabase, make_shop: MakeShop, kind: str
) -> None:
    shop = make_shop(make_database(kind), DEFERRED)
    shop.feed(chunk_rows=2)
    rows = [{"sku": f"S-{n}", "name": f"Product {n}", "category_id": 999 if n == 3 else ""} for n in range(1, 9)]
    shop.write_csv("products.csv", rows)

    upsets.sync_once(Load(shop))

    assert oracle.statuses(shop.engine) == ["loaded", "failed", "loaded", "loaded"]
    assert [row["sku"] for row in shop.rows("product")] == [f"S-{n}" for n in (1, 2, 5, 6, 7, 8)]
    with upsets.engine_of(shop).connect() as connection:
        raw = connection.connection.dbapi_connection
        assert not (raw.in_transaction if kind == "sqlite" else raw.info.transaction_status)


class ReaderAfterFirstChunk(Progress):
    """Reads a SQLite file from the first chunk on, which holds it against every COMMIT."""

    def __init__(self, engine: sa.Engine) -> None:
        self.connection = engine.raw_connection()
        self.cursor = self.connection.cursor()

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        self.cursor.execute("BEGIN")
        self.cursor.execute("SELECT count(*) FROM product").fetchall()
        self.cursor.execute("SELECT * FROM product")
        self.cursor.fetchone()

    def leave(self) -> None:
        self.cursor.close()
        self.connection.close()


def test_a_commit_that_a_reader_of_the_sqlite_file_prevents_leaves_no_open_transaction(sqlite_load: Load) -> None:
    load, engine = sqlite_load, upsets.engine_of(sqlite_load.shop)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 20")
    reader = ReaderAfterFirstChunk(load.shop.engine)

    with pytest.raises(SinkUnavailable, match="SQLITE_BUSY"):
        upsets.sync_once(load, reader)

    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        assert not raw.in_transaction
    reader.leave()
    assert load.untruths() == []
    upsets.load_until_done(load)
    assert load.violations() == []
