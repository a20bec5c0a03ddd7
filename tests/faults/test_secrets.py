"""A database password and the values of rows: wherever something goes wrong, nobody reads them (T40)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress

import pytest
import sqlalchemy as sa
from faults import children, upsets
from faults.loads import Load, make_load
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop

PASSWORD = "pw-7f3a91c2e8"
VALUE = "cell-58d0b6aa41"
UNSEEN = (PASSWORD, VALUE)
# What somebody's transform may do with a value.
TRANSFORMS = {
    "raises": 'def clean(frame):\n    raise ValueError(f"cannot use {frame.to_dict()}")\n',
    "returns nonsense": "def clean(frame):\n    return frame.to_dict()\n",
    "changes a key": 'def clean(frame):\n    return frame.assign(sku="{value}")\n',
    "adds a column": "def clean(frame):\n    return frame.assign(**{'no such column': frame['name']})\n",
}


def bad_rows(count: int = 4) -> list[dict[str, str]]:
    """Rows with the value in every cell that takes one: refused by the cast, by the database, or not at all."""
    prices = ["1.00", "-1", VALUE, "2.00"]
    stocks = ["1", "2", "3", f"9{VALUE}"]
    return [
        {"sku": f"{VALUE}-{n}", "name": VALUE * (40 if n == 0 else 1), "price": prices[n % 4], "stock": stocks[n % 4]}
        for n in range(count)
    ]


def told(shop: Shop, *args: str) -> tuple[int, str]:
    """What a command says to people and to machines, and what the ledger keeps beside its rejects."""
    status, said = children.run(args or ["sync", "products"], shop)
    return status, said


def kept(shop: Shop) -> str:
    """The sentences that the ledger keeps; the reject store may hold rows, and nothing else may."""
    return json.dumps(shop.rows("restock_run") + shop.rows("restock_chunk"), default=str)


def assert_unseen(*texts: str) -> None:
    for text in texts:
        for secret in UNSEEN:
            assert secret not in text


def test_no_value_of_a_refused_row_is_shown(load: Load) -> None:
    load.shop.write_csv("products.csv", bad_rows())

    status, said = told(load.shop)

    assert status == 0
    assert "rejected" in said
    run_id = load.shop.rows("restock_run")[0]["run_id"]
    assert_unseen(said, kept(load.shop), *(told(load.shop, *args)[1] for args in (["runs"], ["show", run_id])))
    assert len(load.shop.rows("restock_reject")) == 4


@pytest.mark.parametrize("deed", TRANSFORMS)
def test_no_value_in_the_error_of_a_transform_is_shown(sqlite_load: Load, deed: str) -> None:
    shop = sqlite_load.shop
    (shop.folder / shop.package / "broken.py").write_text(
        TRANSFORMS[deed].format(value=VALUE) if "{value}" in TRANSFORMS[deed] else TRANSFORMS[deed]
    )
    shop.feed(transform=f"{shop.package}.broken:clean")
    shop.write_csv("products.csv", bad_rows())

    status, said = told(shop)

    assert status == 1
    assert "chunk 1" in said
    assert_unseen(said, kept(shop), told(shop, "sync", "products", "--json")[1])


def test_no_value_is_shown_by_a_database_that_stops_in_the_middle_of_a_row(load: Load) -> None:
    load.shop.write_csv("products.csv", bad_rows())
    with load.shop.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE product"))

    status, said = told(load.shop)

    assert status == 2
    assert_unseen(said)


def test_no_value_is_logged_when_the_connection_is_lost_while_rows_are_refused(
    sqlite_load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(*_: object) -> None:
        raise sqlite3.OperationalError("lost on its way back to the pool, says a test")

    sa.event.listen(upsets.engine_of(sqlite_load.shop), "reset", lost)

    with suppress(Exception):
        upsets.sync_once(sqlite_load)

    assert "Exception during reset" in caplog.text
    assert "Product" not in caplog.text


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
@pytest.mark.parametrize("trouble", ["wrong user", "no such database", "nobody there", "no such host"])
def test_no_password_is_shown_by_a_database_that_cannot_be_reached(
    make_database: MakeDatabase, make_shop: MakeShop, kind: str, trouble: str
) -> None:
    server = sa.make_url(make_database(kind))
    load = make_load(make_shop(server.render_as_string(hide_password=False)))
    upsets.engine_of(load.shop).dispose()
    changed = {
        "wrong user": server.set(username="nobody_here", password=PASSWORD),
        "no such database": server.set(database="no_such_database", password=PASSWORD),
        "nobody there": server.set(host="127.0.0.1", port=1, password=PASSWORD).difference_update_query(["host"]),
        "no such host": server.set(host="no-such-host.invalid", port=1, password=PASSWORD).difference_update_query(
            ["host"]
        ),
    }[trouble]
    if trouble == "no such database" and kind == "mariadb":
        changed = changed.set(password=server.password)
    init = load.shop.folder / load.shop.package / "__init__.py"
    text = init.read_text(encoding="utf-8")
    given, broken = (each.render_as_string(hide_password=False) for each in (server, changed))
    init.write_text(text.replace(given, broken), encoding="utf-8")

    commands = (["sync", "products"], ["sync", "products", "--json"], ["runs"])
    answers = [children.run(args, load.shop, prepare=upsets.try_again_at_once) for args in commands]

    assert answers[0][0] in (1, 2)
    assert "Traceback" not in answers[0][1]
    assert_unseen(*(said for _, said in answers))
