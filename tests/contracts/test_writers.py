"""What both writers must make of models as users write them, on every kind of database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from contracts.loads import MakeTable, Table, open_table
from fix_shop import MakeShop

from restock.chunks import WriteCounts
from restock.errors import ConfigurationError

MODELS = """\
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import column_property, synonym


class Shouted(sa.types.TypeDecorator):
    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value == "unspeakable":
            raise ValueError("a secret word")
        return None if value is None else value.upper()


class Cents(sa.types.TypeDecorator):
    impl = sa.Numeric(12, 2)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value * 100

    def process_result_value(self, value, dialect):
        return None if value is None else value / 100


class Article(db.Model):
    __tablename__ = "article"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    word: Mapped[str | None] = mapped_column(Shouted)
    price: Mapped[decimal.Decimal | None] = mapped_column(Cents)
    amount: Mapped[int | None] = mapped_column()
    slug: Mapped[str] = mapped_column(sa.String(40), default=lambda row: "s-" + row.get_current_parameters()["sku"])
    seen: Mapped[int | None] = mapped_column(sa.Integer, default=1, onupdate=sa.text("seen + 1"))
    extra: Mapped[dict | None] = mapped_column(sa.JSON, default=dict)
    state: Mapped[str | None] = mapped_column("State of it", sa.String(10), server_default="new")
    doubled = column_property(amount + amount)
    parola = synonym("word")

    @hybrid_property
    def is_dear(self):
        return self.price > 100


class Named(db.Model):
    __tablename__ = "named"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Shouted, unique=True)
    stock: Mapped[int]


class Counted(db.Model):
    __tablename__ = "counted"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    word: Mapped[str | None] = mapped_column(sa.String(20))
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}


class Tidied(db.Model):
    __tablename__ = "tidied"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(sa.String(20))
    stock: Mapped[int] = mapped_column(sa.Integer, sa.CheckConstraint("stock >= 0"))
    changes: Mapped[int] = mapped_column(default=0)

    @sa.orm.validates("name")
    def stripped(self, _key, value):
        return value.strip()


@sa.event.listens_for(Tidied, "before_update")
def count(_mapper, _connection, row):
    row.changes += 1


class Animal(db.Model):
    __tablename__ = "animal"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(sa.String(20))
    name: Mapped[str | None] = mapped_column(sa.String(20))
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}


class Cat(Animal):
    purr: Mapped[str | None] = mapped_column(sa.String(20))
    __mapper_args__ = {"polymorphic_identity": "cat"}


class Lion(Cat):
    __mapper_args__ = {"polymorphic_identity": "lion"}


class Dog(Animal):
    __mapper_args__ = {"polymorphic_identity": "dog"}


class Kind(enum.Enum):
    NEW = "n"
    OLD = "o"


class Shelf(db.Model):
    __tablename__ = "shelf"

    kind: Mapped[Kind] = mapped_column(primary_key=True)
    place: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    note: Mapped[str | None] = mapped_column(sa.String(20), deferred=True)
    books: Mapped[list["Book"]] = relationship(lazy="joined", back_populates="shelf", cascade="all, delete-orphan")


class Book(db.Model):
    __tablename__ = "book"
    __table_args__ = (sa.ForeignKeyConstraint(["kind", "place"], ["shelf.kind", "shelf.place"]),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[Kind]
    place: Mapped[str] = mapped_column(sa.String(10))
    shelf: Mapped[Shelf] = relationship(back_populates="books")


class Removed(db.Model):
    __tablename__ = "removed"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    word: Mapped[str | None] = mapped_column(sa.String(20))
    is_removed: Mapped[bool] = mapped_column(default=False)


@sa.event.listens_for(db.session, "do_orm_execute")
def hide_removed(state):
    if state.is_select:
        hidden = sa.orm.with_loader_criteria(Removed, Removed.is_removed.is_(False))
        state.statement = state.statement.options(hidden)
"""
IN_A_SCHEMA = """\
class Far(db.Model):
    __tablename__ = "far"
    __table_args__ = {"schema": "Far Away"}

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(20), unique=True)
    mother_id: Mapped[int | None] = mapped_column(sa.ForeignKey("Far Away.far.id"))


sa.event.listen(db.metadata, "before_create", sa.DDL('CREATE SCHEMA "Far Away"'))
"""

ODD_NAMES = """\
class Odd(db.Model):
    __tablename__ = "50% of \\"it\\" `s'"

    id: Mapped[int] = mapped_column('no %% of "it"', primary_key=True)
    sku: Mapped[str] = mapped_column("sku's `%s`", sa.String(20), unique=True)
    name: Mapped[str | None] = mapped_column('100% "name"', sa.String(20))
