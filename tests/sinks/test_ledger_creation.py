"""The ledger is created on first use, and that of an older restock is brought up to date, with all that it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from contracts.loads import MakeTable, Table, make_items
from fix_shop import MakeShop
from shops import Shop, run_restock

from restock.chunks import COUNTERS
from sinks.ledger.history import History
from sinks.ledger.tables import metadata

# The ledger as the first restock made it. It stays as it is, whatever the ledger becomes.
FIRST = {
    "restock_run": {
        "run_id feed target kind generation fingerprint code_digest source ignored_columns status read_rows started_at "
        "finished_at reason"
    },
    "restock_chunk": {
        f"run_id number status attempts spool_file first_row row_count {' '.join(COUNTERS)} loaded_at error"
    },
    "restock_reject": {"run_id chunk position line code column_name value original resolved_at"},
    "restock_lease": {"target token owner run_id taken_at expires_at"},
}


def first_columns(table: str) -> set[str]:
    return {name for names in FIRST.get(table, ()) for name in names.split()}


def make_older(shop: Shop) -> None:
    """Take from the ledger what came after the first restock."""
    for name, table in metadata.tables.items():
        if name not in FIRST:
            shop.execute(f"DROP TABLE {name}")
            continue
        for column in {column.name for column in table.columns} - first_columns(name):
            shop.execute(f"ALTER TABLE {name} DROP COLUMN {column}")


@pytest.fixture
def products(make_table: MakeTable) -> Table:
    return make_table()


def is_whole(shop: Shop) -> bool:
    inspector = sa.inspect(shop.engine)
    return all(
        {column.name for column in table.columns} == {column["name"] for column in inspector.get_columns(name)}
        for name, table in metadata.tables.items()
    )


def test_what_is_added_to_the_ledger_can_be_added_to_one_that_holds_rows() -> None:
    added = [
        column
        for table in metadata.tables.values()
        for column in table.columns
        if table.name in FIRST and column.name not in first_columns(table.name)
    ]

    assert [column.name for column in added if not column.nullable and column.server_default is None] == []
    assert all(first_columns(name) <= {column.name for column in metadata.tables[name].columns} for name in FIRST)


def test_an_older_ledger_is_brought_up_to_date_when_it_is_written(shop: Shop) -> None:
    shop.write_csv("products.csv", make_items(3))
    assert run_restock(["sync", "products"], shop).returncode == 0
    make_older(shop)
    assert not is_whole(shop)

    assert run_restock(["sync", "products"], shop).returncode == 0

    assert is_whole(shop)
    chunks = shop.execute("SELECT inserted, unchanged FROM restock_chunk ORDER BY run_id")
    assert [(chunk["inserted"], chunk["unchanged"]) for chunk in chunks] == [(3, 0), (0, 3)]


def test_an_older_ledger_is_brought_up_to_date_when_it_is_read(shop: Shop) -> None:
    shop.write_csv("products.csv", make_items(3))
    assert run_restock(["sync", "products"], shop).returncode == 0
    make_older(shop)

    told = run_restock(["runs", "--json"], shop)

    assert told.returncode == 0, told.stderr
    assert [run["read"] for run in json.loads(told.stdout)["runs"]] == [3]
    assert is_whole(shop)


def test_a_ledger_that_was_seen_to_be_whole_is_looked_at_no_more(products: Table) -> None:
    asked: list[str] = []
    sa.event.listen(products.sink.database.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    products.sink.ledger.create()
    assert asked
    asked.clear()

    products.sink.ledger.create()
    assert History(products.sink.database).exists()

    assert asked == []


def test_a_database_that_is_only_read_gets_no_ledger(products: Table) -> None:
    assert History(products.sink.database).runs() == []
    assert set(products.shop.tables()).isdisjoint(metadata.tables)


def test_a_ledger_for_a_file_that_may_not_be_written_waits_for_that_and_not_for_another_user(
    make_shop: MakeShop, sqlite_url: str
) -> None:
    shop = make_shop(sqlite_url)
    shop.feed()
    app = shop.folder / shop.package / "__init__.py"
    read_only = sqlite_url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    app.write_text(app.read_text(encoding="utf-8").replace(sqlite_url, read_only), encoding="utf-8")

    told = run_restock(["init"], shop)

    assert told.returncode == 1
    assert "SQLITE_READONLY" in told.stderr
    assert told.stderr.endswith("start again when the SQLite file and its folder are there and may be written.\n")


@contextmanager
def reader_of(shop: Shop, url: str) -> Iterator[None]:
    """Let the shop's app come as a user who may use the tables that are there, and alter none."""
    role = f"{shop.package}_role"
    shop.execute(f"CREATE ROLE {role} LOGIN PASSWORD 's3cret'")
    shop.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    lesser = sa.make_url(url).set(username=role, password="s3cret").render_as_string(hide_password=False)
    package = shop.folder / shop.package / "__init__.py"
    package.write_text(package.read_text().replace(repr(url), repr(lesser)))
    try:
        yield
    finally:
        shop.execute(f"DROP OWNED BY {role}")
        shop.execute(f"DROP ROLE {role}")


def test_a_user_who_may_not_alter_an_older_ledger_is_told_what_to_do(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url)
    shop.write_csv("products.csv", make_items(1))
    assert run_restock(["sync", "products"], shop).returncode == 0
    make_older(shop)

    with reader_of(shop, postgresql_url):
        told = run_restock(["runs"], shop)

    assert "let a database user who may create and alter tables run `restock init` once" in told.stdout + told.stderr
    assert "s3cret" not in told.stderr
    assert "Traceback" not in told.stderr
