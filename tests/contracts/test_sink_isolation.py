"""Rows that only the database can refuse: exactly these are rejected, and their neighbours load."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from contracts.loads import ITEM, MakeTable, Table, make_items, open_table, recorded_statements
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import DEFAULT_MODELS, Shop, refuse_by_trigger

from restock.chunks import Fault, WriteCounts
from restock.errors import ChunkFailed

FOREIGN_KEYS = """\
import sqlite3


@sa.event.listens_for(sa.Engine, "connect")
def check_foreign_keys(connection, _record):
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")


"""

NODES = """\
class Node(db.Model):
    __tablename__ = "node"
    __table_args__ = (
        sa.ForeignKeyConstraint(["parent"], ["node.name"], name="fk_parent"),
        sa.CheckConstraint("weight >= 0", name="weight_not_negative"),
        sa.UniqueConstraint("label", name="uq_label"),
    )

    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    parent: Mapped[str | None] = mapped_column("parent", sa.String(20))
    tag: Mapped[str | None] = mapped_column("label", sa.String(20))
    weight: Mapped[int | None]
"""

OFFERS = """\
class Brand(db.Model):
    __tablename__ = "brand"

    id: Mapped[int] = mapped_column(primary_key=True)


class Offer(db.Model):
    __tablename__ = "offer"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    brand: Mapped[int | None] = mapped_column(sa.ForeignKey("brand.id", name="fk_brand"))
    stock: Mapped[int] = mapped_column(sa.CheckConstraint("stock >= 0"))
"""

BOXES = """\
class Shelf(db.Model):
    __tablename__ = "shelf"

    shop: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str | None] = mapped_column(sa.String(8), unique=True)


class Box(db.Model):
    __tablename__ = "box"
    __table_args__ = (
        sa.ForeignKeyConstraint(["shop", "shelf_number"], ["shelf.shop", "shelf.number"], name="fk_shelf"),
        sa.ForeignKeyConstraint(["shelf_label"], ["shelf.label"], name="fk_label"),
    )

    name: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    shop: Mapped[str | None] = mapped_column(sa.String(8))
    shelf: Mapped[int | None] = mapped_column("shelf_number")
    label: Mapped[str | None] = mapped_column("shelf_label", sa.String(8))
"""

LATE = """\
class Late(db.Model):
    __tablename__ = "late"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    parent: Mapped[int | None] = mapped_column(sa.ForeignKey("late.id", deferrable=True, initially="DEFERRED"))
