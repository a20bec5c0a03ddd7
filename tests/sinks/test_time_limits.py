"""How long a transaction of ours may wait for others, and be silent, as the database itself tells it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from contracts.loads import MakeTable, make_items, open_table
from fix_databases import asking
from fix_shop import MakeShop

from restock.chunks import WriteCounts

QUESTIONS = {
    "postgresql": "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')",
    "mysql": "SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout, @@idle_transaction_timeout",
    "sqlite": "PRAGMA busy_timeout",
}
LIMITS = {"postgresql": ("5s", "1min"), "mysql": (5, 5, 60), "sqlite": (5000,)}


def test_every_transaction_waits_for_a_lock_and_may_be_silent_for_a_bounded_time(make_table: MakeTable) -> None:
    database = make_table().sink.database

    with database.transaction() as session:
        told = session.execute(sa.text(QUESTIONS[database.dialect])).one()

    assert tuple(told) == LIMITS[database.dialect]


@pytest.mark.parametrize("of_the_app, of_ours", [(60, 5000), (0.05, 50)])
def test_an_app_that_waits_longer_for_its_sqlite_file_is_cut_short_and_one_that_does_not_is_left_alone(
    make_shop: MakeShop, sqlite_url: str, of_the_app: float, of_ours: int
) -> None:
    database = open_table(make_shop(f"{sqlite_url}?timeout={of_the_app}")).sink.database

    with database.transaction() as session:
        assert session.execute(sa.text("PRAGMA busy_timeout")).scalar_one() == of_ours


def test_mariadb_cuts_no_value_short_however_lenient_the_app_is(make_shop: MakeShop, mariadb_url: str) -> None:
    products = open_table(make_shop(asking(mariadb_url, "init_command=SET sql_mode=''")), writer="copy")
    products.shop.execute("ALTER TABLE product MODIFY name VARCHAR(5) NOT NULL")
    [fits, too_long] = make_items(2)

    assert products.load([fits | {"name": "Hose"}, too_long]) == WriteCounts(inserted=1, rejected=1)
    assert [row["name"] for row in products.rows("name")] == ["Hose"]
