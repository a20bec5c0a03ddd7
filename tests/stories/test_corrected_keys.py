"""Corrections that give a row another key, or one key to two rows: no good row is replaced by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shops import Shop
from stories.telling import Text, add_transform, correct, counts, expected, export, mend, product, products, sync, table

from restock.errors import ConfigurationError

GOOD = products([4, 5])


def night_with_rejects(shop: Shop, *rejected: Text, **rules: Any) -> str:
    shop.feed(**rules)
    shop.write_csv("products.csv", [*rejected, *GOOD])
    return sync(shop).run.run_id


@pytest.mark.parametrize("rule", ["last", "reject"])
def test_a_row_that_is_given_the_key_of_another_row_does_not_replace_it(shop: Shop, rule: str) -> None:
    rejected = [product(1, price="cheap"), product(2, price="dear"), product(3, sku="")]
    run_id = night_with_rejects(shop, *rejected, missing_key="reject", on_duplicate=rule)
    path = export(shop, run_id)
    mend(
        path, {"cheap": {"price": "1.00"}, "dear": {"price": "2.00", "sku": "S-005"}, "3.00": {"sku": "S-004"}}, "price"
    )

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 3, "rejected": 2}
    assert done.reports[0].reasons == [("overtaken", "sku", 2)]
    assert table(shop) == expected(GOOD, products([1]))


def test_a_row_that_is_given_a_new_key_is_inserted_and_one_that_keeps_its_key_updates(shop: Shop) -> None:
    run_id = night_with_rejects(shop, product(1, price="cheap"), product(2, sku=""), missing_key="reject")
    path = export(shop, run_id)
    shop.insert("product", {"sku": "S-001", "name": "of yesterday"})
    mend(path, {"1": {"price": "1.00"}, "2": {"sku": "S-002"}}, "stock")

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 3, "updated": 1}
    assert table(shop) == expected(GOOD, products([1, 2]))


@pytest.mark.parametrize(
    "key, outcome",
    [("S-001", "updated"), ("S-004", "rejected"), ("S", "rejected"), ("001", "rejected"), ("and more", "updated")],
)
def test_a_row_that_could_not_be_split_updates_what_its_own_text_names(
    sqlite_shop: Shop, key: str, outcome: str
) -> None:
    shop = sqlite_shop
    shop.feed()
    with shop.write_csv("products.csv", products([4])).open("a", encoding="utf-8") as file:
        file.write("S-001,Product 1, and more,1.00,1\n")
    run_id = sync(shop).run.run_id
    for sku in {"S-001", key} - {"S-004"}:
        shop.insert("product", {"sku": sku, "name": "of yesterday"})
    path = export(shop, run_id)
    mend(path, {"": product(1, sku=key)})

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 1, outcome: 1}


@pytest.mark.parametrize("text", ["S-001:Lamp:, red", "S-000:'Saw\nS-001:Lamp' red"])
def test_the_text_of_a_row_that_could_not_be_split_is_looked_through_as_its_feed_writes_it(
    sqlite_shop: Shop, text: str
) -> None:
    shop = sqlite_shop
    shop.feed(csv={"delimiter": ":", "quote": "'"})
    (shop.folder / "products.csv").write_text(f"sku:name\nS-004:Rake\n{text}\n", encoding="utf-8")
    path = export(shop, sync(shop).run.run_id)
    shop.insert("product", {"sku": "S-001", "name": "of yesterday"})
    mend(path, {"": {"sku": "S-001", "name": "Lamp"}}, delimiter=":", quotechar="'")

    assert counts(correct(shop, path).reports[0]) == {"inserted": 1, "updated": 1}


OFFERS = """\
class Offer(db.Model):
    __tablename__ = "offer"

    shop: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    sku: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    name: Mapped[str]
