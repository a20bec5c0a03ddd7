"""Looking first: `restock check` says what a sync would meet, and writes nothing."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from fix_shop import MakeShop
from shops import Shop
from stories.doorway import run_here
from stories.telling import counts, everything, product, products, sync, sync_all

ROWS = [
    *products([1, 2]),
    product(2, price="3.50"),
    product(3, price="cheap"),
    product(4, price="dear"),
    *products([5, 6, 7]),
]


def files_under(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_a_check_counts_what_a_sync_then_does(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    shop.feed(chunk_rows=3)
    shop.write_csv("products.csv", ROWS)

    said = run_here(capfd, "check", "products", "--json")
    report = sync(shop)

    [check] = said.answer["checks"]
    assert said.status == 0
    assert counts(report) == {"inserted": 5, "rejected": 2, "superseded": 1}
    assert (check["read"], check["accepted"], check["rejected"], check["superseded"]) == (8, 5, 2, 1)
    assert check["superseded_samples"] == [{"row": 2, "line": 3}]


def test_a_check_writes_nothing_anywhere(
    shop: Shop, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    shop.write_csv("products.csv", ROWS)
    shop.insert("product", {"sku": "S-001", "name": "as it is"})
    before, files = everything(shop), files_under(shop.folder, temporary)

    said = run_here(capfd, "check", "products")

    assert said.status == 0
    assert everything(shop) == before
    assert files_under(shop.folder, temporary) == files
    assert not [name for name in sa.inspect(shop.engine).get_table_names() if name.startswith("restock")]


def test_a_check_needs_no_table(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_csv("products.csv", products([1]))
    sqlite_shop.execute("DROP TABLE product")

    assert run_here(capfd, "check", "products", "--json").answer["checks"][0]["accepted"] == 1


@pytest.mark.parametrize(
    "change, told",
    [
        ("ALTER TABLE product DROP COLUMN stock", "lacks columns of the model"),
        ("DROP TABLE product", "does not exist"),
    ],
)
def test_a_table_that_was_not_migrated_is_told_before_anything_is_read(
    shop: Shop, capfd: pytest.CaptureFixture[str], change: str, told: str
) -> None:
    shop.feed(columns={name: name for name in ("sku", "name", "stock")})
    shop.write_csv("products.csv", ROWS)
    shop.execute(change)

    checked, synced = run_here(capfd, "check", "products", "--json"), run_here(capfd, "sync", "products", "--json")

    assert (checked.status, synced.status) == (2, 2)
    assert checked.answer["checks"][0]["accepted"] > 0
    assert synced.answer["error"]["message"] == checked.answer["checks"][0]["unfit"]
    assert told in checked.sentence
    assert ("stock; migrate it first" in checked.sentence) == ("COLUMN" in change)
    assert "restock_run" not in shop.tables()


def test_a_column_that_the_feed_does_not_use_may_be_missing(shop: Shop) -> None:
    shop.feed(columns={"sku": "sku", "name": "name"})
    shop.write_csv("products.csv", products([1]))
    shop.execute("ALTER TABLE product DROP COLUMN stock")

    assert counts(sync(shop)) == {"inserted": 1}


def test_a_key_of_text_for_the_table_and_a_number_for_the_model_is_refused(
    make_shop: MakeShop, capfd: pytest.CaptureFixture[str], database_url: str
) -> None:
    """`00123` in the table and 123 from the feed would be two products."""
    key = "code: Mapped[int] = mapped_column(primary_key=True)"
    model = f'class Item(db.Model):\n    __tablename__ = "item"\n    {key}\n'
    shop = make_shop(database_url, model)
    shop.feeds({"items": {"model": shop.model("Item")}})
    shop.write_csv("items.csv", [{"code": "123"}])
    shop.execute("DROP TABLE item")
    shop.execute("CREATE TABLE item (code VARCHAR(20) NOT NULL PRIMARY KEY)")

    said = run_here(capfd, "sync", "items")

    assert said.status == 2
    assert "The key code is a number in the model" in said.sentence
    assert "and text in the table item" in said.sentence


def test_values_are_shown_only_to_whom_asks_for_them(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.write_csv("products.csv", ROWS)

    plain = run_here(capfd, "check", "products")
    as_json = run_here(capfd, "check", "products", "--json")
    with_values = run_here(capfd, "check", "products", "--samples")

    for said in (plain, as_json):
        assert "cheap" not in said.out + said.err
    assert "line 5, 6" in plain.out
    assert "price is not a number" in plain.out
    assert "line 5: 'cheap', 6: 'dear'" in with_values.out


@pytest.mark.parametrize(
    "limits, status, told",
    [
        ({"max_rejects": 1}, 3, "held before chunk 2: 2 rejects in 8 rows by then, more than max_rejects 1"),
        ({"max_rejects": "20%"}, 3, "more than max_rejects 20% allows"),
        ({"max_rejects": 2}, 0, ""),
        ({"max_chunk_rejects": "50%"}, 1, "1 chunk of products.csv would fail"),
        ({"max_chunk_rejects": 2, "max_rejects": "25%"}, 0, ""),
    ],
)
def test_a_check_ends_as_the_sync_would(
    sqlite_shop: Shop,
    capfd: pytest.CaptureFixture[str],
    limits: dict[str, object],
    status: int,
    told: str,
) -> None:
    sqlite_shop.feed(chunk_rows=3, **limits)
    sqlite_shop.write_csv("products.csv", ROWS)

    said = run_here(capfd, "check", "products")
    synced = run_here(capfd, "sync", "products")

    assert (said.status, synced.status) == (status, status)
    assert told in said.err


def test_a_transform_that_fails_is_told_with_its_chunk(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    module = sqlite_shop.folder / sqlite_shop.package / "rules.py"
    module.write_text("def clean(frame):\n    return frame[frame['colour'] == 'red']\n", encoding="utf-8")
    sqlite_shop.feed(transform=f"{sqlite_shop.package}.rules:clean")
    sqlite_shop.write_csv("products.csv", ROWS)

    said = run_here(capfd, "check", "products")

    assert said.status == 1
    assert "failed on chunk 1 of run check: KeyError in rules.py, line 2" in said.out
    assert "outstanding" in said.out


def test_columns_that_are_not_used_and_those_that_are_lacking_are_named(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.feed(columns={"sku": "sku", "price": "price"})
    sqlite_shop.write_csv("products.csv", products([1]))

    said = run_here(capfd, "check", "products")

    assert "Columns not used: name, stock" in said.out
    assert "the model requires name as well" in said.out


@pytest.mark.parametrize("nameless", ["products-1.csv", "products-2.csv"])
def test_what_one_file_of_several_lacks_is_named_wherever_it_comes(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], nameless: str
) -> None:
    names = {"sku": "sku", "name": {"from": "name", "optional": True}}
    sqlite_shop.feed(source="products-*.csv", columns=names)
    for name in ("products-1.csv", "products-2.csv"):
        row = {"sku": name, "name": "Lamp"}
        sqlite_shop.write_csv(name, [{"sku": name} if name == nameless else row])

    said = run_here(capfd, "check", "products")

    assert "the model requires name as well" in said.out


# The model demands a name, and this feed has none.
KEPT = {"from": "name", "blank": "keep"}
PRICES = {"columns": {"sku": "sku", "price": "price"}}


def test_rows_that_an_empty_table_cannot_do_without_are_rejects_of_a_check_as_of_a_sync(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    shop.feed(chunk_rows=3, **PRICES)
    shop.write_csv("products.csv", ROWS)

    [check] = run_here(capfd, "check", "products", "--json").answer["checks"]
    report = sync(shop)

    assert counts(report) == {"rejected": 7, "superseded": 1}
    assert (check["accepted"], check["rejected"], check["superseded"]) == (0, 7, 1)
    assert {(each["code"], each["column"], each["rows"]) for each in check["reasons"]} == {
        ("null", "name", 5),
        ("not_a_number", "price", 2),
    }


@pytest.mark.parametrize(
    "keys, present, status",
    [
        ({}, [], 3),
        ({"mode": "insert_only"}, [], 3),
        ({"mode": "update_only"}, [], 0),
        ({}, [1, 2, 3], 0),
        ({"columns": {"name": KEPT, "sku": "sku", "price": "price"}}, [], 3),
        ({"columns": {"name": KEPT, "sku": "sku", "price": "price"}}, [1, 2, 3], 0),
    ],
)
def test_a_check_ends_as_the_sync_would_whatever_the_table_holds(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], keys: dict[str, object], present: list[int], status: int
) -> None:
    sqlite_shop.feed(max_rejects="20%", **PRICES | keys)
    sqlite_shop.write_csv("products.csv", [product(number, name="") for number in (1, 2, 3)])
    for number in present:
        sqlite_shop.insert("product", {"sku": f"S-{number:03}", "name": "as it is"})

    said = run_here(capfd, "check", "products")
    synced = run_here(capfd, "sync", "products")

    assert (said.status, synced.status) == (status, status)


def test_rows_for_which_the_database_makes_the_key_are_new_whatever_the_table_holds(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.insert("product", {"id": 1, "sku": "S-001", "name": "as it is"})
    sqlite_shop.feed(match_on=["id"], missing_key="insert", columns={"id": "id", "price": "price"})
    sqlite_shop.write_csv("products.csv", [{"id": "1", "price": "2.00"}, {"id": "", "price": "3.00"}])

    [check] = run_here(capfd, "check", "products", "--json").answer["checks"]

    assert (check["accepted"], check["rejected"]) == (1, 1)
    assert counts(sync(sqlite_shop)) == {"updated": 1, "rejected": 1}


def test_what_an_earlier_file_of_a_delta_feed_brings_may_be_met_by_a_later_one(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.feed(kind="delta", source="night-*.csv", columns={"name": KEPT, "sku": "sku"})
    sqlite_shop.write_csv("night-1.csv", [product(1, name=""), product(2)])
    sqlite_shop.write_csv("night-2.csv", [product(2, name="")])

    said = run_here(capfd, "check", "products", "--json")
    sync_all(sqlite_shop)

    assert [(each["accepted"], each["rejected"]) for each in said.answer["checks"]] == [(1, 1), (1, 0)]
    rejected = sqlite_shop.execute("SELECT rejected FROM restock_chunk ORDER BY run_id")
    assert [each["rejected"] for each in rejected] == [1, 0]


def test_a_database_that_is_not_there_yet_is_not_made_by_a_check(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.feed(**PRICES)
    sqlite_shop.write_csv("products.csv", products([1]))
    sqlite_shop.engine.dispose()
    file = Path(str(sqlite_shop.engine.url.database))
    file.unlink()

    [check] = run_here(capfd, "check", "products", "--json").answer["checks"]

    assert (check["accepted"], check["rejected"]) == (0, 1)
    assert not file.exists()


def test_a_check_says_that_it_does_not_know_which_rows_are_new(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.feed(**PRICES)
    sqlite_shop.insert("product", {"sku": "S-001", "name": "as it is"})
    sqlite_shop.write_csv("products.csv", products([1, 2]))

    said = run_here(capfd, "check", "products")

    assert re.search(r"accepted\W+2\b", said.out)
    assert "the model requires name as well. `--table` tells which rows are new." in said.out


def test_each_file_of_a_delta_feed_is_checked_by_itself(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.feed(kind="delta", source="night-*.csv")
    sqlite_shop.write_csv("night-1.csv", products([1, 2]))
    sqlite_shop.write_csv("night-2.csv", products([1]))

    said = run_here(capfd, "check", "products", "--json")

    assert [(each["source"], each["accepted"]) for each in said.answer["checks"]] == [
        ("night-1.csv", 2),
        ("night-2.csv", 1),
    ]


def test_a_source_that_cannot_be_read_is_the_error_of_a_sync(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    said = run_here(capfd, "check", "products", "--json")

    assert said.status == 1
    assert said.answer["error"]["kind"] == "SourceError"
