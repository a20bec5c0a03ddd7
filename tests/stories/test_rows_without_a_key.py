"""Rows that come without their key, where the database makes one: they are known by their place in their content."""

from __future__ import annotations

import pytest
from fix_shop import MakeShop
from shops import Shop
from stories.doorway import run_here
from stories.telling import BROKEN, add_transform, correct, counts, everything, export, mend, sync

from flows.runs.admission import sync as bring_in
from flows.runs.door import Door
from flows.runs.loading import load_here
from flows.runs.workplace import open_workplace
from restock.errors import ConfigurationError
from sinks.flask_sink import open_sink

CATEGORIES = [{"name": "Lamps"}, {"name": "Chairs"}, {"name": "Rugs"}]
ALL = ["Chairs", "Lamps", "Rugs"]


def keyless(shop: Shop, **keys: object) -> None:
    shop.feed(**{"model": shop.model("Category"), "match_on": ["id"], "chunk_rows": 2, **keys})
    shop.write_csv("products.csv", CATEGORIES)


def names(shop: Shop) -> list[str]:
    return sorted(row["name"] for row in shop.rows("category"))


def test_rows_without_a_key_are_inserted_once_per_content(shop: Shop) -> None:
    keyless(shop)

    first, second = sync(shop), sync(shop)
    shop.write_csv("products.csv", [{"name": "Beds"}, {"name": "Desks"}, {"name": "Sofas"}])
    other = sync(shop)

    assert counts(first) == {"inserted": 3}
    assert counts(second) == {"skipped": 3}
    assert counts(other) == {"inserted": 3}
    assert names(shop) == sorted([*ALL, "Beds", "Desks", "Sofas"])


def test_what_failed_of_rows_without_a_key_is_inserted_when_their_content_comes_again(sqlite_shop: Shop) -> None:
    poison = BROKEN.replace("POISON", "Rugs")
    keyless(sqlite_shop, transform=add_transform(sqlite_shop, "broken", poison))
    sync(sqlite_shop)

    keyless(sqlite_shop, chunk_rows=3)

    assert counts(sync(sqlite_shop)) == {"inserted": 1, "skipped": 2}
    assert names(sqlite_shop) == ALL


def test_how_cells_are_read_does_not_make_rows_without_a_key_new(sqlite_shop: Shop) -> None:
    keyless(sqlite_shop)
    sync(sqlite_shop)

    keyless(sqlite_shop, csv={"currency": "$", "null_values": ["", "-"], "decimal": ",", "thousands": "."})

    assert counts(sync(sqlite_shop)) == {"skipped": 3}
    assert names(sqlite_shop) == ALL


