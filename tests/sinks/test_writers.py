"""Which writer a feed gets, and what the objects writer runs of the model's own code."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import sqlalchemy as sa
from contracts.loads import MakeTable, Table, open_table, recorded_statements
from fix_databases import MakeDatabase
from fix_shop import MakeShop

from restock.chunks import WriteCounts
from restock.feeds import Feed
from restock.signals import rows_loaded
from sinks.writers.copy_writer import CopyWriter
from sinks.writers.mappings_writer import MappingsWriter
from sinks.writers.objects_writer import ObjectsWriter

PLAIN = """\
class Item(db.Model):
    __tablename__ = "item"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(40), default="unnamed")
"""
VALIDATED = """\
    @validates("name")
    def strip(self, _attribute, name):
        return name and name.strip()
"""
COUNTED = """\
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}
"""
# What follows the plain model, and how the reason is put.
LISTENING = {
    "before_insert": 'sa.event.listen(Item, "before_insert", lambda mapper, connection, item: None)',
    "after_update": 'sa.event.listen(Item, "after_update", lambda mapper, connection, item: None)',
    "before_update": 'sa.event.listen(db.Model, "before_update", lambda *_: None, propagate=True)',
    "@validates(name)": VALIDATED,
    "a listener on name": 'sa.event.listen(Item.name, "set", lambda item, value, old, initiator: None)',
    "before_flush": 'sa.event.listen(db.session, "before_flush", lambda session, context, instances: None)',
    "a version counter": COUNTED,
}

# What a model may want to make for each row by itself, and what is there after an insert and an update.
SINGLE = {
    "default": ("mapped_column(sa.Integer, default=lambda row: len(row.get_current_parameters()['sku']))", 3),
    "onupdate": ("mapped_column(sa.Integer, onupdate=lambda: 4)", 4),
}

BUSY = """\
class Article(db.Model):
    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(20), unique=True)
    name: Mapped[str | None] = mapped_column(sa.String(40), default="unnamed")
    slug: Mapped[str | None] = mapped_column(sa.String(40))
    writes: Mapped[int | None]
    prices: Mapped[list["Price"]] = relationship(cascade="all, delete-orphan")

    def __init__(self, **values):
        super().__init__(**values)
        self.prices.append(Price(amount=1))

    @validates("name")
    def check_name(self, _attribute, name):
        if name == "refused":
            raise ValueError("a secret name")
        return name and name.strip()


class Price(db.Model):
    __tablename__ = "price"

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(sa.ForeignKey("article.id"))
    amount: Mapped[int]


class Note(db.Model):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(sa.String(40))


@sa.event.listens_for(Article, "before_insert")
def slugify(mapper, connection, article):
    if article.name == "unlucky":
        raise LookupError("a secret name")
    article.slug = (article.name or "none").lower()


@sa.event.listens_for(Article, "after_insert")
def look_back(mapper, connection, article):
    if article.name is not None and not isinstance(article.name, str):
        raise TypeError("a NULL that is not None")


@sa.event.listens_for(Article, "before_update")
def count(mapper, connection, article):
    article.writes = (article.writes or 0) + 1


@sa.event.listens_for(Article, "after_update")
def note_update(mapper, connection, article):
    connection.execute(sa.insert(Note.__table__).values(text="changed " + article.sku))


@sa.event.listens_for(db.session, "after_flush")
def note_inserts(session, context):
    session.add_all([Note(text="new " + each.sku) for each in session.new if isinstance(each, Article)])
