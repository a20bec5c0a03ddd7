"""Feeds whose rows come in no order of their keys: they are loaded in that order, and the outcome is the same."""

from __future__ import annotations

import random

import pytest
from fix_shop import MakeShop
from shops import Shop
from stories.doorway import run_here
from stories.telling import (
    BROKEN,
    MENDED,
    Text,
    abandon,
    add_transform,
    correct,
    counts,
    expected,
    export,
    mend,
    product,
    rejects_of,
    reprocess,
    statuses,
    sync,
    table,
)

from restock.signals import rows_loaded
from sources import key_order

MODELS = """\
class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 2))
    stock: Mapped[int | None]


class Category(db.Model):
    __tablename__ = "category"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))


class Coded(db.Model):
    __tablename__ = "coded"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(20), unique=True)


class Page(db.Model):
    __tablename__ = "page"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("page.id"))
"""


@pytest.fixture(autouse=True)
def in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "LEAST_ROWS", 20)


@pytest.fixture
def shop(make_shop: MakeShop, database_url: str) -> Shop:
    return make_shop(database_url, MODELS)


@pytest.fixture
def sqlite_shop(make_shop: MakeShop, sqlite_url: str) -> Shop:
    return make_shop(sqlite_url, MODELS)


def scattered(rows: list[Text]) -> list[Text]:
    return random.Random(1).sample(rows, len(rows))


def spool_places(shop: Shop, run_id: str) -> list[str | None]:
    """Of each chunk, the positions of the rows that stayed in it; None where none was moved."""
    found = shop.execute("SELECT unmoved FROM restock_chunk WHERE run_id = :run ORDER BY number", run=run_id)
    return [row["unmoved"] for row in found]