def test_whoever_brings_in_rows_without_a_key_is_told_what_that_means(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    keyless(sqlite_shop)
    told = "3 of 3 rows without id: nothing recognises such rows, so content that differs in one row is inserted with"

    for command in ("check", "sync", "sync"):
        assert told in " ".join(run_here(capfd, command, "products").err.split())

    sqlite_shop.write_csv("products.csv", [{"id": 7, "name": "Lamps"}])
    assert "come without" not in run_here(capfd, "sync", "products").err


def test_feeds_whose_names_differ_in_case_have_histories_of_their_own(shop: Shop) -> None:
    keys = {"model": shop.model("Category"), "match_on": ["id"], "source": "products.csv"}
    shop.feeds({"Acme": keys, "acme": keys})
    shop.write_csv("products.csv", CATEGORIES)
    place = open_workplace()
    open_sink(place.feed("Acme")).ledger.create()
    if shop.engine.dialect.name == "mysql":
        made = shop.execute("SHOW CREATE TABLE restock_run")[0]["Create Table"]
        assert "ENGINE=InnoDB" in made
        assert "utf8mb4_bin" in made

    for feed in ("Acme", "acme"):
        [report] = bring_in(place, place.feed(feed), Door(load_here))
        shop.execute("DELETE FROM category")
        assert (report.run.generation, counts(report)) == (1, {"inserted": 3})


@pytest.mark.parametrize("csv", [{"skip_lines": 1, "header_rows": 0, "names": ["name"]}, {"comment": "C"}])
def test_other_rows_of_a_content_that_was_inserted_are_refused(sqlite_shop: Shop, csv: dict[str, object]) -> None:
    keyless(sqlite_shop)
    sync(sqlite_shop)
    before = everything(sqlite_shop)

    keyless(sqlite_shop, csv=csv)
    with pytest.raises(ConfigurationError, match="known by their place, so some would be inserted twice; undo"):
        sync(sqlite_shop)

    assert everything(sqlite_shop) == before
    keyless(sqlite_shop)
    assert counts(sync(sqlite_shop)) == {"skipped": 3}


def test_a_content_of_which_no_row_was_inserted_may_be_read_otherwise(sqlite_shop: Shop) -> None:
    keyless(sqlite_shop)
    sqlite_shop.write_csv("products.csv", [{"name": "Desks"}])
    sync(sqlite_shop)  # another content, of which one was
    keyless(sqlite_shop, where="name == 'Beds'")
    sync(sqlite_shop)

    keyless(sqlite_shop, csv={"comment": "C"})

    assert counts(sync(sqlite_shop)) == {"inserted": 2}
    assert names(sqlite_shop) == ["Desks", "Lamps", "Rugs"]


def test_a_keyless_row_that_was_rejected_is_inserted_when_its_content_comes_again(shop: Shop) -> None:
    keyless(shop)
    shop.insert("category", {"name": "Chairs"})
    first = sync(shop)
    shop.execute("DELETE FROM category WHERE name = 'Chairs'")

    second = sync(shop)

    assert counts(first) == {"inserted": 2, "rejected": 1}
    assert counts(second) == {"inserted": 1, "skipped": 2}
    assert names(shop) == ["Chairs", "Lamps", "Rugs"]


def test_a_keyless_row_that_a_correction_brought_is_not_inserted_once_more(sqlite_shop: Shop) -> None:
    keyless(sqlite_shop)
    sqlite_shop.insert("category", {"name": "Chairs"})
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    mend(path, {"Chairs": {"name": "Beds"}}, by="name")
    correct(sqlite_shop, path)
    sqlite_shop.execute("DELETE FROM category WHERE name = 'Chairs'")

    assert counts(sync(sqlite_shop)) == {"skipped": 3}
    assert names(sqlite_shop) == ["Beds", "Lamps", "Rugs"]


@pytest.mark.parametrize(
    "rule, left_out",
    [({"where": "name != 'Chairs'"}, ["Chairs"]), ({"transform": "picky"}, ["Chairs"]), ({"mode": "update_only"}, ALL)],
    ids=["filter", "transform", "mode"],
)
def test_a_keyless_row_that_was_left_out_is_inserted_once_the_feed_takes_it(
    shop: Shop, rule: dict[str, str], left_out: list[str]
) -> None:
    picky = add_transform(shop, "picky", "def clean(frame):\n    return frame[frame['name'] != 'Chairs']\n")
    keyless(shop, **{key: picky if value == "picky" else value for key, value in rule.items()})
    assert counts(sync(shop))["skipped"] == len(left_out)
    assert names(shop) == [name for name in ALL if name not in left_out]

    keyless(shop)
    second, third = sync(shop), sync(shop)

    assert counts(second)["inserted"] == len(left_out)
    assert counts(third) == {"skipped": 3}
    assert names(shop) == ALL


def test_a_keyless_row_that_a_correction_left_out_is_inserted_once_the_feed_takes_it(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    content = [{"name": "Chairs"}, {"name": ""}, {"name": "Lamps"}, {"name": "Rugs"}]  # both in one chunk
    keyless(shop, where="name != 'Chairs'")
    shop.write_csv("products.csv", content)
    path = export(shop, sync(shop).run.run_id)
    mend(path, {"": {"name": "Chairs"}}, by="name")
    assert counts(correct(shop, path).reports[0]) == {"inserted": 2, "skipped": 2}

    filled = "def clean(frame):\n    return frame.fillna({'name': 'Beds'})\n"
    keyless(shop, transform=add_transform(shop, "filled", filled))
    shop.write_csv("products.csv", content)
    again = sync(shop)

    assert counts(again) == {"inserted": 2, "skipped": 2}
    assert names(shop) == ["Beds", *ALL]


def test_rows_without_a_key_can_be_rejected_instead(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(model=sqlite_shop.model("Category"), match_on=["id"], missing_key="reject")
    sqlite_shop.write_csv("products.csv", [{"id": "", "name": "Lamps"}, {"id": "7", "name": "Chairs"}])

    report = sync(sqlite_shop)

    assert counts(report) == {"inserted": 1, "rejected": 1}
    assert report.reasons == [("missing_key", "id", 1)]


ITEM = """\
class Item(db.Model):
    __tablename__ = "item"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None]
"""


def test_a_row_that_lost_the_key_nobody_makes_is_a_reject_also_where_it_was_loaded_with_it(
    make_shop: MakeShop, sqlite_url: str
) -> None:
    shop = make_shop(sqlite_url, ITEM)
    shop.feed(model=shop.model("Item"), match_on=[])
    shop.write_csv("products.csv", [{"sku": "S-1", "name": "Lamps"}, {"sku": "S-2", "name": "Rugs"}])
    sync(shop)
    shop.execute("DELETE FROM item")

    without = "def clean(frame):\n    return frame\n"  # a transform could fill the key, so the feed is not refused
    transform = add_transform(shop, "without", without)
    shop.feed(model=shop.model("Item"), match_on=[], columns={"name": "name"}, transform=transform)

    assert counts(sync(shop)) == {"rejected": 2}