"""


def test_all_parts_of_a_key_have_to_stand_in_the_text_of_a_row_that_could_not_be_split(
    make_shop: Callable[..., Shop], sqlite_url: str
) -> None:
    shop = make_shop(sqlite_url, OFFERS)
    shop.feed(model=shop.model("Offer"), match_on=[])
    (shop.folder / "products.csv").write_text("shop,sku,name\none,S-1,Lamp\none,S-2,Rake, red\n", encoding="utf-8")
    path = export(shop, sync(shop).run.run_id)
    mend(path, {"": {"shop": "one", "sku": "S-1", "name": "Rake, red"}})

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 1, "rejected": 1}
    assert [row["name"] for row in shop.rows("offer")] == ["Lamp"]


def test_a_row_that_could_not_be_split_may_have_a_part_of_its_key_from_no_column(
    make_shop: Callable[..., Shop], sqlite_url: str
) -> None:
    shop = make_shop(sqlite_url, OFFERS)
    columns = {"shop": {"constant": "one"}, "sku": "sku", "name": "name"}
    shop.feed(model=shop.model("Offer"), match_on=[], columns=columns)
    (shop.folder / "products.csv").write_text("sku,name\nS-1,Lamp\nS-2,Rake, red\n", encoding="utf-8")
    path = export(shop, sync(shop).run.run_id)
    mend(path, {"": {"sku": "S-2", "name": "Rake, red"}})

    assert counts(correct(shop, path).reports[0]) == {"inserted": 2}


def test_two_rows_mended_to_one_key_in_two_goes_do_not_replace_each_other(shop: Shop) -> None:
    run_id = night_with_rejects(shop, product(1, sku=""), product(2, sku=""), missing_key="reject")
    first, second = export(shop, run_id), export(shop, run_id, "second.csv")
    mend(first, {"1": {"sku": "S-009"}}, "stock")
    mend(second, {"2": {"sku": "S-009"}}, "stock")

    correct(shop, first)
    done = correct(shop, second)

    assert counts(done.reports[0]) == {"inserted": 3, "rejected": 1}
    assert table(shop) == expected(GOOD, [product(1, sku="S-009")])


@pytest.mark.parametrize("mode", ["sync", "update_only"])
@pytest.mark.parametrize("day, outcome", [(1, "stale"), (3, "updated")])
def test_with_a_version_a_row_that_is_given_another_key_replaces_only_an_older_row(
    sqlite_shop: Shop, mode: str, day: int, outcome: str
) -> None:
    shop = sqlite_shop
    shop.insert("product", {"sku": "S-004", "name": "of yesterday"})
    shop.feed(version_column="updated_at", missing_key="reject", mode=mode)
    rejected = product(1, sku="", updated_at=f"2026-03-0{day}T00:00:00Z")
    shop.write_csv("products.csv", [rejected, product(4, updated_at="2026-03-02T00:00:00Z")])
    path = export(shop, sync(shop).run.run_id)
    mend(path, {"": {"sku": "S-004"}})

    done = correct(shop, path)

    assert done.counts.total == getattr(done.counts, outcome) == 1
    assert table(shop) == expected(products([4]), [product(1, sku="S-004")] if outcome == "updated" else [])


def test_a_feed_that_only_inserts_leaves_a_row_out_that_is_given_the_key_of_another_row(sqlite_shop: Shop) -> None:
    path = export(sqlite_shop, night_with_rejects(sqlite_shop, product(1, price="cheap"), mode="insert_only"))
    mend(path, {"S-001": {"price": "1.00", "sku": "S-004"}})

    done = correct(sqlite_shop, path)

    assert counts(done.reports[0]) == {"inserted": 2, "skipped": 1}
    assert table(sqlite_shop) == expected(GOOD)


def test_a_feed_that_only_updates_refuses_a_row_with_another_key(sqlite_shop: Shop) -> None:
    sqlite_shop.insert("product", {"sku": "S-004", "name": "here"})
    run_id = night_with_rejects(sqlite_shop, product(1, price="cheap"), mode="update_only")
    path = export(sqlite_shop, run_id)
    mend(path, {"S-001": {"price": "1.00", "sku": "S-004"}})

    with pytest.raises(ConfigurationError, match=r"Row 1 of chunk 1 .* another key"):
        correct(sqlite_shop, path)

    assert table(sqlite_shop) == expected(products([4]))


@pytest.mark.parametrize("rules", [{}, {"chunk_rows": 1}, {"writer": "objects"}, {"writer": "mappings"}], ids=str)
def test_mended_rows_of_one_key_stay_open_all_of_them(
    make_shop: Callable[..., Shop], database_url: str, rules: dict[str, Any]
) -> None:
    """Which of them should count nobody has said."""
    shop = make_shop(database_url)
    shop.insert("product", {"sku": "S-001", "name": "of yesterday"})
    rejected = [product(1, price="cheap"), product(2, price="cheap"), product(3, price="cheap")]
    path = export(shop, night_with_rejects(shop, *rejected, **rules))
    prices = {"S-001": {"price": "1.00"}, "S-002": {"price": "2.00", "sku": "S-001"}, "S-003": {"price": "3.00"}}
    mend(path, prices)

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 3, "rejected": 2}
    assert done.reports[0].reasons == [("duplicate_key", None, 2)]
    assert {row["sku"]: row["name"] for row in shop.rows("product")}["S-001"] == "of yesterday"


REFUSING = """\
from restock import reject


def clean(frame):
    return reject(frame, frame["stock"].isin(["1", "8"]), "stock_too_odd", "stock")
"""


@pytest.mark.parametrize("chunk_rows, is_sorted_anew", [(2, False), (8, False), (8, True)])
def test_mended_rows_without_a_key_are_not_inserted_twice_however_far_apart_they_stand(
    sqlite_shop: Shop, chunk_rows: int, is_sorted_anew: bool
) -> None:
    rows = [product(number, stock=str(number)) for number in range(1, 9)]
    sqlite_shop.write_csv("products.csv", rows)
    sqlite_shop.feed(match_on=["id"], chunk_rows=2)
    sync(sqlite_shop)
    sqlite_shop.execute("UPDATE product SET sku = 'old ' || sku")  # or its own unique key would tell
    transform = add_transform(sqlite_shop, "refusing", REFUSING)
    sqlite_shop.feed(match_on=["id"], chunk_rows=chunk_rows, transform=transform)
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    mend(path, {"1": {"stock": "10"}, "8": {"stock": "80"}}, "stock")
    if is_sorted_anew:
        header, first, last = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([header, last, first]), encoding="utf-8")

    done = correct(sqlite_shop, path)

    assert counts(done.reports[0]) == {"skipped": 8}
    assert len(sqlite_shop.rows("product")) == 8
