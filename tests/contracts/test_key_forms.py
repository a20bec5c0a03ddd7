"""One key, however feed and table write it: the row is met and keeps the key that the table has."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from fix_shop import MakeShop
from shops import Shop
from stories.telling import counts, products, sync

from flows.runs.progress import Progress
from flows.runs.workplace import open_workplace
from restock.chunks import ChunkRef, WriteCounts
from restock.errors import ChunkFailed, ConfigurationError
from sinks.flask_sink import open_sink

FORM = {"trim": True, "case": "upper", "unicode": "NFC", "zero_pad": 5}


def write(shop: Shop, *rows: tuple[str, str]) -> None:
    shop.write_csv("products.csv", [{"sku": sku, "name": name} for sku, name in rows])


def present(shop: Shop, *keys: str) -> None:
    shop.insert("product", *({"sku": key, "name": "there"} for key in keys))


def names(shop: Shop) -> dict[str, str]:
    return {row["sku"]: row["name"] for row in shop.rows("product", "sku", "name")}


def test_a_row_is_met_whatever_form_its_key_has_in_the_table(shop: Shop) -> None:
    shop.feed(key_form=FORM)
    present(shop, "ab-1 ", "123", "STRASSE", "e\u0301", "other", "XY")
    write(shop, ("AB-1", "a"), (" 00123", "b"), ("straße", "c"), ("É", "d"), ("xy", "e"), ("new-1", "f"))

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "updated": 5}
    assert names(shop) == {
        "ab-1 ": "a",
        "123": "b",
        "STRASSE": "c",
        "e\u0301": "d",
        "XY": "e",
        "NEW-1": "f",
        "other": "there",
    }
    assert counts(sync(shop)) == {"unchanged": 6}

    present(shop, "new-2 ")  # between two nights of one process
    write(shop, ("NEW-2", "g"))
    assert counts(sync(shop)) == {"updated": 1}


@pytest.mark.parametrize("workers", [1, 3])
def test_the_table_is_searched_once_in_a_run(shop: Shop, workers: int) -> None:
    shop.feed(key_form=FORM, chunk_rows=2, workers=workers)
    present(shop, "ab-1 ", "ab-2 ", "ab-3 ", "ab-4 ")
    write(shop, *((f"AB-{n}", "new") for n in range(1, 7)))
    asked: list[str] = []
    engine = open_sink(open_workplace().feed(shop.feed_name)).database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))

    assert counts(sync(shop)) == {"inserted": 2, "updated": 4}
    assert len([statement for statement in asked if re.search("sku (REGEXP|~) ", statement)]) == 1
    assert set(names(shop)) == {"ab-1 ", "ab-2 ", "ab-3 ", "ab-4 ", "AB-5", "AB-6"}


class ChangesTheShop(Progress):
    """Gives one product up, and mends the key of another, when the first chunk is loaded."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def loaded(self, ref: ChunkRef, outcome: WriteCounts | ChunkFailed) -> None:
        if ref.number > 1:
            return
        self.shop.execute("DELETE FROM product WHERE sku = 'ab-3 '")
        self.shop.execute("UPDATE product SET sku = 'AB-4' WHERE sku = 'ab-4 '")


def test_a_key_that_was_found_and_is_gone_since_is_not_met(shop: Shop) -> None:
    shop.feed(key_form=FORM, chunk_rows=2)
    present(shop, "ab-1 ", "ab-2 ", "ab-3 ", "ab-4 ")
    write(shop, *((f"AB-{n}", "new") for n in range(1, 5)))

    assert counts(sync(shop, progress=ChangesTheShop(shop))) == {"inserted": 1, "updated": 3}
    assert set(names(shop)) == {"ab-1 ", "ab-2 ", "AB-3", "AB-4"}


def test_rows_that_are_one_key_in_the_feeds_form_are_duplicates(shop: Shop) -> None:
    shop.feed(key_form=FORM)
    write(shop, ("ab-1", "first"), ("AB-1 ", "second"), ("7", "third"), ("00007", "fourth"))

    assert counts(sync(shop)) == {"inserted": 2, "superseded": 2}
    assert names(shop) == {"AB-1": "second", "00007": "fourth"}


def test_a_key_that_the_table_has_in_the_feeds_form_too_is_that_row(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(key_form=FORM)
    present(sqlite_shop, "ab-1", "AB-1", "AB-1 ")
    write(sqlite_shop, ("ab-1", "new"))

    assert counts(sync(sqlite_shop)) == {"updated": 1}
    assert names(sqlite_shop) == {"ab-1": "there", "AB-1": "new", "AB-1 ": "there"}


def test_a_key_that_the_table_has_in_several_other_forms_is_a_reject(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(key_form=FORM)
    present(sqlite_shop, "ab-1", "AB-1 ")
    write(sqlite_shop, ("AB-1", "new"), ("ab-2", "new"))

    report = sync(sqlite_shop)

    assert counts(report) == {"inserted": 1, "rejected": 1}
    assert report.reasons == [("key_twice", "sku", 1)]


def test_a_key_of_several_parts_has_forms_too(make_shop: MakeShop, database_url: str) -> None:
    shop = make_shop(
        database_url,
        'class Product(db.Model):\n    __tablename__ = "product"\n\n'
        "    shop: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)\n"
        "    sku: Mapped[str] = mapped_column(sa.String(9), primary_key=True)\n"
        "    name: Mapped[str] = mapped_column(sa.String(9))\n",
    )
    shop.insert("product", {"shop": 1, "sku": "a ", "name": "there"}, {"shop": 2, "sku": "a ", "name": "there"})
    shop.feed(match_on=["shop", "sku"], key_form={"trim": True, "case": "upper"})
    shop.write_csv("products.csv", [{"shop": "1", "sku": "A", "name": "new"}, {"shop": "3", "sku": "a", "name": "new"}])

    assert counts(sync(shop)) == {"inserted": 1, "updated": 1}
    assert [(row["shop"], row["sku"], row["name"]) for row in shop.rows("product")] == [
        (1, "a ", "new"),
        (2, "a ", "there"),
        (3, "A", "new"),
    ]


@pytest.mark.parametrize("form, outcome", [({}, {"rejected": 1}), ({"shortened": "keep"}, {"inserted": 1})])
def test_a_number_that_a_spreadsheet_shortened_is_no_key(sqlite_shop: Shop, form: Any, outcome: Any) -> None:
    sqlite_shop.feed(key_form=form)
    write(sqlite_shop, ("4.00638E+12", "Hose"))

    report = sync(sqlite_shop)

    assert counts(report) == outcome
    assert report.reasons == ([("shortened_key", "sku", 1)] if not form else [])


def test_a_key_that_is_empty_in_its_form_is_missing(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(key_form={"trim": True})
    write(sqlite_shop, ("  ", "Hose"))

    assert sync(sqlite_shop).reasons == [("missing_key", "sku", 1)]


def test_without_a_form_keys_stay_as_they_are(sqlite_shop: Shop) -> None:
    present(sqlite_shop, "s-001")
    sqlite_shop.write_csv("products.csv", products([1]))

    assert counts(sync(sqlite_shop)) == {"inserted": 1}


def test_a_form_that_contradicts_itself_is_refused(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(key_form={"zero_pad": 5, "strip_zeros": True})

    with pytest.raises(ConfigurationError, match="key_form: zero_pad puts zeros before a number"):
        sync(sqlite_shop)
