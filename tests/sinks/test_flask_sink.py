"""Transaction truth: a chunk says `loaded` if and only if its rows are committed, whatever goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from contracts.loads import ITEM, MakeTable, Table, interposed, make_items, open_table
from fix_shop import MakeShop
from sqlalchemy.orm import Session

from restock.chunks import Chunk, ChunkRef, Reject, WriteCounts
from restock.errors import ChunkFailed, ConfigurationError, LeaseLost, RunHeld, RunInterrupted, SinkUnavailable
from sinks.ledger.bookkeeping import AlreadyLoaded
from sinks.ledger.fencing import fenced


@pytest.fixture
def products(make_table: MakeTable) -> Table:
    return make_table()


def test_a_writer_that_raises_in_the_middle_leaves_nothing_but_the_reason(products: Table) -> None:
    def write_and_raise(session: Session) -> None:
        session.execute(sa.text("INSERT INTO product (sku, name) VALUES ('half', 'done')"))
        raise RuntimeError("secret of a row")

    with products.admitted([3]) as [ref]:
        chunk = products.chunk(make_items(3), ref)
        with pytest.raises(ChunkFailed, match=r"unexpected RuntimeError in .*test_flask_sink.py") as failure:
            interposed(products, write_and_raise).load_chunk(chunk)

        assert (products.rows(), products.rejects()) == ([], [])
        assert (products.entry(ref).status, products.entry(ref).error) == ("failed", str(failure.value))
        assert "secret" not in str(failure.value)
        assert products.load_chunk(chunk) == WriteCounts(inserted=3)
        assert (products.entry(ref).status, products.entry(ref).error) == ("loaded", None)


def test_loading_a_loaded_chunk_again_writes_nothing(products: Table) -> None:
    with products.admitted([2]) as [ref]:
        products.load_chunk(products.chunk(make_items(2), ref))
        products.shop.execute("DELETE FROM product")

        with products.recorded_writes() as writes:
            with pytest.raises(AlreadyLoaded) as done:
                products.load_chunk(products.chunk(make_items(2), ref))
            with pytest.raises(AlreadyLoaded):
                products.sink.load(products.chunk(make_items(2), ref))

    assert done.value.counts == WriteCounts(inserted=2)
    assert products.rows() == []
    assert writes == [] or products.sink.database.dialect == "sqlite"  # where the fence comes after the rows


@pytest.mark.parametrize(
    "end, told", [(ChunkFailed("no file"), AlreadyLoaded), (RunInterrupted("stop"), RunInterrupted)]
)
def test_whoever_ends_with_a_chunk_that_somebody_else_has_loaded_leaves_it_loaded(
    products: Table, end: Exception, told: type[Exception]
) -> None:
    def end_late(ref: ChunkRef) -> None:
        with products.sink.attempt(ref):
            products.load_chunk(products.chunk(make_items(1), ref))
            raise end

    with products.admitted([1]) as [ref]:
        with pytest.raises(told):
            end_late(ref)

        assert products.entry(ref).status == "loaded"


def test_two_threads_with_one_chunk_write_it_once(products: Table) -> None:
    meeting = threading.Barrier(2)

    def load() -> WriteCounts | AlreadyLoaded:
        try:
            with products.sink.attempt(ref):
                meeting.wait(timeout=20)
                return products.sink.load(products.chunk(make_items(50), ref))
        except AlreadyLoaded as done:
            return done

    with products.admitted([50]) as [ref], products.recorded_writes() as writes, ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(lambda _: load(), range(2)))

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyLoaded", "WriteCounts"]
    assert products.rows(*ITEM) == make_items(50)
    assert len(writes) == 1 or products.sink.database.dialect == "sqlite"  # where the fence comes after the rows
    assert products.entry(ref).counts == WriteCounts(inserted=50)


def test_an_attempt_that_begins_while_the_chunk_is_being_loaded_leaves_it_loaded(products: Table) -> None:
    if products.sink.database.dialect == "sqlite":
        pytest.skip("SQLite lets nobody else write while a chunk is written.")
    begun = []

    def begin_another(_session: Session) -> None:
        begun.append(other.submit(products.sink.ledger.begin_attempt, ref))
        wait_for_lock(products)

    with products.admitted([1]) as [ref], ThreadPoolExecutor(1) as other:
        interposed(products, begin_another).load_chunk(products.chunk(make_items(1), ref))
        with pytest.raises(AlreadyLoaded):
            begun[0].result(timeout=20)

    assert products.entry(ref).counts == WriteCounts(inserted=1)
    assert products.entry(ref).status == "loaded"


def wait_for_lock(table: Table) -> None:
    """Wait until somebody waits for a lock of the database."""
    question = {
        "postgresql": "SELECT count(*) AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()",
        "mysql": "SELECT count(*) AS waiting FROM information_schema.innodb_trx JOIN information_schema.processlist p "
        "ON p.id = trx_mysql_thread_id WHERE p.db = database() AND trx_state = 'LOCK WAIT'",
    }[table.shop.engine.dialect.name]
    for _ in range(50):
        if table.shop.execute(question)[0]["waiting"]:
            return
        time.sleep(0.15)  # MariaDB looks anew only where nobody has asked for 0.1 s
    raise AssertionError("nobody waited for a lock")


def test_nothing_is_kept_once_another_run_has_taken_the_table_over(products: Table) -> None:
    met: list[Session] = []
    with products.admitted([1]) as [ref]:
        products.sink.ledger.begin_attempt(ref)
        products.take_over()
        with pytest.raises(LeaseLost, match="taken over the table product"):
            interposed(products, met.append).sink.load(products.chunk(make_items(1), ref))

    assert products.rows() == []
    assert bool(met) == (products.sink.database.dialect == "sqlite")  # elsewhere the fence comes before the writer
    assert products.entry(ref).status == "loading"


def test_under_an_old_token_nothing_is_entered_in_the_ledger(products: Table) -> None:
    ledger = products.sink.ledger
    with products.admitted([1, 1]) as [planned, loading]:
        lease = ledger.lease_of(planned)
        ledger.begin_attempt(loading)
        products.take_over()
        before = [products.shop.rows(name) for name in ("restock_run", "restock_chunk")]
        for enter in (
            lambda: products.admit(lease, [1]),
            lambda: ledger.resume(lease, planned.run_id),
            lambda: products.load_chunk(products.chunk(make_items(1), planned)),
            lambda: ledger.failed(loading, "too late"),
            lambda: ledger.put_back(loading),
            lambda: ledger.abandon(lease, planned.run_id, None),
        ):
            with pytest.raises(LeaseLost):
                enter()

        assert [products.shop.rows(name) for name in ("restock_run", "restock_chunk")] == before


def test_a_row_that_vanishes_between_comparison_and_writing_is_inserted(products: Table) -> None:
    products.load(make_items(2))
    once = iter([True])

    def delete(session: Session) -> None:
        if next(once, False):
            session.execute(sa.text("DELETE FROM product WHERE sku = 'S-00001'"))

    changed = [item | {"name": "new"} for item in make_items(2)]
    counts = interposed(products, delete).load(changed)

    assert counts == WriteCounts(updated=2)  # the deletion went with the transaction that met it
    assert products.rows(*ITEM) == changed


def test_a_row_that_appears_between_comparison_and_writing_is_updated(products: Table) -> None:
    once = iter([True])

    def insert(_session: Session) -> None:
        if next(once, False):
            other.submit(products.shop.insert, "product", {"sku": "S-00001", "name": "of the shop"}).result(20)

    if products.sink.database.dialect == "sqlite":
        pytest.skip("SQLite lets nobody else write while a chunk is written.")
    with ThreadPoolExecutor(1) as other:
        counts = interposed(products, insert).load(make_items(2))

    assert counts == WriteCounts(inserted=1, updated=1)
    assert sorted(row["name"] for row in products.rows()) == ["Product 1", "Product 2"]


@contextmanager
def broken_commit(monkeypatch: pytest.MonkeyPatch, products: Table, is_committed: bool) -> Iterator[None]:
    """The next COMMIT of the app's connections raises, after it has happened or without."""
    dialect = products.sink.database.engine.dialect
    lost = [dialect.loaded_dbapi.OperationalError(2013, "the connection was lost")]
    commit = dialect.do_commit

    def commit_and_raise(connection: object) -> None:
        if not lost or is_committed:
            commit(connection)
        if lost:
            raise lost.pop()

    with monkeypatch.context() as patch:
        patch.setattr(dialect, "do_commit", commit_and_raise)
        yield
    assert lost == []


