"""Rows packed for SQLite: what they hold, when the app's connection takes them in, and what is left of them."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from contracts.loads import Table, make_items, open_table, recorded_statements
from fix_shop import MakeShop
from shops import SHOUTED

from restock.chunks import WriteCounts
from sinks.rows import packing
from sinks.rows.packing import PACKED, affinity, pack

pytest.importorskip("adbc_driver_sqlite", reason="comes with restock[sqlite]")

PER_ROW = """\
import itertools

_numbers = itertools.count(1)


class Item(db.Model):
    __tablename__ = "item"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None]
    shelf: Mapped[str] = mapped_column(sa.String(20), default="new")
    rank: Mapped[int] = mapped_column(default={default})
"""
BY_SETTING = """\
from flask import current_app


class BySetting(sa.types.TypeDecorator):
    impl = sa.String(80)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return current_app.name + value


class Item(db.Model):
    __tablename__ = "item"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None] = mapped_column(BySetting)
"""


def unpacked(content: bytes) -> list[tuple[Any, ...]]:
    """The values as SQLite has them, each with its type there."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        return connection.execute(f"SELECT value, typeof(value) FROM {PACKED}").fetchall()


def bound(values: list[Any]) -> list[tuple[Any, ...]]:
    """The same of values that the driver has bound one by one."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE one (value)")
        connection.executemany("INSERT INTO one VALUES (?)", [(value,) for value in values])
        return connection.execute("SELECT value, typeof(value) FROM one").fetchall()


def takes_packed(table: Table, items: list[dict[str, Any]]) -> tuple[WriteCounts, bool]:
    """Load records; whether they came packed."""
    with recorded_statements(table.sink.database.engine) as statements:
        counts = table.load(items)
    is_attached = any(statement.startswith(f"PRAGMA {PACKED}.") for statement in statements)
    single = [f"INSERT INTO {name} (" for name in (PACKED, table.name)]
    goes_singly = any(statement.startswith(tuple(single)) and "VALUES" in statement for statement in statements)
    return counts, is_attached and not goes_singly


def attached(table: Table) -> list[str]:
    """What the app's pooled connection sees beside its own database."""
    with table.sink.database.engine.connect() as connection:
        names = [row[1] for row in connection.exec_driver_sql("PRAGMA database_list")]
    return [name for name in names if name not in ("main", "temp")]


@pytest.fixture
def products(make_shop: MakeShop, sqlite_url: str) -> Table:
    """The products of a shop on SQLite."""
    return open_table(make_shop(sqlite_url))


@pytest.mark.parametrize(
    "values",
    [
        ["", "a\0b", "é" * 5, None],
        ["", ""],
        [None, None],
        [0, -(2**63), 2**63 - 1, None],
        [True, False, None],
        [0.1, -0.0, 1.0, 1e308, float("inf"), float("nan"), None],
        [b"", b"\0\xff", None],
    ],
)
def test_packed_values_are_those_that_the_driver_would_bind(values: list[Any]) -> None:
    content = pack({"value": values})

    assert content is not None
    assert [(repr(value), kind) for value, kind in unpacked(content)] == [
        (repr(value), kind) for value, kind in bound(values)
    ]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["a", None], dtype="category"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series(["a", None], dtype=pd.ArrowDtype(pa.large_string())),
        pd.Series([True, None], dtype=object),
    ],
)
def test_a_column_of_a_frame_is_packed_as_its_plain_values(values: pd.Series) -> None:
    content = pack({"value": values})

    assert content is not None
    assert unpacked(content) == bound([None if pd.isna(value) else value for value in values.tolist()])


def test_a_column_may_be_called_anything() -> None:
    name = 'a "quoted" ünit; -- [x]'

    content = pack({name: ["x"], "select": [1]})

    assert content is not None
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(content)
        cursor = connection.execute(f"SELECT * FROM {PACKED}")
        assert [column[0] for column in cursor.description] == [name, "select"]
        assert cursor.fetchall() == [("x", 1)]


@pytest.mark.parametrize("values", [[1, "1"], [1, 2.5], [True, 2], [Decimal(1)], [2**63], ["\ud800"], [[1]]])
def test_values_that_would_become_others_are_not_packed(values: list[Any]) -> None:
    assert pack({"value": values}) is None


def test_nothing_of_the_rows_lies_about_even_while_they_are_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed then leaves no file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[list[str]] = []
    unlink = Path.unlink

    def unlink_and_look(path: Path) -> None:
        unlink(path)
        seen.append([name for _, _, files in os.walk(tmp_path) for name in files])

    monkeypatch.setattr(Path, "unlink", unlink_and_look)

    assert pack({"value": ["x"] * 100_000}) is not None
    assert seen == [[]]
    assert list(tmp_path.iterdir()) == []


