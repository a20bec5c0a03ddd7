"""`rows_loaded`: which keys an app hears of, when, and what that costs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from contracts.loads import MakeTable, Table, interposed, make_items, open_table, recorded_statements
from fix_shop import MakeShop
from flask import current_app
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

import restock
from restock.chunks import WriteCounts
from restock.errors import LeaseLost
from sinks.ledger.bookkeeping import AlreadyLoaded

KEYS = """\
class Price(db.Model):
    __tablename__ = "price"

    shop: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount: Mapped[int | None]


class Token(db.Model):
    __tablename__ = "token"

    token_id: Mapped[uuid.UUID] = mapped_column("id", primary_key=True, default=uuid.uuid4)
    word: Mapped[str] = mapped_column("Word of it", sa.String(20), unique=True)
    extra: Mapped[dict | None] = mapped_column(sa.JSON, default=dict)
"""


@dataclass
class Listener:
    """Remembers what it heard; raises, if it is told to."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def __call__(self, app: Any, **keywords: Any) -> None:
        assert current_app == app
        self.heard.append(keywords)
        if self.error is not None:
            raise self.error

    def keys(self) -> list[tuple[list[Any], list[Any]]]:
        return [(sorted(each["inserted"]), sorted(each["updated"])) for each in self.heard]


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    with restock.rows_loaded.connected_to(listener):
        yield listener


@pytest.fixture(params=["copy", "mappings", "objects"])
def make_table(request: pytest.FixtureRequest, make_shop: MakeShop, database_url: str) -> MakeTable:
    """Make the table of a model: once for each writer on each kind of database."""

    def make(models: str | None = None, model: str = "Product", **keys: Any) -> Table:
        return open_table(make_shop(database_url, models), model, **{"writer": request.param, **keys})

    return make


@pytest.fixture
def products(make_table: MakeTable) -> Table:
    return make_table()


def ids_of(products: Table, *skus: str) -> list[int]:
    return [row["id"] for row in products.rows("id", "sku") if row["sku"] in skus]


def test_the_app_hears_of_generated_keys_and_of_updated_ones(products: Table, listener: Listener) -> None:
    first, second, third = make_items(3)
    products.load([first, second])
    products.load([first, second | {"stock": 999}, third])

    all_ids = [row["id"] for row in products.rows("id")]
    assert listener.keys() == [(all_ids[:2], []), ([ids_of(products, "S-00003")[0]], ids_of(products, "S-00002"))]
    heard = listener.heard[1]
    assert (heard["feed"], heard["model"]) == ("products", products.sink.database.model)
    assert heard["run_id"].startswith("run-")


def test_nothing_is_said_where_nothing_was_written(products: Table, listener: Listener) -> None:
    products.load(make_items(2))
    listener.heard.clear()

    products.load(make_items(2))
    products.load([])

    assert listener.heard == []


def test_keys_of_several_columns_are_tuples(make_table: MakeTable, listener: Listener) -> None:
    prices = make_table(KEYS, "Price", match_on=[])
    prices.load([{"shop": "a", "number": 1, "amount": 1}])
    prices.load([{"shop": "a", "number": number, "amount": 2} for number in (1, 2)])

    assert listener.keys() == [([("a", 1)], []), ([("a", 2)], [("a", 1)])]


def test_rows_without_a_key_are_announced_with_the_key_they_got(make_table: MakeTable, listener: Listener) -> None:
    products = make_table(match_on=[])
    products.load([{"id": None, **item} for item in make_items(2)] + [{"id": 70, **make_items(3)[2]}])

    assert listener.keys() == [([row["id"] for row in products.rows("id")], [])]
    assert 70 in listener.heard[0]["inserted"]


def test_keys_that_the_model_makes_are_announced(make_table: MakeTable, listener: Listener) -> None:
    tokens = make_table(KEYS, "Token", match_on=["word"])
    tokens.load([{"word": "a", "extra": None}, {"word": "b", "extra": {"c": 1}}])

    seen = tokens.seen_by_app("token_id", "extra")
    assert listener.keys() == [(sorted(row["token_id"] for row in seen), [])]
    assert sorted(str(row["extra"]) for row in seen) == ["None", "{'c': 1}"]


def test_keys_of_rows_that_load_beside_a_refused_one_are_announced(products: Table, listener: Listener) -> None:
    items = make_items(5)
    items[2]["price"] = -items[2]["price"]

    counts = products.load(items)

    assert counts == WriteCounts(inserted=4, rejected=1)
    assert listener.keys() == [([row["id"] for row in products.rows("id")], [])]