@pytest.mark.parametrize("is_committed", [True, False])
def test_after_an_error_from_commit_the_ledger_says_whether_it_happened(
    products: Table, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    with products.admitted([3]) as [ref], products.sink.attempt(ref):
        chunk = products.chunk(make_items(3), ref)
        with products.recorded_writes() as writes, broken_commit(monkeypatch, products, is_committed):
            counts = products.sink.load(chunk)

    assert counts == products.entry(ref).counts == WriteCounts(inserted=3)
    assert products.rows(*ITEM) == make_items(3)
    assert len(writes) == (1 if is_committed else 2)


def test_an_admission_whose_commit_raised_although_it_happened_is_not_entered_twice(
    products: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = products.take_lease()

    with broken_commit(monkeypatch, products, is_committed=True):
        refs = products.admit(lease, [1, 2])

    assert [ref.rows for ref in refs] == [1, 2]


def test_an_abandoning_whose_commit_raised_although_it_happened_tells_what_was_given_up(
    products: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    with products.admitted([1, 2]) as refs:
        lease = products.sink.ledger.lease_of(refs[0])

        with broken_commit(monkeypatch, products, is_committed=True):
            given_up = products.sink.ledger.abandon(lease, refs[0].run_id, None)

    assert given_up == refs


@contextmanager
def a_reader(file: str) -> Iterator[None]:
    """Someone in the middle of reading the file, so that nobody can commit to it (rollback journal)."""
    with closing(sa.create_engine(f"sqlite:///{file}").connect()) as reader:
        rows = reader.execution_options(stream_results=True).exec_driver_sql("SELECT * FROM product")
        rows.fetchone()
        yield
        rows.close()


@pytest.mark.usefixtures("no_pauses")
def test_a_commit_that_fails_on_sqlite_does_not_come_back_to_life(make_shop: MakeShop, sqlite_url: str) -> None:
    """The pooled connection would stay inside the transaction, and the next chunk would commit both."""
    products = open_table(make_shop(f"{sqlite_url}?timeout=0.01"))
    file = sqlite_url.removeprefix("sqlite:///")
    products.load(make_items(5))
    with products.admitted([1, 1]) as [first, second]:
        with (
            pytest.raises(SinkUnavailable, match="a conflict with another transaction"),
            products.sink.attempt(first),
            a_reader(file),
        ):
            products.sink.load(products.chunk([make_items(6)[5]], first))

        with closing(products.sink.database.engine.raw_connection()) as pooled:
            assert not pooled.driver_connection.in_transaction
        assert products.entry(first).status == "planned"
        products.load_chunk(products.chunk([make_items(7)[6]], second))

    assert products.rows(*ITEM) == [*make_items(5), make_items(7)[6]]


@pytest.mark.parametrize("poison", [[], [{"sku": "S-00000", "name": "bad", "price": -1, "stock": 0}]])
def test_a_full_disk_rejects_nobody(make_shop: MakeShop, sqlite_url: str, poison: list[dict[str, object]]) -> None:
    """A full SQLite file ends the transaction by itself, and a savepoint that was open in it with it."""
    products = open_table(make_shop(sqlite_url))
    products.load(make_items(5))
    engine = products.sink.database.engine
    pages = products.shop.execute("PRAGMA page_count")[0]["page_count"]
    engine.dispose()
    sa.event.listen(engine, "connect", lambda each, _: each.execute(f"PRAGMA max_page_count = {pages + 6}"))
    rows = poison + [item | {"name": "long " * 50} for item in make_items(200, first=6)]

    with pytest.raises(SinkUnavailable, match="no space or memory left"):
        products.load(rows)

    assert products.rows(*ITEM) == make_items(5)
    assert products.rejects() == []


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_deadlock_among_savepoints_starts_the_chunk_again(
    make_shop: MakeShop, request: pytest.FixtureRequest, kind: str
) -> None:
    """MariaDB ends the transaction by itself, and a savepoint that was open in it with it."""
    products = open_table(make_shop(request.getfixturevalue(f"{kind}_url")))
    products.shop.insert("category", *({"id": number, "name": f"c{number}"} for number in range(1, 101)))
    calls: list[str] = []
    waiting = threading.Event()

    def hold_and_ask_back() -> None:
        with products.shop.engine.begin() as connection:
            # Many rows: MariaDB lets the transaction with the fewest be the one that has to give way.
            connection.execute(sa.text("UPDATE category SET name = concat(name, 'x') WHERE id > 1"))
            held.set()
            waiting.wait(20)
            connection.execute(sa.text("UPDATE category SET name = 'mine' WHERE id = 1"))

    def meet(session: Session) -> None:
        calls.append("write")
        if len(calls) == 2:  # the first transaction met the bad row; this is the first savepoint
            session.execute(sa.text("UPDATE category SET name = 'ours' WHERE id = 1"))
            rival.append(other.submit(hold_and_ask_back))
            held.wait(20)
            threading.Timer(0.3, waiting.set).start()
            session.execute(sa.text("UPDATE category SET name = 'ours' WHERE id = 2"))

    held = threading.Event()
    rival: list[object] = []
    items = make_items(4)
    items[1]["price"] = -items[1]["price"]
    with ThreadPoolExecutor(1) as other:
        counts = interposed(products, meet).load(items)

    assert counts == WriteCounts(inserted=3, rejected=1)
    assert len(calls) > 4
    assert products.shop.rows("category")[0]["name"] == "mine"


def test_a_chunk_with_too_many_rejects_fails_as_a_whole(make_table: MakeTable) -> None:
    products = make_table(max_chunk_rejects=1)
    items = [item | {"price": -item["price"] if place < 2 else None} for place, item in enumerate(make_items(4))]
    with (
        products.admitted([4]) as [ref],
        pytest.raises(ChunkFailed, match="2 rejects in 4 rows, more than max_chunk_rejects 1"),
    ):
        products.load_chunk(products.chunk(items, ref))

    assert (products.rows(), products.rejects(), products.entry(ref).status) == ([], [], "failed")


def test_the_chunk_that_crosses_the_limit_of_a_run_is_not_loaded(make_table: MakeTable) -> None:
    products = make_table(max_rejects="25%")
    items = [item | {"price": -item["price"] if place in (0, 3) else None} for place, item in enumerate(make_items(4))]
    with products.admitted([2, 2]) as [first, second]:
        products.load_chunk(products.chunk(items[:2], first))
        with pytest.raises(RunHeld, match="2 rejects in 4 rows with chunk 2, more than max_rejects 25%"):
            products.load_chunk(products.chunk(items[2:], second))

    assert [row["sku"] for row in products.rows()] == ["S-00002"]
    assert (products.entry(first).status, products.entry(second).status) == ("loaded", "planned")


def test_chunks_that_are_loaded_at_a_time_know_of_each_others_rejects(
    make_table: MakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one has met the table, and so has its view of it, before the first one commits."""
    products = make_table(max_rejects="25%")
    items = make_items(2)

    def half(ref: ChunkRef, item: dict[str, Any]) -> Chunk:
        return products.chunk([item], ref, rejects=[Reject(ref.first_row + 1, None, "scale", "price", None, {})])

    def load_the_other(*arguments: Any) -> AbstractContextManager[None]:
        monkeypatch.setattr("sinks.flask_sink.fenced", fenced)
        other.submit(products.load_chunk, half(first, items[0])).result(timeout=20)
        return fenced(*arguments)

    with products.admitted([2, 2]) as [first, second], ThreadPoolExecutor(1) as other:
        monkeypatch.setattr("sinks.flask_sink.fenced", load_the_other)
        with pytest.raises(RunHeld, match="2 rejects in 4 rows with chunk 2"):
            products.load_chunk(half(second, items[1]))

    assert (products.entry(first).status, products.entry(second).status) == ("loaded", "planned")


def test_a_chunk_that_has_ended_its_process_too_often_is_tried_again_by_a_reprocess_alone(products: Table) -> None:
    with products.admitted([1]) as [ref]:
        chunk = products.chunk(make_items(1), ref)
        for _ in range(3):
            products.sink.ledger.begin_attempt(ref)
            products.sink.ledger.put_back(ref)  # no fault of the chunk, and not counted
        for _ in range(3):
            products.sink.ledger.begin_attempt(ref)
        with pytest.raises(ChunkFailed, match="ended its process 3 times"):
            products.load_chunk(chunk)

        assert (products.rows(), products.entry(ref).status) == ([], "failed")
        products.sink.ledger.begin_attempt(ref)  # by a reprocess that is killed: its first time
        assert products.entry(ref).error is None
        assert products.load_chunk(chunk) == WriteCounts(inserted=1)


def test_counts_that_do_not_add_up_fail_the_chunk(products: Table) -> None:
    with products.admitted([3]) as [ref], pytest.raises(ChunkFailed, match="2 of 3 rows are accounted for"):
        products.load_chunk(products.chunk(make_items(2), ref))

    assert (products.rows(), products.entry(ref).status) == ([], "failed")


def test_a_table_without_transactions_is_refused_before_a_source_is_read(make_shop: MakeShop, mariadb_url: str) -> None:
    products = open_table(make_shop(mariadb_url))
    products.sink.check_table()
    products.shop.execute("ALTER TABLE product DROP FOREIGN KEY product_ibfk_1")
    products.shop.execute("ALTER TABLE product ENGINE = MyISAM")

    with pytest.raises(
        ConfigurationError, match=r"The table product in .* is kept by MyISAM, which has no transactions"
    ):
        products.sink.check_table()
