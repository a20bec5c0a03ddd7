"""COMMIT gets lost on its way, its answer gets lost, or the database refuses it (T05, T06)."""

from __future__ import annotations

from contextlib import suppress

import pytest
import sqlalchemy as sa
from contracts.loads import open_table
from faults import oracle, upsets
from faults.line import Line, Lost
from faults.loads import Load
from faults.shops_at_risk import DEFERRED
from fix_databases import MakeDatabase
from fix_shop import MakeShop

from flows.runs.progress import Progress
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, RestockError, SinkUnavailable, TargetBusy
from sinks.ledger.owners import Owner

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


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_a_lease_is_taken_though_its_commit_gets_lost(load_on_a_line: tuple[Load, Line], lost: Lost) -> None:
    """Asked again, the ledger would say that the table is being written, by this very process."""
    load, line = load_on_a_line
    upsets.sync_once(load)
    line.lose_commit(1, lost)

    lease = open_table(load.shop).take_lease()

    [held] = load.shop.rows("restock_lease")
    assert line.lost == 1
    assert (held["token"], held["owner"]) == (lease.token, str(Owner.this_process()))


def test_a_lease_whose_commit_got_lost_is_not_taken_for_that_of_whoever_came_next(
    load_on_a_line: tuple[Load, Line],
) -> None:
    """Under the same token, as nothing was kept of the first."""
    load, line = load_on_a_line
    upsets.sync_once(load)
    products = open_table(load.shop)

    def come_next(_: sa.engine.ExceptionContext) -> None:
        load.shop.execute("UPDATE restock_lease SET token = token + 1, owner = 'elsewhere|1|1', expires_at = 1e11")
        load.shop.execute("UPDATE restock_fence SET token = token + 1")

    sa.event.listen(products.sink.database.engine, "handle_error", come_next, once=True)
    line.lose_commit(1, "request")

    with pytest.raises(TargetBusy, match="by process 1 on elsewhere"):
        products.take_lease()
    assert line.lost == 1


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
