"""Looking at the table too: `restock check --table` says what a sync would change there, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from contracts.loads import recorded_statements
from fix_databases import asking
from fix_shop import MakeShop
from shops import Shop
from stories.doorway import run_here
from stories.telling import everything, product, products, sync

from flows.runs.workplace import open_workplace
from sinks.flask_sink import open_sink

THINGS = """\
from datetime import datetime


class Thing(db.Model):
    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    facts: Mapped[dict | None] = mapped_column(sa.JSON)
    seen: Mapped[datetime | None]
    kind: Mapped[str | None] = mapped_column(sa.Enum("hose", "can", name="kind"))
    price: Mapped[float | None] = mapped_column(sa.Numeric(6, 2))
"""

FATES = ("inserted", "updated", "unchanged", "stale")


def foreseen(capfd: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    said = run_here(capfd, "check", "products", "--table", "--json", *options)
    assert said.status == 0, said.sentence
    [check] = said.answer["checks"]
    assert check["accepted"] == sum(check["in_table"][name] for name in FATES)
    assert check["read"] == sum(check[name] for name in ("accepted", "rejected", "skipped", "superseded"))
    return check


def fates_of(check: dict[str, Any]) -> dict[str, int]:
    return {name: rows for name, rows in check["in_table"].items() if name in FATES}


@pytest.mark.parametrize("mode", ["sync", "insert_only", "update_only"])
def test_a_check_of_the_table_counts_what_a_sync_then_does(
    shop: Shop, capfd: pytest.CaptureFixture[str], mode: str
) -> None:
    shop.write_csv("products.csv", products(range(1, 9)))
    sync(shop)
    shop.feed(chunk_rows=3, mode=mode)
    changed = [product(2, price="99.00"), product(3, name="Anew"), product(4, price="98.00", name="Anew")]
    shop.write_csv("products.csv", [product(1), *changed, product(5, price="dear"), *products([20, 21, 20])])
    before = everything(shop)

    check = foreseen(capfd)

    assert everything(shop) == before
    summary = sync(shop).summary
    assert fates_of(check) == {name: getattr(summary, name) for name in FATES}
    assert [check[name] for name in ("rejected", "skipped", "superseded")] == [
        getattr(summary, name) for name in ("rejected", "skipped", "superseded")
    ]


def test_what_would_change_is_told_by_column_and_its_values_to_whom_asks_for_them(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    shop.write_csv("products.csv", products(range(1, 9)))
    sync(shop)
    [before] = shop.rows("product", "name")[:1]
    rows = [product(number, price="99.00") for number in range(1, 8)]
    rows[0]["name"] = "Anew"
    shop.write_csv("products.csv", rows)

    plain, asked = foreseen(capfd), foreseen(capfd, "--samples")
    shown = run_here(capfd, "check", "products", "--table", "--samples")

    assert [(each["column"], each["rows"]) for each in plain["in_table"]["changed"]] == [("price", 7), ("name", 1)]
    assert [len(each["samples"]) for each in plain["in_table"]["changed"]] == [5, 1]
    assert "99.00" not in str(plain)
    name = asked["in_table"]["changed"][1]
    assert name["samples"] == [{"row": 1, "line": 2, "stored": before["name"], "sent": "Anew"}]
    assert f"1 × name would change [line 2: {before['name']!r} → 'Anew']" in shown.out


def test_the_table_is_asked_for_no_more_values_than_are_told(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.write_csv("products.csv", products(range(1, 10)))
    sync(sqlite_shop)
    sqlite_shop.feed(chunk_rows=3)
    sqlite_shop.write_csv("products.csv", [product(number, price="99.00") for number in range(1, 10)])

    with recorded_statements(open_sink(open_workplace().feed("products")).database.engine) as statements:
        check = foreseen(capfd)

    [price] = check["in_table"]["changed"]
    assert (price["rows"], [sample["line"] for sample in price["samples"]]) == (9, [2, 3, 4, 5, 6])
    assert len([statement for statement in statements if "AS stored" in statement]) == 2


def test_a_check_of_the_table_leaves_nothing_there(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """No row, no ledger, no temporary table that the app could meet."""
    shop.write_csv("products.csv", products([1, 2]))
    shop.insert("product", {"sku": "S-001", "name": "as it is"})
    before = everything(shop)

    check = foreseen(capfd)

    assert fates_of(check) == {"inserted": 1, "updated": 1, "unchanged": 0, "stale": 0}
    assert everything(shop) == before
    assert not [name for name in sa.inspect(shop.engine).get_table_names() if name.startswith("restock")]


def test_values_that_are_stored_in_several_forms_change_only_where_the_app_sees_it(
    make_shop: MakeShop, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(database_url, THINGS)
    shop.feeds({"products": {"model": shop.model("Thing"), "match_on": []}})
    first = {"id": 1, "facts": '{"a": 1, "b": 2}', "seen": "2026-01-02 03:04:05", "kind": "hose"}
    shop.write_csv("products.csv", [first, {**first, "id": 2}])
    sync(shop)
    again = {**first, "facts": '{"b": 2, "a": 1.0}', "seen": "2026-01-02T03:04:05"}
    shop.write_csv("products.csv", [{**again, "kind": "can"}, {**again, "id": 2, "facts": '{"a": true}'}])

    check = foreseen(capfd, "--samples")

    told = {each["column"]: each["samples"] for each in check["in_table"]["changed"]}
    assert fates_of(check) == {"inserted": 0, "updated": 2, "unchanged": 0, "stale": 0}
    assert told.keys() == {"facts", "kind"}
    assert [(each["row"], each["sent"]) for each in told["facts"]] == [(2, "{'a': True}")]
    assert [(each["stored"], each["sent"]) for each in told["kind"]] == [("hose", "can")]


def test_a_stored_value_that_cannot_be_read_changes_and_is_not_shown(
    make_shop: MakeShop, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(sqlite_url, THINGS)
    shop.feeds({"products": {"model": shop.model("Thing"), "match_on": []}})
    shop.write_csv("products.csv", [{"id": 1, "facts": "{}", "price": "1.50"}])
    sync(shop)
    shop.execute("UPDATE thing SET facts = 'no JSON', price = 'dear'")

    check = foreseen(capfd, "--samples")

    told = {each["column"]: (each["rows"], each["samples"]) for each in check["in_table"]["changed"]}
    assert told == {"facts": (1, []), "price": (1, [])}


def test_what_comparing_finds_is_a_reject_of_the_check(
    make_shop: MakeShop, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A row whose key meets one product and whose number is that of another: told in the order of the source."""
    shop = make_shop(database_url)
    shop.write_csv("products.csv", products([1, 2]))
    sync(shop)
    [first, _] = shop.rows("product", "id")
    shop.feed(columns={"id": "id", "sku": "sku", "name": "name", "price": "price"})
    conflict = {**product(2, name="CafÃ©"), "id": str(first["id"])}
    shop.write_csv("products.csv", [conflict, {**product(3), "id": "77"}, {**product(4, price="dear"), "id": "78"}])

    check = foreseen(capfd)

    assert [(each["code"], each["rows"]) for each in check["reasons"]] == [("key_conflict", 1), ("not_a_number", 1)]
    assert check["doubtful"] == []  # a reject is no doubtful row as well
    assert fates_of(check) == {"inserted": 1, "updated": 0, "unchanged": 0, "stale": 0}