"""


@pytest.fixture
def nodes(make_table: MakeTable) -> Table:
    return make_table(FOREIGN_KEYS + NODES, "Node", match_on=[])


def make_node(number: int, **values: Any) -> dict[str, Any]:
    return {"name": f"n{number:03}", "parent": None, "tag": f"t{number}", "weight": number, **values}


def make_nodes(count: int, **values: Any) -> list[dict[str, Any]]:
    return [make_node(number, **values) for number in range(1, count + 1)]


@pytest.mark.parametrize("is_present", [False, True])
def test_a_row_that_breaks_a_constraint_is_rejected_with_its_name(nodes: Table, is_present: bool) -> None:
    nodes.load([make_node(0, tag="taken"), *(make_nodes(6) if is_present else [])])
    sent = [node | {"weight": 50} for node in make_nodes(6)]
    sent[1] |= {"tag": "taken"}
    sent[2] |= {"parent": "nobody"}
    sent[4] |= {"weight": -1}

    counts = nodes.load(sent)

    assert counts == WriteCounts(rejected=3, **{"updated" if is_present else "inserted": 3})
    rejects = nodes.rejects()
    assert [(reject.row, reject.line) for reject in rejects] == [(2, 3), (3, 4), (5, 6)]
    assert [reject.code for reject in rejects] == (
        ["unique:label", "foreign_key:parent", "check:weight_not_negative"]
        if nodes.sink.database.dialect == "sqlite"
        else ["unique:uq_label", "foreign_key:fk_parent", "check:weight_not_negative"]
    )
    assert [reject.column == "tag" for reject in rejects] == [True, False, False]  # each has its own reason
    assert [reject.original for reject in rejects] == [
        {name: None if value is None else str(value) for name, value in sent[place].items()} for place in (1, 2, 4)
    ]
    kept = {row["name"]: row["weight"] for row in nodes.rows()}
    before = [number if is_present else None for number in range(1, 7)]
    assert [kept.get(node["name"]) for node in sent] == [50, before[1], before[2], 50, before[4], 50]


def test_a_reject_names_the_row_that_has_its_values(nodes: Table) -> None:
    nodes.load([make_node(0, tag="taken"), *make_nodes(2)])

    nodes.load([make_node(1, tag="taken"), make_node(5, tag="taken"), make_node(6)])

    told = [(reject.column, reject.value, reject.further) for reject in nodes.rejects()]
    assert told == [("tag", "taken", (Fault("held_by", "name", "n000"),))] * 2


def test_a_reject_names_the_row_that_has_its_primary_key(make_table: MakeTable) -> None:
    products = make_table(match_on=["sku"])
    products.load([item | {"id": 7} for item in make_items(1)])

    counts = products.load([item | {"id": place} for place, item in enumerate(make_items(2, first=5), 7)])

    assert counts == WriteCounts(inserted=1, rejected=1)
    told = [(reject.column, reject.value, reject.further) for reject in products.rejects()]
    assert told == [("id", "7", (Fault("held_by", "id", "7"),))]


def test_a_row_without_a_key_may_lack_a_unique_value_too(make_table: MakeTable) -> None:
    products = make_table(match_on=[])
    products.load(make_items(2))

    counts = products.load([make_items(1)[0] | {"name": "again"}, make_items(1, first=7)[0]])

    assert counts == WriteCounts(inserted=1, rejected=1)


def test_a_reject_names_the_attribute_and_the_cell_as_it_was_written(make_shop: MakeShop, sqlite_url: str) -> None:
    names = {"name": "Name", "parent": "Eltern", "tag": "Marke", "weight": "Gewicht"}
    nodes = open_table(make_shop(sqlite_url, FOREIGN_KEYS + NODES), "Node", match_on=[], columns=names)
    nodes.load([make_node(0, tag="taken")])
    with nodes.admitted([2]) as [ref]:
        chunk = nodes.chunk([make_node(1), make_node(2, tag="taken")], ref)
        chunk.raw = chunk.raw.rename(columns=names).assign(Marke=["t1", " taken "], Farbe="red")
        nodes.load_chunk(chunk)

    [reject] = nodes.rejects()
    assert (reject.column, reject.value) == ("tag", " taken ")
    assert reject.original == {"Name": "n002", "Eltern": None, "Marke": " taken ", "Gewicht": "2", "Farbe": "red"}


@pytest.mark.parametrize("step, rows", [(2, 100), (10, 100), (100, 100), (1, 100)])
def test_poisoned_rows_are_found_and_their_neighbours_load(make_table: MakeTable, step: int, rows: int) -> None:
    """Whichever rows are bad, their number bounds the statements: halving, and one more try of each alone."""
    products = make_table()
    items = make_items(rows)
    poisoned = items[::step]
    for item in poisoned:
        item["price"] = Decimal("-1.00")

    with recorded_statements(products.sink.database.engine) as statements:
        counts = products.load(items)

    good = [item for item in items if item not in poisoned]
    assert counts == WriteCounts(inserted=len(good), rejected=len(poisoned))
    assert products.rows(*ITEM) == good
    assert {reject.original["sku"] for reject in products.rejects()} == {item["sku"] for item in poisoned}
    assert {reject.code for reject in products.rejects()} == {"check:price_not_negative"}
    bad = len(poisoned)
    attempts = [each for each in statements if each.startswith("SAVEPOINT")]
    inserts = [each for each in statements if each.startswith("INSERT INTO product")]
    bound = 2 * bad * (math.log2(rows / bad) + 2) + 4
    assert len(attempts) <= bound
    assert len(inserts) <= bound


def test_rows_without_a_parent_are_not_looked_for_by_halving(make_table: MakeTable) -> None:
    offers = make_table(FOREIGN_KEYS + OFFERS, "Offer", match_on=[])
    offers.shop.insert("brand", {"id": 1})
    brands: list[int | None] = [1, 7, None, 8] * 16
    sent = [{"sku": f"{place:03}", "brand": brand, "stock": place} for place, brand in enumerate(brands)]
    sent[0]["stock"] = sent[1]["stock"] = -1

    with recorded_statements(offers.sink.database.engine) as statements:
        counts = offers.load(sent)

    assert counts == WriteCounts(inserted=31, rejected=33)
    assert offers.rows() == [row for row in sent if row["brand"] in (1, None) and row["stock"] >= 0]
    codes = [reject.code.partition(":")[0] for reject in offers.rejects()]
    assert codes[0] == "check"
    assert codes[1] in ("check", "foreign_key")  # what is wrong with a row twice, databases do not find in one order
    assert set(codes[2:]) == {"foreign_key"}
    assert len([each for each in statements if each.startswith("SAVEPOINT")]) < 60


def make_box(number: int, shop: str | None, shelf: int | None, label: str | None = None) -> dict[str, Any]:
    return {"name": f"b{number:03}", "shop": shop, "shelf": shelf, "label": label}


def test_rows_without_a_parent_of_several_columns_are_not_looked_for_by_halving(make_table: MakeTable) -> None:
    """It is one row that has them all, and what has no value in one of them refers to nothing."""
    boxes = make_table(FOREIGN_KEYS + BOXES, "Box", match_on=[])
    boxes.shop.insert("shelf", {"shop": "one", "number": 1}, {"shop": "two", "number": 2})
    places: list[tuple[str | None, int | None]] = [("one", 1), ("one", 2), (None, 9), ("six", 6)]
    sent = [make_box(place, *places[place % 4]) for place in range(64)]

    with recorded_statements(boxes.sink.database.engine) as statements:
        counts = boxes.load(sent)

    assert counts == WriteCounts(inserted=32, rejected=32)
    assert [row["name"] for row in boxes.rows()] == [row["name"] for row in sent[::2]]
    assert len([each for each in statements if each.startswith("SAVEPOINT")]) <= 40  # of 32, each is tried alone


def test_a_reject_names_a_foreign_key_that_the_database_does_not_by_the_columns_which_the_row_fills(
    make_table: MakeTable,
) -> None:
    boxes = make_table(FOREIGN_KEYS + BOXES, "Box", match_on=[])

    boxes.load([make_box(1, "one", 1), make_box(2, None, None, "ghost")])

    told = [(reject.code, reject.column, reject.value) for reject in boxes.rejects()]
    is_named = boxes.sink.database.dialect != "sqlite"
    names = ("fk_shelf", "fk_label") if is_named else ("shop,shelf_number", "shelf_label")
    assert told == [(f"foreign_key:{names[0]}", None, None), (f"foreign_key:{names[1]}", "label", "ghost")]


def test_a_row_that_others_refer_to_by_its_former_value_is_rejected(make_table: MakeTable) -> None:
    """It fills no foreign key of its own by which the reject could be named."""
    shelves = make_table(FOREIGN_KEYS + BOXES, "Shelf", match_on=[])
    shelves.load([{"shop": "one", "number": number, "label": f"l{number}"} for number in (1, 2)])
    shelves.shop.insert("box", {"name": "b1", "shelf_label": "l1"})

    counts = shelves.load([{"shop": "one", "number": number, "label": f"new{number}"} for number in (1, 2)])

    assert counts == WriteCounts(updated=1, rejected=1)
    [reject] = shelves.rejects()
    code = "foreign_key" if shelves.sink.database.dialect == "sqlite" else "foreign_key:fk_label"
    assert (reject.row, reject.code) == (1, code)
    assert [row["label"] for row in shelves.rows()] == ["l1", "new2"]


def test_a_foreign_key_into_a_table_that_is_not_there_keeps_no_row_out(make_shop: MakeShop, sqlite_url: str) -> None:
    """SQLite takes it, and where it names no column nobody knows which are meant."""
    shop = make_shop(sqlite_url, OFFERS)
    shop.execute("DROP TABLE offer")
    columns = "brand INTEGER REFERENCES ghost, stock INTEGER NOT NULL CHECK (stock >= 0)"
    shop.execute(f"CREATE TABLE offer (sku VARCHAR(20) PRIMARY KEY, {columns})")
    offers = open_table(shop, "Offer", match_on=[])

    counts = offers.load([{"sku": str(stock), "brand": 1, "stock": stock} for stock in (1, -1, 2)])

    assert counts == WriteCounts(inserted=2, rejected=1)


def test_no_savepoint_is_left_open(make_table: MakeTable) -> None:
    """Of some thousand that are, PostgreSQL says that it is out of memory, and the run stopped every night."""
    products = make_table()
    items = make_items(8)
    for item in items[::2]:
        item["price"] = Decimal("-1.00")

    with recorded_statements(products.sink.database.engine) as statements:
        assert products.load(items) == WriteCounts(inserted=4, rejected=4)

    begun = [each.split()[-1] for each in statements if each.startswith("SAVEPOINT")]
    let_go = [each.split()[-1] for each in statements if each.startswith("RELEASE SAVEPOINT")]
    assert begun == let_go
    assert len(begun) > 8


def test_a_row_that_a_trigger_refuses_is_rejected_and_its_neighbours_load(make_table: MakeTable) -> None:
    products = make_table()
    refuse_by_trigger(products.shop, "product", "NEW.stock = 4")
    items = [item | {"stock": place} for place, item in enumerate(make_items(6))]

    counts = products.load(items)

    assert counts == WriteCounts(inserted=5, rejected=1)
    assert products.rows(*ITEM) == [item for item in items if item["stock"] != 4]
    assert [(reject.code, reject.column) for reject in products.rejects()] == [("trigger", None)]


NOTED = """\
def note(context):
    db.session.add(Note(sku=context.get_current_parameters()["sku"]))
    return "noted"


