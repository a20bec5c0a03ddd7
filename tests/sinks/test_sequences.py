"""Sequences of PostgreSQL: not left behind by keys that a feed brings, and not used up by rows that are there."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from contracts.loads import Table, make_items, open_table
from fix_shop import MakeShop

from restock.chunks import WriteCounts

# A sequence of the model's, which the database does not know to belong to the column.
TICKETS = """\
class Ticket(db.Model):
    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(sa.Sequence("Ticket-numbers %s"), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(40))
"""


@pytest.fixture(params=["copy", "mappings", "objects"])
def products(request: pytest.FixtureRequest, make_shop: MakeShop, postgresql_url: str) -> Table:
    """Products that are known by an id which the feed may bring."""
    return open_table(make_shop(postgresql_url), match_on=[], writer=request.param)


def next_id(products: Table) -> int:
    """The id that a product of the shop's own gets."""
    products.shop.execute("DELETE FROM product WHERE sku = 'own'")
    [row] = products.shop.execute("INSERT INTO product (sku, name) VALUES ('own', 'Own') RETURNING id")
    return int(row["id"])


def test_a_shop_goes_on_after_the_keys_that_a_feed_brought(products: Table) -> None:
    records = [{"id": number, **item} for number, item in zip((7, 40, 12), make_items(3), strict=True)]
    products.load(records)

    assert next_id(products) == 41
    products.load([{"id": 20, **make_items(4)[3]}])
    assert next_id(products) == 42


def test_rows_that_are_there_use_no_key_up(products: Table) -> None:
    records = [{"id": number, **item} for number, item in enumerate(make_items(5), 1)]
    products.load(records)

    counts = [products.load(records), products.load([record | {"stock": 99} for record in records])]

    assert counts == [WriteCounts(unchanged=5), WriteCounts(updated=5)]
    assert next_id(products) == 6


def test_a_row_that_is_refused_moves_no_sequence(products: Table) -> None:
    first, second, _ = make_items(3)
    products.load([{"id": 1, **first}])

    counts = products.load([{"id": 7, **second}, {"id": 1000, **first}])

    assert counts == WriteCounts(inserted=1, rejected=1)
    assert next_id(products) == 8


@pytest.mark.parametrize("granted", ["SELECT", "UPDATE"])
def test_a_user_who_may_not_move_the_sequence_brings_keys_all_the_same(
    make_shop: MakeShop, postgresql_url: str, granted: str
) -> None:
    products = open_table(make_shop(postgresql_url), match_on=[])
    first, second = make_items(2)
    products.load([{"id": 1, **first}])
    role = products.shop.package
    products.shop.execute(f"CREATE ROLE {role}")
    try:
        products.shop.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        products.shop.execute(f"GRANT {granted} ON ALL SEQUENCES IN SCHEMA public TO {role}")

        @sa.event.listens_for(products.sink.database.engine, "begin")
        def come_as_the_user(connection: sa.Connection) -> None:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}")

        counts = products.load([{"id": 7, **second}])
    finally:
        products.shop.execute(f"DROP OWNED BY {role}")
        products.shop.execute(f"DROP ROLE {role}")

    assert counts == WriteCounts(inserted=1)
    assert next_id(products) == 2


def test_a_sequence_that_the_model_names_is_kept_ahead_as_well(make_shop: MakeShop, postgresql_url: str) -> None:
    tickets = open_table(make_shop(postgresql_url, TICKETS), "Ticket", match_on=[])

    tickets.load([{"id": 3, "name": "a"}, {"id": 7, "name": "b"}])

    assert tickets.shop.execute("""SELECT nextval('"Ticket-numbers %s"') AS id""") == [{"id": 8}]