"""


@pytest.fixture(params=["copy", "mappings", "objects"])
def make_table(request: pytest.FixtureRequest, make_shop: MakeShop, database_url: str) -> MakeTable:
    """Make the table of a model: once for each writer on each kind of database."""

    def make(models: str, model: str, **keys: Any) -> Table:
        shop = make_shop(database_url, models)
        return open_table(shop, model, **{"writer": request.param, "match_on": [], **keys})

    return make


def test_a_column_with_a_type_of_its_own_is_loaded_once(make_table: MakeTable) -> None:
    """Such a type may give back something else than it was sent: a second load has nothing to do all the same."""
    articles = make_table(MODELS, "Article")
    records: list[dict[str, Any]] = [
        {"sku": "A", "word": "Straße", "price": Decimal("1.50"), "amount": 2},
        {"sku": "B", "word": None, "price": None, "amount": None},
    ]

    counts = [articles.load(records), articles.load(records), articles.load([records[0] | {"word": "x"}])]

    assert counts == [WriteCounts(inserted=2), WriteCounts(unchanged=2), WriteCounts(updated=1)]
    assert articles.rows("sku", "word", "price") == [
        {"sku": "A", "word": "X", "price": Decimal(150)},
        {"sku": "B", "word": None, "price": None},
    ]


def test_a_key_with_a_type_of_its_own_meets_its_row(make_table: MakeTable) -> None:
    named = make_table(MODELS, "Named", match_on=["name"])

    counts = [named.load([{"name": "spade", "stock": stock}]) for stock in (1, 1, 2)]

    assert counts == [WriteCounts(inserted=1), WriteCounts(unchanged=1), WriteCounts(updated=1)]
    assert named.rows("name", "stock") == [{"name": "SPADE", "stock": 2}]


def test_a_type_that_refuses_a_value_rejects_that_row(make_table: MakeTable) -> None:
    articles = make_table(MODELS, "Article")
    articles.load([{"sku": "A", "word": "x"}])

    counts = articles.load([{"sku": sku, "word": word} for sku, word in [("A", "unspeakable"), ("B", "y")]])

    assert counts == WriteCounts(inserted=1, rejected=1)
    assert [(each.row, each.code, each.column) for each in articles.rejects()] == [(1, "model_type", "word")]


def test_defaults_of_the_model_and_of_the_database_fill_what_is_absent_and_nothing_else(make_table: MakeTable) -> None:
    articles = make_table(MODELS, "Article")

    articles.load([{"sku": "A"}, {"sku": "B"}])
    articles.load([{"sku": "C", "slug": "own", "seen": None, "extra": None, "state": None}])

    names = ("sku", "slug", "seen", "extra", "state")
    assert [tuple(row[name] for name in names) for row in articles.seen_by_app(*names)] == [
        ("A", "s-A", 1, {}, "new"),
        ("B", "s-B", 1, {}, "new"),
        ("C", "own", None, None, None),
    ]
    assert articles.shop.execute("SELECT sku FROM article WHERE extra IS NULL") == [{"sku": "C"}]


def test_an_update_runs_onupdate_and_leaves_absent_columns_alone(make_table: MakeTable) -> None:
    articles = make_table(MODELS, "Article")
    articles.load([{"sku": "A", "amount": 1}])
    articles.shop.execute("UPDATE article SET slug = 'of the shop'")

    counts = [articles.load([{"sku": "A", "amount": number}]) for number in (2, 2, None)]

    assert counts == [WriteCounts(updated=1), WriteCounts(unchanged=1), WriteCounts(updated=1)]
    assert articles.rows("slug", "seen", "amount") == [{"slug": "of the shop", "seen": 3, "amount": None}]


def test_hybrid_and_column_properties_and_synonyms_are_no_columns(make_table: MakeTable) -> None:
    articles = make_table(MODELS, "Article")
    articles.load([{"sku": "A", "amount": 4, "price": Decimal(200)}])

    assert list(articles.sink.target.columns) == ["sku", "word", "price", "amount", "slug", "seen", "extra", "state"]
    assert articles.seen_by_app("doubled", "is_dear") == [{"doubled": 8, "is_dear": True}]


def test_a_version_counter_counts_the_updates(make_shop: MakeShop, database_url: str) -> None:
    counted = open_table(make_shop(database_url, MODELS), "Counted", match_on=[])
    first = [{"id": 1, "word": "a"}, {"id": 2, "word": "b"}]

    counts = [counted.load(first), counted.load(first), counted.load([first[0] | {"word": "c"}, first[1]])]

    assert counts == [WriteCounts(inserted=2), WriteCounts(unchanged=2), WriteCounts(updated=1, unchanged=1)]
    assert [row["version"] for row in counted.rows()] == [2, 1]


@pytest.mark.parametrize("refused", [[], [{"id": 9, "name": "Axe", "stock": -1}]], ids=["together", "isolated"])
def test_a_row_to_which_a_validator_gives_the_values_it_has_is_unchanged(
    make_shop: MakeShop, database_url: str, refused: list[dict[str, Any]]
) -> None:
    tidied = open_table(make_shop(database_url, MODELS), "Tidied", match_on=[], writer=None)
    rows = [{"id": 1, "name": " Rake ", "stock": 1}, {"id": 2, "name": "Hose ", "stock": 1}, *refused]
    tidied.load(rows)

    rows[1]["stock"] = 2
    counts = tidied.load(rows)

    assert counts == WriteCounts(updated=1, unchanged=1, rejected=len(refused))
    assert [tuple(row.values()) for row in tidied.rows()] == [(1, "Rake", 1, 0), (2, "Hose", 2, 1)]


def test_bulk_methods_are_refused_where_they_would_not_count(make_shop: MakeShop, sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"mappings cannot keep the version counter of the model .*; leave"):
        open_table(make_shop(sqlite_url, MODELS), "Counted", writer="mappings", match_on=[])


def test_a_model_that_shares_its_table_writes_its_own_rows_only(make_table: MakeTable) -> None:
    cats = make_table(MODELS, "Cat")
    cats.shop.insert("animal", {"id": 1, "kind": "dog", "name": "Rex"}, {"id": 2, "kind": "lion", "name": "Leo"})
    records = [{"id": number, "purr": "loud"} for number in (1, 2, 3)]

    counts = [cats.load(records), cats.load(records)]

    assert counts == [WriteCounts(inserted=1, updated=1, rejected=1), WriteCounts(unchanged=2, rejected=1)]
    assert [(each.row, each.code, each.column) for each in cats.rejects()] == [(1, "other_kind", "id")]
    assert cats.rows("id", "kind", "purr") == [
        {"id": 1, "kind": "dog", "purr": None},
        {"id": 2, "kind": "lion", "purr": "loud"},
        {"id": 3, "kind": "cat", "purr": "loud"},
    ]


def test_the_model_that_others_share_a_table_with_writes_the_rows_of_all(make_table: MakeTable) -> None:
    animals = make_table(MODELS, "Animal")
    animals.shop.insert("animal", {"id": 1, "kind": "dog", "name": "Rex"})
    records = [{"id": 1, "name": "Max"}, {"id": 2, "name": "Someone"}]

    counts = [animals.load(records), animals.load(records)]

    assert counts == [WriteCounts(inserted=1, updated=1), WriteCounts(unchanged=2)]
    assert [(row["kind"], row["name"]) for row in animals.rows()] == [("dog", "Max"), ("animal", "Someone")]


def test_an_enumeration_may_be_part_of_the_key_beside_deferred_and_eager_attributes(make_table: MakeTable) -> None:
    shelves = make_table(MODELS, "Shelf")
    records = [{"kind": kind, "place": "a", "note": kind} for kind in ("NEW", "OLD")]
    shelves.load(records)
    shelves.shop.insert("book", {"kind": "NEW", "place": "a"}, {"kind": "NEW", "place": "a"})

    counts = [shelves.load([records[0] | {"note": None}, records[1]]) for _ in range(2)]

    assert counts == [WriteCounts(updated=1, unchanged=1), WriteCounts(unchanged=2)]
    assert {row["kind"]: row["note"] for row in shelves.rows()} == {"NEW": None, "OLD": "OLD"}
    assert len(shelves.rows()) == 2


def test_rows_that_the_app_hides_from_its_own_queries_are_met_all_the_same(make_table: MakeTable) -> None:
    removed = make_table(MODELS, "Removed")
    removed.shop.insert("removed", {"sku": "a", "word": "old", "is_removed": True})

    counts = removed.load([{"sku": "a", "word": "new"}, {"sku": "b", "word": "new"}])

    assert counts == WriteCounts(inserted=1, updated=1)
    assert [row["word"] for row in removed.rows()] == ["new", "new"]


@pytest.mark.parametrize("key", ["id", "sku"])
def test_a_table_and_its_columns_may_be_called_anything(make_table: MakeTable, key: str) -> None:
    odd = make_table(ODD_NAMES, "Odd", match_on=[key])
    records: list[dict[str, Any]] = [{"id": n, "sku": f"{n}%", "name": f"'{n}%s'"} for n in range(1, 7)]
    changed = [*records[:5], records[5] | {"name": "new"}]

    counts = [odd.load(each) for each in (records, records, changed)]

    assert counts == [WriteCounts(inserted=6), WriteCounts(unchanged=6), WriteCounts(updated=1, unchanged=5)]
    assert odd.seen_by_app("id", "sku", "name") == changed
    assert odd.load([{"sku": "7%", "name": None}]) == WriteCounts(inserted=1)
    assert odd.seen_by_app("id", "sku")[6:] == [{"id": 7, "sku": "7%"}]


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
def test_a_model_may_live_in_a_schema(make_shop: MakeShop, postgresql_url: str, writer: str) -> None:
    far = open_table(make_shop(postgresql_url, IN_A_SCHEMA), "Far", writer=writer)
    records = [{"sku": "a", "mother_id": None}, {"sku": "b", "mother_id": None}]
    far.load(records)
    [mother, _] = far.shop.execute('SELECT id FROM "Far Away".far ORDER BY sku')
    records[1]["mother_id"] = mother["id"]

    counts = [far.load(records), far.load(records)]

    assert counts == [WriteCounts(updated=1, unchanged=1), WriteCounts(unchanged=2)]
    assert "restock_run" in far.shop.tables()