def test_a_row_that_the_database_would_not_even_stage_is_a_reject_of_the_check(
    make_shop: MakeShop, postgresql_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = make_shop(asking(postgresql_url, "client_encoding=latin1"))
    shop.write_csv("products.csv", products([1, 3]))
    sync(shop)
    shop.write_csv("products.csv", [product(1, name="Café"), product(2, name="\u03a9"), product(3), product(4)])

    check = foreseen(capfd)

    assert [each["rows"] for each in check["reasons"]] == [1]
    assert fates_of(check) == {"inserted": 1, "updated": 1, "unchanged": 1, "stale": 0}


def test_a_key_that_the_table_has_in_several_other_forms_is_a_reject_of_the_check(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.feed(key_form={"trim": True, "case": "upper"})
    sqlite_shop.insert("product", *({"sku": key, "name": "there"} for key in ("s-001", "S-001 ", "s-002")))
    sqlite_shop.write_csv("products.csv", products([1, 2]))

    check = foreseen(capfd)

    assert [(each["code"], each["rows"]) for each in check["reasons"]] == [("key_twice", 1)]
    assert fates_of(check) == {"inserted": 0, "updated": 1, "unchanged": 0, "stale": 0}


def test_rows_without_a_key_are_new_to_a_check_though_a_sync_may_know_them(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.feed(model=sqlite_shop.model("Category"), match_on=["id"])
    sqlite_shop.write_csv("products.csv", [{"name": "Lamps"}, {"name": "Chairs"}])
    sync(sqlite_shop)

    assert fates_of(foreseen(capfd)) == {"inserted": 2, "updated": 0, "unchanged": 0, "stale": 0}


def test_rows_that_the_table_lacks_are_told_exactly(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """Without the table a check cannot know which rows are new, and need what the feed does not bring."""
    shop.write_csv("products.csv", products([1]))
    sync(shop)
    shop.feed(columns={"sku": "sku", "price": "price"})
    shop.write_csv("products.csv", [product(1, price="8.00"), product(2)])

    check = foreseen(capfd)

    assert [(each["code"], each["column"], each["rows"]) for each in check["reasons"]] == [("null", "name", 1)]
    assert fates_of(check) == {"inserted": 0, "updated": 1, "unchanged": 0, "stale": 0}


def test_a_table_that_is_missing_cannot_be_compared_with(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_csv("products.csv", products([1]))
    sqlite_shop.execute("DROP TABLE product")

    said = run_here(capfd, "check", "products", "--table", "--json")

    assert said.status == 2
    assert said.answer["checks"][0]["in_table"] is None