"""


@pytest.fixture
def articles(make_table: MakeTable) -> Table:
    return make_table(BUSY, "Article")


@pytest.mark.parametrize("reason", LISTENING)
def test_a_model_that_listens_is_written_as_objects_and_the_log_says_why_once(
    make_shop: MakeShop, sqlite_url: str, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    shop = make_shop(sqlite_url, f"{PLAIN}\n{LISTENING[reason]}\n")
    items = open_table(shop, "Item", match_on=[])
    again = open_table(shop, "Item", match_on=[])

    assert isinstance(items.sink.writer, ObjectsWriter)
    assert isinstance(again.sink.writer, ObjectsWriter)
    [said] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    because = f"because {shop.model('Item')} has {reason}"
    assert said.startswith(f"Feed products is written as objects, row by row, {because}, which bulk methods skip")
    # Without its counter a version could not be kept: `copy` is refused then.
    assert ("`writer: copy` in feeds.yaml writes in bulk without" in said) is (reason != "a version counter")
    assert items.load([{"sku": "a", "name": "x"}]) == WriteCounts(inserted=1)


def test_a_model_that_does_not_listen_is_written_in_bulk(
    make_shop: MakeShop, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    items = open_table(make_shop(sqlite_url, PLAIN), "Item", match_on=[])

    assert isinstance(items.sink.writer, CopyWriter)
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("single", SINGLE)
def test_what_the_model_makes_for_each_row_by_itself_is_left_to_mappings_and_the_log_says_why(
    make_shop: MakeShop, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, kind: str, single: str
) -> None:
    caplog.set_level(logging.INFO, "restock")
    column, seen = SINGLE[single]
    shop = make_shop(request.getfixturevalue(f"{kind}_url"), f"{PLAIN}    own: Mapped[int | None] = {column}\n")
    items = open_table(shop, "Item", match_on=[], writer="copy")
    filled = open_table(shop, "Item", match_on=[], columns={"sku": "sku", "name": "name", "own": "own"})

    assert isinstance(items.sink.writer, MappingsWriter)
    assert isinstance(filled.sink.writer, CopyWriter)
    [said] = [record.getMessage() for record in caplog.records if "written by mappings" in record.getMessage()]
    assert f"because the {single} of own" in said
    items.load([{"sku": "abc", "name": "x"}])
    items.load([{"sku": "abc", "name": "y"}])
    assert items.rows("own") == [{"own": seen}]


SLUG = "    slug: Mapped[str] = mapped_column(sa.String(40))\n"
FILLED = {
    "by a listener": """

@sa.event.listens_for(Item, "before_insert")
def fill(_mapper, _connection, item):
    item.slug = f"s-{item.sku}"
""",
    "by the constructor": """
    def __init__(self, **values):
        super().__init__(slug=f"s-{values['sku']}", **values)