def test_rows_go_one_by_one_where_no_file_can_be_written(
    products: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    assert takes_packed(products, make_items(3)) == (WriteCounts(inserted=3), False)


def test_every_night_takes_packed_rows_in_and_lets_go_of_them(products: Table) -> None:
    items = make_items(5)
    changed = [items[0] | {"stock": 99}, *items[1:], *make_items(2, first=6)]

    nights = [takes_packed(products, night) for night in (items, items, changed)]

    assert nights == [
        (WriteCounts(inserted=5), True),
        (WriteCounts(unchanged=5), True),
        (WriteCounts(inserted=2, updated=1, unchanged=4), True),
    ]
    assert attached(products) == []
    assert [row["stock"] for row in products.rows("stock")] == [item["stock"] for item in changed]


def test_a_chunk_that_is_refused_lets_go_of_its_rows_too(products: Table) -> None:
    items = make_items(3)
    items[1]["price"] = -items[1]["price"]

    assert products.load(items) == WriteCounts(inserted=2, rejected=1)
    assert attached(products) == []


def fill_slots(driver: sqlite3.Connection) -> None:
    for place in range(driver.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED)):
        driver.execute(f"ATTACH ':memory:' AS own_{place}")


def begin(driver: sqlite3.Connection) -> None:
    driver.execute("BEGIN")


@pytest.mark.parametrize("event, settle", [("connect", fill_slots), ("checkout", begin)])
def test_an_app_whose_connection_takes_nothing_in_is_served_as_well(
    products: Table, event: str, settle: Callable[[sqlite3.Connection], None]
) -> None:
    engine = products.sink.database.engine
    products.sink.ledger.create()
    engine.dispose()
    sa.event.listen(engine, event, lambda driver, *_: settle(driver))

    nights = [takes_packed(products, night) for night in (make_items(3), make_items(4))]

    assert nights == [(WriteCounts(inserted=3), False), (WriteCounts(inserted=1, unchanged=3), False)]


def test_without_the_extra_rows_go_one_by_one(
    products: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packing, "find_spec", lambda _name: None)
    packing.is_driver_there.cache_clear()
    try:
        with caplog.at_level("INFO", "restock"):
            nights = [takes_packed(products, night) for night in (make_items(3), make_items(4))]
    finally:
        packing.is_driver_there.cache_clear()

    assert nights == [(WriteCounts(inserted=3), False), (WriteCounts(inserted=1, unchanged=3), False)]
    assert caplog.text.count("restock[sqlite]") == 1


@pytest.mark.parametrize("kind, stored", [("TEXT", "5.0"), ("ANY", 5.0)])
def test_a_table_of_other_types_than_the_model_says_is_met_with_its_own(
    products: Table, kind: str, stored: Any
) -> None:
    products.shop.execute("DROP TABLE product")
    columns = f"id INTEGER PRIMARY KEY, sku TEXT UNIQUE, name TEXT, price {kind}, stock INTEGER, updated_at TEXT"
    products.shop.execute(f"CREATE TABLE product ({columns}, category_id INTEGER) STRICT")
    item = make_items(1)[0] | {"price": Decimal("5.00")}

    nights = [takes_packed(products, [item]) for _ in range(2)]

    assert nights == [(WriteCounts(inserted=1), False), (WriteCounts(unchanged=1), False)]
    [found] = products.shop.execute("SELECT price FROM product")
    assert repr(found["price"]) == repr(stored)  # as a number of its own it would have become 5


@pytest.mark.parametrize(
    "declared, word",
    [
        ("BIGINT", "INT"),
        ("FLOATING POINT", "INT"),
        ("VARCHAR(20)", "TEXT"),
        ("BLOB", ""),
        ("", ""),
        ("double precision", "REAL"),
        ("NUMERIC(12, 2)", "NUM"),
        ("DATETIME", "NUM"),
        ("BOOLEAN", "NUM"),
    ],
)
def test_affinities_are_those_that_sqlite_itself_finds(declared: str, word: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE one (value {declared})")
        connection.execute("CREATE TABLE like_it AS SELECT value FROM one")
        [found] = [row[2] for row in connection.execute("PRAGMA table_info(like_it)")]

    assert affinity(declared) == found == word


@pytest.mark.parametrize("default, is_packed", [("7", True), ("lambda: next(_numbers)", False)])
def test_what_the_model_makes_for_new_rows_is_theirs(
    make_shop: MakeShop, sqlite_url: str, default: str, is_packed: bool
) -> None:
    items = open_table(make_shop(sqlite_url, PER_ROW.format(default=default)), "Item", match_on=[])

    loaded = takes_packed(items, [{"sku": sku, "name": sku.upper()} for sku in ("b", "a")])

    assert loaded == (WriteCounts(inserted=2), is_packed)
    ranks = [7, 7] if is_packed else [1, 2]
    assert items.rows() == [
        {"sku": "a", "name": "A", "shelf": "new", "rank": ranks[0]},
        {"sku": "b", "name": "B", "shelf": "new", "rank": ranks[1]},
    ]


def test_a_type_that_stores_by_an_expression_has_its_way(make_shop: MakeShop, sqlite_url: str) -> None:
    items = open_table(make_shop(sqlite_url, SHOUTED), "Item", match_on=[])

    nights = [takes_packed(items, [{"sku": "a", "name": "x"}]) for _ in range(2)]

    assert nights == [(WriteCounts(inserted=1), False), (WriteCounts(unchanged=1), False)]
    assert items.rows("name") == [{"name": "X"}]


def test_rows_are_made_ready_in_the_context_of_the_app(make_shop: MakeShop, sqlite_url: str) -> None:
    items = open_table(make_shop(sqlite_url, BY_SETTING), "Item", match_on=[])

    assert items.load([{"sku": "a", "name": "!"}]) == WriteCounts(inserted=1)
    assert items.rows("name") == [{"name": f"{items.shop.package}!"}]