def test_scattered_products_are_loaded_a_part_of_the_table_at_a_time(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    first = scattered([product(number) for number in range(60)])
    second = scattered([product(number, "b" if number % 3 == 0 else "") for number in range(30, 90)])
    shop.feed(match_on=[], chunk_rows=10)
    met: list[list[str]] = []

    def note(_app: object, inserted: list[str], **_: object) -> None:
        met.append(inserted)

    with rows_loaded.connected_to(note):
        shop.write_csv("products.csv", first)
        night = run_here(capfd, "sync", "products")
    shop.write_csv("products.csv", second)
    report = sync(shop)

    assert table(shop) == expected(first, second)
    assert counts(report) == {"inserted": 30, "updated": 10, "unchanged": 20}
    told = "The rows come in no order of sku; they were put in that order, so that each chunk meets its own part"
    assert told in " ".join(night.err.split())
    # A chunk of ten holds keys from some fifteen neighbours; scattered, from nearly all sixty.
    numbers = [sorted(int(sku[2:]) for sku in skus) for skus in met]
    assert sum(len(some) for some in numbers) == 60
    assert all(some[-1] - some[0] < 20 for some in numbers)


def test_a_sorted_feed_is_loaded_as_it_comes(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.feed(match_on=[], chunk_rows=10)
    sqlite_shop.write_csv("products.csv", [product(number) for number in range(60)])

    assert "in no order" not in run_here(capfd, "sync", "products").err
    [run] = sqlite_shop.execute("SELECT run_id FROM restock_run")
    assert spool_places(sqlite_shop, run["run_id"]) == [None] * 6


def test_a_failed_chunk_of_a_scattered_feed_is_reprocessed(shop: Shop) -> None:
    rows = scattered([*(product(number) for number in range(40)), product(40, name="POISON")])
    shop.feed(match_on=[], chunk_rows=10, transform=add_transform(shop, "broken", BROKEN))
    shop.write_csv("products.csv", rows)
    report = sync(shop)
    run = report.run.run_id
    assert statuses(shop, run).count("failed") == 1
    assert len(table(shop)) in (31, 40)

    shop.feed(match_on=[], chunk_rows=10, transform=add_transform(shop, "mended", MENDED))
    [report] = reprocess(shop, run)

    assert counts(report) == {"inserted": 41}
    assert table(shop) == expected([*rows, product(40, name="cured")])


def test_a_reject_of_a_scattered_feed_keeps_its_line_and_is_corrected(shop: Shop) -> None:
    rows = scattered([product(number) for number in range(60)])
    rows[17]["price"] = "dear"
    shop.feed(match_on=[], chunk_rows=10)
    shop.write_csv("products.csv", rows)
    run = sync(shop).run.run_id

    [reject] = rejects_of(run)
    assert (reject.row, reject.line, reject.original["sku"]) == (18, 19, rows[17]["sku"])
    path = export(shop, run)
    mend(path, {rows[17]["sku"]: {"price": "9.50"}})
    correct(shop, path)

    assert table(shop) == expected([*rows[:17], rows[17] | {"price": "9.50"}, *rows[18:]])


def test_duplicates_of_a_scattered_feed_lose_whatever_chunk_they_come_to(shop: Shop) -> None:
    rows = scattered([product(number) for number in range(50)])
    rows += scattered([product(number, "b") for number in range(0, 50, 5)])
    shop.feed(match_on=[], chunk_rows=7)
    shop.write_csv("products.csv", rows)

    assert counts(sync(shop)) == {"inserted": 50, "superseded": 10}
    assert table(shop) == expected(rows)


def categories(shop: Shop, **keys: object) -> list[dict[str, object]]:
    """Scattered categories, of a model whose key the database can make; they are written for its feed."""
    shop.feed(**{"model": shop.model("Category"), "match_on": [], "chunk_rows": 10, **keys})
    rows: list[dict[str, object]] = [{"id": 1000 + number, "name": f"C{number:03}"} for number in range(60)]
    rows = random.Random(2).sample(rows, 60)
    shop.write_csv("products.csv", rows)
    return rows


def names(shop: Shop) -> list[str]:
    return sorted(row["name"] for row in shop.rows("category"))


def test_rows_beside_some_without_a_key_come_as_their_source_has_them(shop: Shop) -> None:
    """The database gives these the keys that follow the highest: in key order, those of rows that are still to come."""
    rows = categories(shop)
    rows.sort(key=lambda row: row["id"] != 1059)
    for row in rows[5::5]:
        row["id"] = None
    shop.write_csv("products.csv", rows)

    first, second = sync(shop), sync(shop)

    assert counts(first) == {"inserted": 60}
    assert spool_places(shop, first.run.run_id) == [None] * 6
    assert counts(second) == {"unchanged": 49, "skipped": 11}
    assert names(shop) == sorted(str(row["name"]) for row in rows)


def test_rows_without_a_key_that_none_can_be_made_for_stay_where_they_are(shop: Shop) -> None:
    rows = scattered([product(number) for number in range(60)])
    rows[17]["sku"] = rows[33]["sku"] = ""
    shop.feed(match_on=[], chunk_rows=10)
    shop.write_csv("products.csv", rows)

    report = sync(shop)

    assert counts(report) == {"inserted": 58, "rejected": 2}
    assert spool_places(shop, report.run.run_id) == ["[]", "[18]", "[]", "[34]", "[]", "[]"]
    assert table(shop) == expected([row for row in rows if row["sku"]])


def test_a_row_that_is_mended_without_a_key_is_inserted_once_for_its_content(sqlite_shop: Shop) -> None:
    """It could not be split, and stayed in its place; by that it is known when the same content comes again."""
    rows = categories(sqlite_shop)
    file = sqlite_shop.folder / "products.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:24], "cut short\n", *lines[24:]]))

    for night in range(2):
        run = sync(sqlite_shop).run.run_id
        path = export(sqlite_shop, run, f"mended-{night}.csv")
        mend(path, {"cut short": {"name": "Late"}}, by="_raw")
        correct(sqlite_shop, path)
        assert spool_places(sqlite_shop, run) == ["[]", "[]", "[24]", "[]", "[]", "[]", "[]"]

    assert names(sqlite_shop) == sorted([*(str(row["name"]) for row in rows), "Late"])


def test_a_row_that_has_lost_its_key_is_not_taken_for_one_that_was_loaded_in_its_place(sqlite_shop: Shop) -> None:
    """Where it stood, a chunk was loaded, but not with this row: that one was in a chunk which was given up."""
    rows = categories(sqlite_shop)
    code = BROKEN.replace("POISON", str(rows[3]["name"]))
    categories(sqlite_shop, transform=add_transform(sqlite_shop, "broken", code))
    first = sync(sqlite_shop)
    abandon(sqlite_shop, first.run.run_id)
    given_up = {str(row["name"]) for row in rows} - set(names(sqlite_shop))

    # Now no row has a key, as the feed takes none.
    categories(sqlite_shop, columns={"name": "name"}, unknown_columns="ignore")
    sync(sqlite_shop)

    assert len(given_up) == 10
    assert given_up <= set(names(sqlite_shop))


def test_rows_that_refer_to_their_own_table_come_as_their_source_has_them(shop: Shop) -> None:
    shop.feed(model=shop.model("Page"), match_on=[], chunk_rows=10)
    ids = random.Random(3).sample(range(1, 61), 60)
    rows = [{"id": page, "parent_id": parent} for page, parent in zip(ids, [None, *ids], strict=False)]
    shop.write_csv("products.csv", rows)

    report = sync(shop)

    assert counts(report) == {"inserted": 60}
    assert spool_places(shop, report.run.run_id) == [None] * 6


def test_rows_that_trade_a_unique_value_come_as_their_source_has_them(shop: Shop) -> None:
    """They stand together there, and are written in one chunk; in key order each was a reject, every night."""
    shop.feed(model=shop.model("Coded"), match_on=[], chunk_rows=10)
    rows = [{"id": number, "code": f"C{number:03}"} for number in random.Random(4).sample(range(1, 61), 60)]
    shop.write_csv("products.csv", rows)
    sync(shop)
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        one["code"], other["code"] = other["code"], one["code"]
    shop.write_csv("products.csv", rows)

    assert counts(sync(shop)) == {"updated": 60}


def test_a_look_meets_the_chunks_that_a_sync_would_load(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """By the limit of a chunk: the rejects are neighbours by their keys, and far from each other in the file."""
    rows = scattered([product(number, **({"price": "dear"} if 20 <= number < 26 else {})) for number in range(60)])
    shop.feed(match_on=[], chunk_rows=10, max_chunk_rejects=4)
    shop.write_csv("products.csv", rows)

    looked = run_here(capfd, "check", "products")
    report = sync(shop)

    failed = [n for n, status in enumerate(statuses(shop, report.run.run_id), 1) if status == "failed"]
    assert failed
    assert [f"Chunk {number} has" in looked.out + looked.err for number in failed] == [True] * len(failed)


@pytest.mark.parametrize("options", [[], ["--table"]])
def test_a_look_names_the_first_rows_of_the_source_and_not_of_the_keys(
    shop: Shop, capfd: pytest.CaptureFixture[str], options: list[str]
) -> None:
    rows = scattered([product(number) for number in range(60)])
    shop.feed(match_on=[], chunk_rows=10)
    shop.write_csv("products.csv", rows)
    sync(shop)
    for row in rows[10::5]:
        row["price"] = "dear"
    for row in rows[11::5]:
        row["name"] = "Caf\u00c3\u00a9"
    shop.write_csv("products.csv", [*rows[3:10], *rows])

    [check] = run_here(capfd, "check", "products", "--json", *options).answer["checks"]

    def lines(samples: list[dict[str, int]]) -> list[int]:
        return [sample["line"] for sample in samples]

    assert lines(check["reasons"][0]["samples"]) == [19, 24, 29, 34, 39]
    assert lines(check["doubtful"][0]["samples"]) == [20, 25, 30, 35, 40]
    assert lines(check["superseded_samples"]) == [2, 3, 4, 5, 6]
    for changed in check["in_table"]["changed"] if options else ():
        assert lines(changed["samples"]) == sorted(lines(changed["samples"]))