class Note(db.Model):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(20), sa.CheckConstraint("sku <> 'S-3'"))


class Thing(db.Model):
    __tablename__ = "thing"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    word: Mapped[str] = mapped_column(sa.String(20), default=note)
"""


def test_a_row_is_rejected_for_what_the_app_s_code_adds_to_the_session_beside_it(
    make_shop: MakeShop, database_url: str
) -> None:
    """It is sent when its row is: at the end of the savepoint, which blames no row, it would fail the whole chunk."""
    things = open_table(make_shop(database_url, NOTED), "Thing", match_on=[], writer="mappings")

    counts = things.load([{"sku": f"S-{number}"} for number in range(1, 6)])

    assert counts == WriteCounts(inserted=4, rejected=1)
    assert [reject.original["sku"] for reject in things.rejects()] == ["S-3"]
    noted = {row["sku"] for row in things.shop.rows("note")}
    assert noted == {row["sku"] for row in things.rows()} == {"S-1", "S-2", "S-4", "S-5"}


def test_a_child_that_comes_before_its_parent_in_a_chunk_is_loaded(nodes: Table) -> None:
    family = [make_node(n, parent=f"n{n + 1:03}") for n in range(1, 6)] + [make_node(6), make_node(7, parent="ghost")]

    counts = nodes.load(family)

    assert counts == WriteCounts(inserted=6, rejected=1)
    assert nodes.rows("name", "parent") == [{name: node[name] for name in ("name", "parent")} for node in family[:6]]


def test_a_long_line_of_children_before_parents_takes_no_statement_for_each_pair(nodes: Table) -> None:
    rows = 60
    family = [make_node(n, parent=f"n{n + 1:03}") for n in range(1, rows)] + [make_node(rows), make_node(0, weight=-1)]

    with nodes.recorded_writes() as writes:
        counts = nodes.load(family)

    assert counts == WriteCounts(inserted=rows, rejected=1)
    assert len(writes) <= 6 * rows


def test_children_of_rows_in_their_own_chunk_are_no_orphans_to_be_tried_one_by_one(nodes: Table) -> None:
    family = [make_node(0), *(make_node(n, parent=f"n{n - 1:03}") for n in range(1, 64))]
    family[-1]["weight"] = -1

    with recorded_statements(nodes.sink.database.engine) as statements:
        counts = nodes.load(family)

    assert counts == WriteCounts(inserted=63, rejected=1)
    assert len([each for each in statements if each.startswith("SAVEPOINT")]) < 30


SLUGS = """\
class Page(db.Model):
    __tablename__ = "page"
    __table_args__ = (sa.UniqueConstraint("shop", "slug", name="uq_slug"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shop: Mapped[str] = mapped_column(sa.String(8))
    slug: Mapped[str] = mapped_column(sa.String(8))
    rank: Mapped[int | None] = mapped_column(sa.Integer, sa.CheckConstraint("rank >= 0"))
"""


def test_rows_that_trade_a_unique_value_are_written(nodes: Table) -> None:
    nodes.load(make_nodes(6))
    ring = {1: "t3", 2: "t1", 3: "t2"}

    counts = nodes.load([make_node(1, tag="t2"), make_node(2, tag="t1"), make_node(3, tag="t3")])
    again = nodes.load([make_node(number, tag=tag, weight=7) for number, tag in ring.items()])
    wanted_twice = nodes.load([make_node(4, tag="t5"), make_node(5, tag="t6"), make_node(6, tag="t5")])

    assert counts == WriteCounts(updated=2, unchanged=1)
    assert again == WriteCounts(updated=3)
    assert wanted_twice == WriteCounts(updated=2, rejected=1)
    assert [row["label"] for row in nodes.rows()] == ["t3", "t1", "t2", "t4", "t6", "t5"]


def test_rows_that_all_take_the_value_of_the_next_one_need_no_attempt_for_each(nodes: Table) -> None:
    rows = 40
    nodes.load(make_nodes(rows))
    moved = [make_node(number, tag=f"t{number + 1}") for number in range(1, rows)]

    with nodes.recorded_writes() as writes:
        counts = nodes.load([*moved, make_node(rows, tag="t1"), make_node(rows + 1, tag="new")])

    assert counts == WriteCounts(updated=rows, inserted=1)
    assert [row["label"] for row in nodes.rows()] == [*(f"t{number}" for number in range(2, rows + 1)), "t1", "new"]
    assert len(writes) <= (12 if nodes.writes_in_bulk else 5 * rows)


def test_a_trade_with_a_row_that_is_refused_leaves_all_as_they_are(nodes: Table) -> None:
    nodes.load(make_nodes(4))

    counts = nodes.load([make_node(1, tag="t2"), make_node(2, tag="t1", weight=-1), make_node(3, weight=9)])
    more = nodes.load([make_node(1, tag="t4"), make_node(3, tag="t2"), make_node(2, tag="t3")])

    assert counts == WriteCounts(updated=1, rejected=2)
    assert more == WriteCounts(updated=2, rejected=1)
    assert [(row["label"], row["weight"]) for row in nodes.rows()] == [("t1", 1), ("t3", 2), ("t2", 3), ("t4", 4)]


def test_rows_that_wait_in_line_for_the_value_of_one_that_is_refused_are_rejected(nodes: Table) -> None:
    """Each wants what the next one has, and the last of them nobody's."""
    nodes.load(make_nodes(3))

    counts = nodes.load([make_node(1, tag="t2"), make_node(2, tag="t3"), make_node(3, tag="new", weight=-1)])

    assert counts == WriteCounts(rejected=3)
    assert [reject.code.partition(":")[0] for reject in nodes.rejects()] == ["unique", "unique", "check"]
    assert [row["label"] for row in nodes.rows()] == ["t1", "t2", "t3"]


@pytest.mark.parametrize("write", ["insert_only", "fill_empty"])
def test_a_unique_value_that_stays_is_let_go_for_no_other_row(make_table: MakeTable, write: str) -> None:
    columns = {name: {"from": name} for name in make_node(1)}
    nodes = make_table(
        FOREIGN_KEYS + NODES, "Node", match_on=[], columns=columns | {"tag": {"from": "tag", "write": write}}
    )
    nodes.load(make_nodes(1))

    counts = nodes.load([make_node(1, tag="new", weight=9), make_node(2, tag="t1")])

    assert counts == WriteCounts(updated=1, rejected=1)
    assert [(row["label"], row["weight"]) for row in nodes.rows()] == [("t1", 9)]


@pytest.mark.parametrize("models", [SLUGS, SLUGS.replace("String(8)", "String(8), primary_key=True", 1)])
def test_values_that_may_not_be_null_are_traded_too(make_table: MakeTable, models: str) -> None:
    pages = make_table(models, "Page", match_on=[])
    row = {"shop": "one", "rank": 0}
    pages.load([{"id": number, "slug": f"page-{number}", **row} for number in (1, 2, 3, 4)])

    counts = pages.load(
        [
            {"id": 1, "slug": "page-2", **row},
            {"id": 2, "slug": "page-1", **row},
            {"id": 3, "slug": "page-4", **row},
            {"id": 4, "slug": "page-3", **row, "rank": -1},
        ]
    )

    assert counts == WriteCounts(updated=2, rejected=2)
    assert [page["slug"] for page in pages.rows()] == ["page-2", "page-1", "page-3", "page-4"]


def test_what_stands_in_for_a_traded_value_is_that_of_no_other_row(make_table: MakeTable) -> None:
    pages = make_table(SLUGS, "Page", match_on=[])
    row = {"shop": "one", "rank": 0}
    numbers = [{"id": 10 + n, "shop": str(n % 4), "slug": "ab"[n // 4], "rank": 0} for n in range(8)]
    pages.load([{"id": 1, "slug": "a", **row}, {"id": 2, "slug": "b", **row}, *numbers])

    assert pages.load([{"id": 1, "slug": "b", **row}, {"id": 2, "slug": "a", **row}]) == WriteCounts(updated=2)


RANKS = """\
class Rank(db.Model):
    __tablename__ = "rank"

    name: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    place: Mapped[int] = mapped_column(unique=True)
"""


def test_values_that_nothing_can_stand_in_for_are_not_traded(make_table: MakeTable) -> None:
    ranks = make_table(RANKS, "Rank", match_on=[])
    before = [{"name": name, "place": place} for place, name in enumerate("abc")]
    ranks.load(before)

    counts = ranks.load([{"name": "a", "place": 1}, {"name": "b", "place": 0}, {"name": "c", "place": 7}])

    assert counts == WriteCounts(updated=1, rejected=2)
    assert ranks.rows() == [*before[:2], {"name": "c", "place": 7}]


def test_a_unique_constraint_may_span_what_the_feed_does_not_send(make_table: MakeTable) -> None:
    pages = make_table(SLUGS, "Page", match_on=[], columns={"id": "id", "slug": "slug"})
    for number in (1, 2, 3):
        pages.shop.insert("page", {"id": number, "shop": "one", "slug": f"page-{number}"})

    counts = pages.load([{"id": 1, "slug": "page-2"}, {"id": 3, "slug": "new"}])

    assert counts == WriteCounts(updated=1, rejected=1)
    assert [page["slug"] for page in pages.rows()] == ["page-1", "page-2", "new"]


def test_no_row_is_named_for_what_a_unique_index_makes_of_values(make_shop: MakeShop, postgresql_url: str) -> None:
    """Of the columns alone another row may have the same."""
    models = NODES.replace('sa.UniqueConstraint("label", name="uq_label"),', "")
    nodes = open_table(make_shop(postgresql_url, models), "Node", match_on=[])
    nodes.shop.execute("CREATE UNIQUE INDEX uq_tens ON node (label, (weight % 10))")
    nodes.load([make_node(1, tag="t"), make_node(2, tag="t")])

    nodes.load([make_node(11, tag="t")])

    [reject] = nodes.rejects()
    assert (reject.code, reject.column, reject.further) == ("unique:uq_tens", None, ())


def test_a_value_that_another_row_of_the_chunk_sets_free_may_be_taken(nodes: Table) -> None:
    nodes.load(make_nodes(2))

    counts = nodes.load([make_node(1, tag="t2"), make_node(2, tag="new"), make_node(3, tag="t1")])

    assert counts == WriteCounts(updated=2, inserted=1)
    assert [row["label"] for row in nodes.rows()] == ["t2", "new", "t1"]


def test_a_rejected_row_is_rejected_again_and_the_others_are_unchanged(nodes: Table) -> None:
    records = [*make_nodes(3), make_node(4, weight=-1)]

    counts = [nodes.load(records), nodes.load(records)]

    assert counts == [WriteCounts(inserted=3, rejected=1), WriteCounts(unchanged=3, rejected=1)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_deferred_constraint_fails_the_chunk_as_a_whole(
    make_shop: MakeShop, request: pytest.FixtureRequest, kind: str
) -> None:
    late = open_table(make_shop(request.getfixturevalue(f"{kind}_url"), FOREIGN_KEYS + LATE), "Late", match_on=[])
    with late.admitted([2, 1]) as [first, second]:
        with pytest.raises(ChunkFailed, match="refused the commit") as failure:
            late.load_chunk(late.chunk([{"id": 1, "parent": None}, {"id": 2, "parent": 99}], first))
        assert late.rows() == []
        assert late.rejects() == []
        assert (late.entry(first).status, late.entry(first).error) == ("failed", str(failure.value))

        late.load_chunk(late.chunk([{"id": 3, "parent": None}], second))

    assert late.rows("id") == [{"id": 3}]


# Triggers that keep rows from coming in, or as they are, and raise no error.
SILENT = {
    "sqlite": ["CREATE TRIGGER quiet BEFORE INSERT ON product WHEN NEW.stock = 4 BEGIN SELECT RAISE(IGNORE); END"],
    "postgresql": [
        "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.stock = 4 THEN RETURN NULL; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER quiet BEFORE INSERT OR UPDATE ON product FOR EACH ROW EXECUTE FUNCTION quiet()",
    ],
}


@pytest.fixture(params=SILENT)
def quiet(request: pytest.FixtureRequest, make_shop: MakeShop, make_database: MakeDatabase) -> Shop:
    """A shop whose database drops rows of which there are four."""
    shop = make_shop(make_database(request.param))
    for statement in SILENT[request.param]:
        shop.execute(statement)
    return shop


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
def test_a_row_that_a_trigger_drops_is_a_reject_each_night(quiet: Shop, writer: str) -> None:
    products = open_table(quiet, writer=writer)
    items = [item | {"stock": number} for number, item in enumerate(make_items(6))]

    assert products.load(items) == WriteCounts(inserted=5, rejected=1)
    assert products.load(items) == WriteCounts(unchanged=5, rejected=1)

    assert len(products.rows()) == 5
    [reject] = products.rejects()
    # Where SQLAlchemy waits for the key of each row, it is the one who finds out.
    assert reject.row == 5
    assert reject.code in ("trigger", "refused")


def test_a_dropped_row_without_a_key_fails_its_chunk(quiet: Shop) -> None:
    products = open_table(quiet, match_on=[], missing_key="insert")

    with pytest.raises(ChunkFailed, match="A trigger of product keeps rows from coming in"):
        products.load([item | {"stock": 4} for item in make_items(2)])

    assert products.rows() == []


def test_rows_that_a_trigger_brings_into_a_partition_are_in_the_table(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url)
    shop.execute("CREATE TABLE product_low () INHERITS (product)")
    shop.execute(
        "CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO product_low VALUES (NEW.*); RETURN NULL; END $$"
    )
    shop.execute("CREATE TRIGGER route BEFORE INSERT ON product FOR EACH ROW EXECUTE FUNCTION route()")
    products = open_table(shop)

    assert products.load(make_items(3)) == WriteCounts(inserted=3)
    assert products.load(make_items(3)) == WriteCounts(unchanged=3)


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
def test_a_row_that_a_trigger_keeps_as_it_is_is_a_reject(
    make_shop: MakeShop, postgresql_url: str, no_pauses: None, writer: str
) -> None:
    shop = make_shop(postgresql_url)
    for statement in SILENT["postgresql"]:
        shop.execute(statement)
    products = open_table(shop, writer=writer)
    items = [item | {"stock": 0} for item in make_items(3)]
    products.load(items)

    counts = products.load([item | {"stock": stock} for item, stock in zip(items, (3, 4, 5), strict=True)])

    assert counts == WriteCounts(updated=2, rejected=1)
    assert [row["stock"] for row in products.rows()] == [3, 0, 5]
    assert [(each.row, each.code) for each in products.rejects()] == [(2, "trigger")]


@pytest.mark.parametrize("is_equal", [False, True])
def test_a_row_whose_key_the_table_has_twice_is_a_reject(make_table: MakeTable, is_equal: bool) -> None:
    """By mappings and objects one of the two was changed, and the row counted as updated."""
    products = make_table(DEFAULT_MODELS.replace("unique=True)\n    name", "unique=True, index=True)\n    name"))
    on_table = " ON product" if products.sink.database.dialect in ("mysql", "mariadb") else ""
    products.shop.execute(f"DROP INDEX ix_product_sku{on_table}")
    items = make_items(2)
    products.load(items)
    sent = [item | {"stock": 77} for item in items]
    products.shop.insert("product", sent[0] if is_equal else items[0])

    assert products.load(sent) == WriteCounts(updated=1, rejected=1)
    assert [(each.code, each.column) for each in products.rejects()] == [("key_twice", "sku")]
    assert [row["stock"] for row in products.rows("sku", "stock")].count(77) == 1 + is_equal