def test_generated_keys_cost_a_bounded_number_of_statements(products: Table, listener: Listener) -> None:
    with products.recorded_writes() as writes:
        products.load(make_items(1000))

    assert listener.keys() == [([row["id"] for row in products.rows("id")], [])]
    assert len(writes) <= 2


def test_copied_rows_are_found_by_the_key_they_brought(
    make_shop: MakeShop, database_url: str, listener: Listener
) -> None:
    products = open_table(make_shop(database_url), writer="copy")

    with recorded_statements(products.sink.database.engine) as statements:
        products.load(make_items(12_000))

    assert len(listener.heard[0]["inserted"]) == len({*listener.heard[0]["inserted"]}) == 12_000
    asked = [each for each in statements if each.startswith("SELECT product.id") and " IN (" in each]
    assert len(asked) == 3
    assert not [each for each in statements if "RETURNING" in each]


def test_a_chunk_pays_for_no_keys_while_nobody_listens(products: Table) -> None:
    with recorded_statements(products.sink.database.engine) as statements, products.recorded_writes() as writes:
        products.load(make_items(1000))

    assert len(writes) == 1
    assert [each for each in statements if "RETURNING" in each] == [] or not products.writes_in_bulk


def test_an_error_of_a_receiver_is_logged_and_harms_neither_rows_nor_others(
    products: Table, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    listener.error = ValueError("a secret")
    other = Listener()
    with restock.rows_loaded.connected_to(other):
        counts = products.load(make_items(2))

    assert counts == WriteCounts(inserted=2)
    assert len(products.rows()) == 2
    assert len(listener.heard) == len(other.heard) == 1
    [said] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert said.startswith("A receiver of rows_loaded raised ValueError in ")
    assert "test_announcing.py" in said
    assert "secret" not in caplog.text


def test_nothing_is_said_of_an_attempt_that_was_rolled_back(products: Table, listener: Listener) -> None:
    attempts = []

    def stumble(session: Session) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise StaleDataError("as after a conflict")

    with products.admitted([2]) as [ref]:
        interposed(products, stumble).load_chunk(products.chunk(make_items(2), ref))

    assert len(attempts) == 2
    assert listener.keys() == [([row["id"] for row in products.rows("id")], [])]


@pytest.mark.parametrize("happened", [True, False])
def test_a_commit_without_an_answer_is_announced_once_whether_or_not_it_happened(
    products: Table, listener: Listener, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    dialect = products.sink.database.engine.dialect
    lost = [dialect.loaded_dbapi.OperationalError(2013, "the connection was lost")]
    commit = dialect.do_commit

    def commit_and_raise(connection: object) -> None:
        if not lost or happened:
            commit(connection)
        if lost:
            raise lost.pop()

    with products.admitted([2]) as [ref], products.sink.attempt(ref):
        monkeypatch.setattr(dialect, "do_commit", commit_and_raise)
        products.sink.load(products.chunk(make_items(2), ref))
        with pytest.raises(AlreadyLoaded):
            products.sink.load(products.chunk(make_items(2), ref))

    assert lost == []
    assert listener.keys() == [([row["id"] for row in products.rows("id")], [])]


def test_who_lost_its_commit_and_its_lease_announces_nothing_of_what_another_run_loaded(
    products: Table, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a sleep inside the transaction: the server has ended it, and COMMIT is the first to hear of that."""
    dialect = products.sink.database.engine.dialect
    commit, other = dialect.do_commit, ThreadPoolExecutor(1)

    def load_by_another_run() -> None:
        products.take_over()
        newer = replace(ref, token=ref.token + 1)
        products.sink.load(products.chunk(make_items(2), newer))

    def be_too_late(connection: Any) -> None:
        monkeypatch.setattr(dialect, "do_commit", commit)
        connection.rollback()
        other.submit(load_by_another_run).result()
        raise dialect.loaded_dbapi.OperationalError(2013, "the connection was lost")

    with products.admitted([2]) as [ref], products.sink.attempt(ref), other:
        monkeypatch.setattr(dialect, "do_commit", be_too_late)
        with pytest.raises(LeaseLost):
            products.sink.load(products.chunk(make_items(2), ref))

    assert listener.keys() == [([row["id"] for row in products.rows("id")], [])]