""",
    "by a trigger": "",
}
TRIGGER = {
    "postgresql": [
        "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.slug = 's-' || NEW.sku; RETURN NEW; END $$",
        "CREATE TRIGGER fill BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION fill()",
    ],
    "mysql": ["CREATE TRIGGER fill BEFORE INSERT ON item FOR EACH ROW SET NEW.slug = CONCAT('s-', NEW.sku)"],
}


@pytest.mark.parametrize("how", FILLED)
def test_what_the_feed_does_not_bring_may_be_filled_by_the_app_or_by_a_trigger(
    make_shop: MakeShop, database_url: str, how: str
) -> None:
    writer = "copy" if how == "by a trigger" else "objects"
    items = open_table(make_shop(database_url, PLAIN + SLUG + FILLED[how]), "Item", match_on=[], writer=writer)
    if how == "by a trigger":
        for statement in TRIGGER.get(items.sink.database.dialect, ()):
            items.shop.execute(statement)
    is_filled = items.sink.database.dialect in TRIGGER or how != "by a trigger"

    counts = items.load([{"sku": "a", "name": "x"}, {"sku": "b", "name": "y"}])

    assert counts == (WriteCounts(inserted=2) if is_filled else WriteCounts(rejected=2))
    assert [row["slug"] for row in items.rows("slug", "sku")] == (["s-a", "s-b"] if is_filled else [])
    assert is_filled or {(each.code, each.column) for each in items.rejects()} == {("null", "slug")}


def test_a_trigger_is_found_whatever_its_table_is_called(make_shop: MakeShop, postgresql_url: str) -> None:
    items = open_table(make_shop(postgresql_url, PLAIN.replace('"item"', '"50% off"') + SLUG), "Item", match_on=[])
    for statement in TRIGGER["postgresql"]:
        items.shop.execute(statement.replace("ON item", 'ON "50% off"'))

    assert items.load([{"sku": "a", "name": "x"}]) == WriteCounts(inserted=1)


@pytest.mark.parametrize("writer", ["copy", "mappings"])
def test_what_only_objects_would_have_filled_is_not_asked_of_the_database_row_by_row(
    make_table: MakeTable, writer: str
) -> None:
    """A chunk of 5,000 such rows took half a minute, and `restock check` said that they would load."""
    items = make_table(PLAIN + SLUG + FILLED["by the constructor"], "Item", match_on=[], writer=writer)

    with recorded_statements(items.sink.database.engine) as statements:
        assert items.load([{"sku": "a", "name": "x"}, {"sku": "b", "name": "y"}]) == WriteCounts(rejected=2)

    assert {(each.code, each.column) for each in items.rejects()} == {("null", "slug")}
    assert not [each for each in statements if each.startswith(("INSERT INTO item", "COPY item"))]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_view_that_rows_can_be_written_through_is_taken(
    make_shop: MakeShop, make_database: MakeDatabase, kind: str
) -> None:
    """PostgreSQL does not copy into one: the run stopped, and sent people to tables and rights."""
    items = open_table(make_shop(make_database(kind), PLAIN), "Item", match_on=[], writer="copy")
    items.shop.execute("ALTER TABLE item RENAME TO all_items")
    items.shop.execute("CREATE VIEW item AS SELECT * FROM all_items")
    items.sink.check_table()

    assert items.load([{"sku": "a", "name": "x"}, {"sku": "b", "name": "y"}]) == WriteCounts(inserted=2)
    assert items.load([{"sku": "a", "name": "x"}, {"sku": "b", "name": "z"}]) == WriteCounts(updated=1, unchanged=1)


MADE = {
    "what SQL makes": ("sa.String(40), default=sa.func.upper('new')", "NEW"),
    "the time": ("sa.DateTime, default=sa.func.now()", None),
    "what is made of the row": ("sa.String(40), default=lambda row: row.get_current_parameters()['sku']", "abc"),
}


@pytest.mark.parametrize("made", MADE)
def test_an_optional_column_that_does_not_come_has_what_the_model_makes(
    make_shop: MakeShop, database_url: str, made: str
) -> None:
    column, seen = MADE[made]
    shop = make_shop(database_url, f"{PLAIN}    own = mapped_column({column})\n")
    columns = {"sku": "sku", "own": {"from": "own", "optional": True}}
    items = open_table(shop, "Item", match_on=[], writer="copy", columns=columns)

    assert items.load([{"sku": "abc"}]) == WriteCounts(inserted=1)
    [own] = [row["own"] for row in items.rows("own")]
    assert own is not None
    assert seen in (None, own)


KEYS_MADE = {
    "by a sequence": "sa.Integer, sa.Sequence('numbers')",
    "by SQL": "sa.Uuid, default=sa.func.gen_random_uuid()",
}


@pytest.mark.parametrize("made", KEYS_MADE)
def test_a_key_that_is_left_out_is_made_as_the_model_says(make_shop: MakeShop, postgresql_url: str, made: str) -> None:
    models = PLAIN.replace("sku:", f"id = mapped_column({KEYS_MADE[made]}, primary_key=True)\n    sku:")
    shop = make_shop(postgresql_url, models.replace("sa.String(20), primary_key=True", "sa.String(20)"))
    columns = {"id": "id", "sku": "sku", "name": "name"}
    items = open_table(shop, "Item", match_on=[], writer="copy", columns=columns)

    assert items.load([{"id": None, "sku": "abc", "name": "x"}]) == WriteCounts(inserted=1)
    assert [row["sku"] for row in items.rows("sku")] == ["abc"]


def test_writing_objects_once_does_not_make_a_model_one_that_listens(make_shop: MakeShop, sqlite_url: str) -> None:
    shop = make_shop(sqlite_url, PLAIN)
    open_table(shop, "Item", match_on=[], writer="objects").load([{"sku": "a", "name": None}])

    items = open_table(shop, "Item", match_on=[])

    assert isinstance(items.sink.writer, CopyWriter)
    assert items.rows() == [{"sku": "a", "name": None}]


@pytest.mark.parametrize(
    "writer, kind", [("copy", CopyWriter), ("mappings", MappingsWriter), ("objects", ObjectsWriter)]
)
def test_the_feed_has_the_last_word(
    make_shop: MakeShop, sqlite_url: str, caplog: pytest.LogCaptureFixture, writer: str, kind: type
) -> None:
    items = open_table(make_shop(sqlite_url, PLAIN + VALIDATED), "Item", match_on=[], writer=writer)

    assert isinstance(items.sink.writer, kind)
    assert caplog.records == []
    assert Feed.model_fields["writer"].default is None


def test_new_rows_run_constructor_validators_events_and_cascades(articles: Table) -> None:
    counts = articles.load([{"sku": "a", "name": " Ham "}, {"sku": "b", "name": None}])

    assert counts == WriteCounts(inserted=2)
    assert articles.rows("sku", "name", "slug", "writes") == [
        {"sku": "a", "name": "Ham", "slug": "ham", "writes": None},
        {"sku": "b", "name": None, "slug": "none", "writes": None},
    ]
    ids = [row["id"] for row in articles.rows("id")]
    assert [(row["article_id"], row["amount"]) for row in articles.shop.rows("price")] == [(each, 1) for each in ids]
    assert [row["text"] for row in articles.shop.rows("note")] == ["new a", "new b"]


def test_changed_rows_run_validators_and_events_and_unchanged_ones_none(articles: Table) -> None:
    articles.load([{"sku": sku, "name": sku} for sku in "ab"])
    articles.shop.execute("DELETE FROM note")

    counts = articles.load([{"sku": "a", "name": " new "}, {"sku": "b", "name": "b"}])

    assert counts == WriteCounts(updated=1, unchanged=1)
    assert [(row["name"], row["slug"], row["writes"]) for row in articles.rows()] == [("new", "a", 1), ("b", "b", None)]
    assert [row["text"] for row in articles.shop.rows("note")] == ["changed a"]
    assert len(articles.shop.rows("price")) == 2


@pytest.mark.parametrize(
    "name, code, is_present",
    [
        ("refused", "model:ValueError", False),
        ("refused", "model:ValueError", True),
        ("unlucky", "model:LookupError", False),  # raised by a listener that hears of new rows only
    ],
)
def test_a_row_that_the_models_code_refuses_is_a_reject_and_its_neighbours_load(
    articles: Table, name: str, code: str, is_present: bool
) -> None:
    articles.load([{"sku": sku, "name": sku} for sku in ("abcde" if is_present else "z")])
    sent = [{"sku": sku, "name": name if sku == "c" else "new"} for sku in "abcde"]

    counts = articles.load(sent)

    assert counts == WriteCounts(rejected=1, **{"updated" if is_present else "inserted": 4})
    [reject] = articles.rejects()
    assert (reject.row, reject.line, reject.code, reject.value) == (3, 4, code, None)
    assert "secret" not in reject.code
    kept = {row["sku"]: row["name"] for row in articles.rows() if row["sku"] != "z"}
    assert kept == dict.fromkeys("abde", "new") | ({"c": "c"} if is_present else {})
    notes = [row["text"] for row in articles.shop.rows("note") if row["text"] != "new z"]
    assert sorted(notes)[:4] == [f"{'changed' if is_present else 'new'} {sku}" for sku in "abde"]


def test_statements_of_the_objects_writer_do_not_grow_by_looking_rows_up(articles: Table) -> None:
    records = [{"sku": f"{number:03}", "name": "x"} for number in range(200)]
    articles.load(records)

    with recorded_statements(articles.sink.database.engine) as statements:
        articles.load([record | {"name": "y"} for record in records])

    assert len([each for each in statements if each.startswith("SELECT") and "FROM article" in each]) == 2


def test_much_is_copied_two_chunks_at_a_time_and_little_one_by_one(make_shop: MakeShop, postgresql_url: str) -> None:
    sink = open_table(make_shop(postgresql_url, PLAIN), "Item", match_on=[]).sink

    assert [sink.workers(rows) for rows in (1, 199_999, 200_000, 10_000_000)] == [1, 1, 2, 2]


def test_the_feed_says_how_many_chunks_are_loaded_at_a_time_but_sqlite_has_one_writer(
    make_shop: MakeShop, database_url: str
) -> None:
    sink = open_table(make_shop(database_url, PLAIN), "Item", match_on=[], workers=5).sink

    assert [sink.workers(rows) for rows in (1, 10_000_000)] == [1 if "sqlite" in database_url else 5] * 2


def test_by_other_writers_chunks_are_loaded_one_by_one(make_shop: MakeShop, postgresql_url: str) -> None:
    sink = open_table(make_shop(postgresql_url, PLAIN), "Item", match_on=[], writer="mappings").sink

    assert sink.workers(10_000_000) == 1


def test_a_receiver_is_told_of_one_chunk_after_the_other(make_shop: MakeShop, postgresql_url: str) -> None:
    sink = open_table(make_shop(postgresql_url, PLAIN), "Item", match_on=[]).sink

    with rows_loaded.connected_to(lambda app, **_: None):
        assert sink.workers(10_000_000) == 1


@pytest.mark.parametrize(
    "pool, workers",
    [
        ({"pool_size": 1, "max_overflow": 2}, 1),
        ({"pool_size": 2, "max_overflow": 2}, 2),
        ({"pool_size": 1, "max_overflow": -1}, 2),
        ({"poolclass": sa.NullPool}, 2),
        ({"poolclass": sa.AssertionPool}, 1),
    ],
)
def test_a_small_pool_of_the_app_is_not_used_up(
    make_shop: MakeShop, postgresql_url: str, pool: dict[str, Any], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = open_table(make_shop(postgresql_url, PLAIN), "Item", match_on=[]).sink
    monkeypatch.setattr(sink.database, "engine", sa.create_engine(postgresql_url, **pool))

    assert sink.workers(10_000_000) == workers
