"""The stage: what it asks of the database, and what it leaves behind."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from contracts.loads import MakeTable, Table, make_items, open_table
from fix_databases import MakeDatabase
from fix_shop import MakeShop

from restock.chunks import WriteCounts
from restock.contract import Kind
from restock.errors import ConfigurationError
from sinks.staging.stage import open_stage

LISTS = """\
from sqlalchemy.dialects import postgresql


class Listed(db.Model):
    __tablename__ = "listed"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    words: Mapped[list[str] | None] = mapped_column(postgresql.ARRAY(sa.Text))
    home: Mapped[str | None] = mapped_column(postgresql.INET)
    extra: Mapped[dict | None] = mapped_column(postgresql.JSONB)
    span: Mapped[dt.timedelta | None]
"""

RIGHTS = {
    "postgresql": (
        [
            "CREATE ROLE {user} LOGIN PASSWORD 'poor'",
            "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
            "GRANT SELECT ON product TO {user}",
        ],
        ["DROP OWNED BY {user}", "DROP ROLE {user}"],
    ),
    "mariadb": (
        ["CREATE USER {user} IDENTIFIED BY 'poor'", "GRANT SELECT, INSERT ON {database}.* TO {user}"],
        ["DROP USER {user}"],
    ),
}
SEALED = """\
import os


class Sealed(sa.types.TypeDecorator):
    impl = sa.String(80)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else os.urandom(4).hex() + value

    def process_result_value(self, value, dialect):
        return None if value is None else value[8:]


class Secret(db.Model):
    __tablename__ = "secret"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    word: Mapped[str | None] = mapped_column(Sealed)
    amount: Mapped[int | None]
"""


def temporary_tables(table: Table) -> list[str]:
    """The temporary tables that the app's one pooled connection can see."""
    dialect = table.sink.database.dialect
    with table.sink.database.engine.connect() as connection:
        if dialect == "mysql":
            [there] = connection.exec_driver_sql(
                "SELECT count(*) FROM information_schema.tables WHERE table_name = 'restock_stage'"
            ).one()
            return ["restock_stage"] * there
        question = {
            "sqlite": "SELECT name FROM sqlite_temp_master WHERE type = 'table'",
            "postgresql": "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'",
        }[dialect]
        return [row[0] for row in connection.exec_driver_sql(question)]


def test_no_stage_is_left_behind(make_table: MakeTable) -> None:
    products = make_table()
    products.load(make_items(3))

    products.load([item | {"stock": 9} for item in make_items(4)])

    assert temporary_tables(products) == []


def test_what_an_aborted_chunk_left_is_in_nobodys_way(make_table: MakeTable) -> None:
    products = make_table()
    items = make_items(3)
    items[1]["price"] = -items[1]["price"]

    counts = [products.load(items), products.load(make_items(3))]

    assert counts == [WriteCounts(inserted=2, rejected=1), WriteCounts(inserted=1, unchanged=2)]


def test_a_type_that_never_writes_a_value_twice_alike_is_unchanged_all_the_same(make_table: MakeTable) -> None:
    secrets = make_table(SEALED, "Secret", match_on=[])
    records = [{"sku": "a", "word": "x", "amount": 1}, {"sku": "b", "word": None, "amount": 2}]

    counts = [secrets.load(records), secrets.load(records), secrets.load([records[0] | {"word": "y"}, records[1]])]

    assert counts == [WriteCounts(inserted=2), WriteCounts(unchanged=2), WriteCounts(updated=1, unchanged=1)]
    assert [row["word"] for row in secrets.seen_by_app("word")] == ["y", None]


def test_types_of_postgresql_alone_are_staged_as_they_are(make_shop: MakeShop, postgresql_url: str) -> None:
    listed = open_table(make_shop(postgresql_url, LISTS), "Listed", match_on=[])
    assert listed.sink.target.contract.fields["words"].kind is Kind.ARRAY
    first = {"sku": "A", "words": ["x", "y z", ""], "home": "10.0.0.1", "extra": {"b": [1.0], "a": None}, "span": None}
    records = [first, dict.fromkeys(first) | {"sku": "b"}]

    counts = [listed.load(records), listed.load(records)]
    counts.append(listed.load([first | {"words": ["x"]}, records[1] | {"extra": {}}]))

    assert counts == [WriteCounts(inserted=2), WriteCounts(unchanged=2), WriteCounts(updated=2)]
    assert [(row["sku"], row["words"]) for row in listed.seen_by_app("sku", "words")] == [("A", ["x"]), ("b", None)]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_user_without_the_right_to_a_temporary_table_is_told_so(
    make_shop: MakeShop, make_database: MakeDatabase, kind: str
) -> None:
    products = open_table(make_shop(make_database(kind)))
    user, url = f"poor_{uuid.uuid4().hex[:8]}", products.shop.engine.url
    grants, ends = RIGHTS[kind]
    for statement in grants:
        products.shop.execute(statement.format(user=user, database=url.database))
    engine = sa.create_engine(url.set(username=user, password="poor"), poolclass=sa.NullPool)

    try:
        with (
            engine.connect() as poor,
            pytest.raises(ConfigurationError, match=r"may not make temporary tables.* GRANT"),
        ):
            open_stage(poor, products.sink.target, ["sku", "name"])
    finally:
        for statement in ends:
            products.shop.execute(statement.format(user=user))


def test_rows_that_cannot_even_be_staged_are_rejected_and_the_others_load_once(make_table: MakeTable) -> None:
    products = make_table()
    products.load(make_items(2))
    if products.sink.database.dialect == "sqlite":
        pytest.skip("SQLite stages whatever a column's type lets through.")
    with products.sink.database.engine.begin() as connection:
        # The column has been made narrower than the model says.
        change = {"postgresql": "ALTER COLUMN name TYPE varchar(12)", "mysql": "MODIFY name VARCHAR(12) NOT NULL"}
        connection.exec_driver_sql(f"ALTER TABLE product {change[products.sink.database.dialect]}")
    items = [item | {"name": "short", "stock": place} for place, item in enumerate(make_items(9))]
    items[4]["name"] = items[7]["name"] = "longer than that by far"

    counts = [products.load(items), products.load(items)]

    assert counts == [WriteCounts(inserted=5, updated=2, rejected=2), WriteCounts(unchanged=7, rejected=2)]
