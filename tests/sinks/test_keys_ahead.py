"""Keys that the objects writer gives in SQLite's place: in one statement, and as SQLite would have given them."""

from __future__ import annotations

from typing import Any

import pytest
from contracts.loads import MakeTable, Table, open_table, recorded_statements
from fix_shop import MakeShop

from restock.chunks import WriteCounts

MODELS = """\
class Article(db.Model):
    __tablename__ = "article"

    number: Mapped[int] = mapped_column("Row Number", primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(20), unique=True)
    seen: Mapped[str | None] = mapped_column(sa.String(20))
    prices: Mapped[list["Price"]] = relationship(cascade="all, delete-orphan")

    def __init__(self, **values):
        super().__init__(**values)
        self.prices.append(Reduced(amount=1, by=2))


class Price(db.Model):
    __tablename__ = "price"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    article: Mapped[int] = mapped_column(sa.ForeignKey("article.Row Number"))
    amount: Mapped[int]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "price"}


class Reduced(Price):
    __tablename__ = "reduced"

    id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"), primary_key=True)
    by: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "reduced"}


class Note(db.Model):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(sa.String(40))


@sa.event.listens_for(Article, "before_insert")
def look(mapper, connection, article):
    article.seen = repr(article.number)


@sa.event.listens_for(db.session, "before_flush")
def note_articles(session, context, instances):
    session.add_all([Note(text="soon " + each.sku) for each in session.new if isinstance(each, Article)])


@sa.event.listens_for(db.session, "after_flush")
def note_inserts(session, context):
    new = [each.sku for each in session.new if isinstance(each, Article)]
    if new:
        session.execute(sa.insert(Note.__table__), [{"text": "row " + sku} for sku in new])
    session.add_all([Note(text="new " + sku) for sku in new])
"""
COUNTING = """\
class Item(db.Model):
    __tablename__ = "item"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(20), unique=True)
    mother_id: Mapped[int | None] = mapped_column(sa.ForeignKey("item.id"))
"""
TRIGGER = "CREATE TRIGGER twin AFTER INSERT ON product BEGIN INSERT INTO category (name) VALUES (NEW.sku); END"


def make_articles(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [{"sku": f"{number:03}"} for number in range(first, first + count)]


@pytest.fixture
def articles(make_table: MakeTable) -> Table:
    return make_table(MODELS, "Article", match_on=["sku"], columns={"sku": "sku"})


@pytest.fixture
def items(make_shop: MakeShop, sqlite_url: str) -> Table:
    return open_table(make_shop(sqlite_url, COUNTING), "Item", match_on=[], writer="objects")


def test_rows_and_what_cascades_and_listeners_add_take_one_insert_for_each_table(articles: Table) -> None:
    with recorded_statements(articles.sink.database.engine) as statements:
        articles.load(make_articles(200))

    inserts = [each for each in statements if each.startswith("INSERT INTO") and "restock" not in each]
    # Articles, prices, what reduced prices have of their own, and three times notes.
    assert len(inserts) == 6


def test_cascades_listeners_and_statements_of_the_app_meet_what_they_would_meet_without(articles: Table) -> None:
    articles.load(make_articles(2))
    articles.load(make_articles(3, first=2))

    rows = articles.rows("Row Number", "sku", "seen")
    assert [(row["sku"], row["seen"]) for row in rows] == [(f"{number:03}", "None") for number in range(1, 5)]
    numbers = [row["Row Number"] for row in rows]
    assert sorted(row["article"] for row in articles.shop.rows("price")) == numbers
    assert len(articles.shop.rows("reduced")) == 4
    assert len({row["id"] for row in articles.shop.rows("note")}) == len(articles.shop.rows("note")) == 12


def test_a_key_that_a_row_brings_is_never_given_to_another(items: Table) -> None:
    items.shop.insert("item", {"id": 5, "sku": "old"})

    counts = items.load([{"id": None, "sku": "a"}, {"id": 6, "sku": "b"}, {"id": None, "sku": "c"}])

    assert counts == WriteCounts(inserted=3)
    assert {row["sku"]: row["id"] for row in items.rows()} == {"old": 5, "a": 7, "b": 6, "c": 8}


def test_keys_that_were_in_use_are_not_given_again_where_the_table_counts_on(items: Table) -> None:
    items.shop.insert("item", {"id": 9, "sku": "old"})
    items.shop.execute("DELETE FROM item")

    items.load([{"id": None, "sku": "a"}])
    items.shop.insert("item", {"sku": "b"})

    assert [row["id"] for row in items.rows()] == [10, 11]


def test_a_refused_row_costs_its_neighbours_nothing(items: Table) -> None:
    items.shop.insert("item", {"sku": "c"})

    counts = items.load([{"id": None, "sku": sku} for sku in "abcde"])

    assert counts == WriteCounts(inserted=4, rejected=1)
    assert sorted(row["sku"] for row in items.rows()) == [*"abcde"]


def test_the_last_numbers_are_left_to_sqlite(make_shop: MakeShop, sqlite_url: str) -> None:
    products = open_table(make_shop(sqlite_url), writer="objects")
    products.shop.insert("product", {"id": 2**63 - 1, "sku": "last", "name": "x"})

    assert products.load([{"sku": "a", "name": "x"}]) == WriteCounts(inserted=1)


def test_a_table_that_triggers_may_write_to_is_left_to_sqlite(make_shop: MakeShop, sqlite_url: str) -> None:
    products = open_table(make_shop(sqlite_url), writer="objects")
    products.shop.execute(TRIGGER)

    with products.recorded_writes() as writes:
        assert products.load([{"sku": sku, "name": "x"} for sku in "abc"]) == WriteCounts(inserted=3)

    assert len(writes) == 3
    assert [row["name"] for row in products.shop.rows("category")] == [*"abc"]


def test_nobody_takes_a_key_between_its_giving_and_its_row(make_shop: MakeShop, sqlite_url: str) -> None:
    """The file is locked when the next key is read: a shop that wants to write then waits, as for any write."""
    products = open_table(make_shop(sqlite_url), writer="objects")

    with recorded_statements(products.sink.database.engine) as statements:
        products.load([{"sku": "a", "name": "x"}])

    [asked] = [place for place, each in enumerate(statements) if each.startswith("SELECT max(product.id)")]
    assert statements[asked - 2].startswith("DELETE FROM product WHERE")
