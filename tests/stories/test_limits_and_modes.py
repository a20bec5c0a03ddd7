"""How many rejects a feed allows, and what a feed may do to the table."""

from __future__ import annotations

import pytest
from shops import Shop
from stories.telling import (
    correct,
    counts,
    expected,
    export,
    mend,
    product,
    products,
    reprocess,
    statuses,
    sync,
    table,
)

from restock.errors import RunHeld

# Two rejects in the second chunk of two, one in the third: with a limit of two, the third crosses it.
NIGHT = [
    *products([1, 2]),
    product(3, price="cheap"),
    product(4, price="dear"),
    product(5, price="free"),
    *products([6, 7, 8]),
]
SOUND = [NIGHT[0], NIGHT[1], *NIGHT[5:]]


def test_the_chunk_that_crosses_the_limit_of_a_run_is_not_loaded_and_a_person_decides(shop: Shop) -> None:
    shop.feed(chunk_rows=2, max_rejects=2)
    shop.write_csv("products.csv", NIGHT)

    held = sync(shop)

    assert held.summary.status == "held"
    assert statuses(shop, held.run.run_id) == ["loaded", "loaded", "planned", "planned"]
    assert counts(held) == {"inserted": 2, "rejected": 2, "outstanding": 4}
    with pytest.raises(RunHeld) as verdict:
        held.verdict()
    assert verdict.value.exit_status == 3
    assert "3 rejects in 8 rows with chunk 3, more than max_rejects 2" in str(verdict.value)
    assert "`restock sync products --force`" in str(verdict.value)


def test_a_held_run_stays_held_until_it_is_forced(shop: Shop) -> None:
    shop.feed(chunk_rows=2, max_rejects="25%")
    shop.write_csv("products.csv", NIGHT)
    held = sync(shop)

    again = sync(shop)
    forced = sync(shop, force=True)

    assert again.run.run_id == forced.run.run_id == held.run.run_id
    assert again.summary.status == "held"
    assert forced.summary.status == "completed with rejects"
    assert counts(forced) == {"inserted": 5, "rejected": 3}
    assert table(shop) == expected(SOUND)


def test_a_limit_that_is_met_exactly_holds_nothing(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=2, max_rejects=3)
    sqlite_shop.write_csv("products.csv", NIGHT)

    assert sync(sqlite_shop).summary.status == "completed with rejects"


def test_a_held_run_goes_on_with_reprocess_once_its_limit_is_raised(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=2, max_rejects=2)
    sqlite_shop.write_csv("products.csv", NIGHT)
    sync(sqlite_shop)
    sqlite_shop.feed(chunk_rows=2, max_rejects=3)

    [report] = reprocess(sqlite_shop)

    assert counts(report) == {"inserted": 5, "rejected": 3}
    assert table(sqlite_shop) == expected(SOUND)


def test_a_held_run_goes_on_with_reprocess_once_its_rejects_are_mended(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=2, max_rejects=2)
    sqlite_shop.write_csv("products.csv", NIGHT)
    run_id = sync(sqlite_shop).run.run_id
    file = export(sqlite_shop, run_id)
    mend(file, {"S-003": {"price": "3.00"}, "S-004": {"price": "4.00"}})
    correct(sqlite_shop, file)

    [report] = reprocess(sqlite_shop)

    assert counts(report) == {"inserted": 7, "rejected": 1}
    assert table(sqlite_shop) == expected(SOUND, [product(3), product(4)])


def test_the_limit_of_a_chunk_fails_the_chunk_and_the_run_goes_on(shop: Shop) -> None:
    shop.feed(chunk_rows=2, max_chunk_rejects=1)
    shop.write_csv("products.csv", NIGHT)

    report = sync(shop)

    assert statuses(shop, report.run.run_id) == ["loaded", "failed", "loaded", "loaded"]
    assert counts(report) == {"inserted": 5, "rejected": 1, "outstanding": 2}
    error = report.failed[0].error or ""
    assert "2 rejects in 2 rows, more than max_chunk_rejects 1" in error
    # The chunk waits in the spool as it was read: a mended source would not help a reprocess.
    assert error.endswith("raise the limit and reprocess it, or mend the source and sync the feed.")
    assert table(shop) == expected(SOUND)


def test_what_decided_how_a_failed_chunk_was_read_is_changed_by_a_sync_and_by_no_reprocess(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(max_chunk_rejects=0)
    sqlite_shop.write_csv("products.csv", [product(1, price="ask us")])
    sync(sqlite_shop)

    sqlite_shop.feed(max_chunk_rejects=0, csv={"null_values": ["", "ask us"]})
    [reprocessed] = reprocess(sqlite_shop)
    report = sync(sqlite_shop)

    assert counts(reprocessed) == {"outstanding": 1}
    assert counts(report) == {"inserted": 1}


def test_newer_content_supersedes_a_held_run(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=2, max_rejects=2)
    sqlite_shop.write_csv("products.csv", NIGHT)
    held = sync(sqlite_shop).run.run_id
    sqlite_shop.write_csv("products.csv", products(range(1, 9), "!"))

    sync(sqlite_shop)

    assert statuses(sqlite_shop, held) == ["loaded", "loaded", "superseded", "superseded"]
    assert table(sqlite_shop) == expected(products(range(1, 9), "!"))


def test_a_feed_that_only_inserts_leaves_present_rows_alone(shop: Shop) -> None:
    monday, tuesday = products([1, 2]), products([2, 3], "!")
    shop.write_csv("products.csv", monday)
    sync(shop)
    shop.feed(mode="insert_only")
    shop.write_csv("products.csv", tuesday)

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "skipped": 1}
    assert table(shop) == expected(tuesday, monday)


def test_a_feed_that_only_updates_creates_no_rows(shop: Shop) -> None:
    shop.write_csv("products.csv", products([1, 2]))
    sync(shop)
    shop.feed(mode="update_only", columns={"sku": "sku", "stock": "stock"})
    shop.write_csv("products.csv", [product(2, name="not taken", stock="40"), product(3)])

    report = sync(shop)

    assert counts(report) == {"updated": 1, "skipped": 1}
    assert report.run.ignored_columns == ["name", "price"]
    assert table(shop) == expected([product(1), product(2, stock="40")])


def test_rows_that_a_transform_drops_are_skipped_and_those_it_sets_aside_are_rejects(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    package = shop.folder / shop.package
    code = [
        "import restock",
        "",
        "def clean(frame):",
        '    frame = frame[frame["stock"] != "0"]',
        '    return restock.reject(frame, frame["price"].str.startswith("9"), "too_dear", "price")',
    ]
    (package / "rules.py").write_text("\n".join(code), encoding="utf-8")
    shop.feed(chunk_rows=2, transform=f"{shop.package}.rules:clean")
    shop.write_csv("products.csv", products([1, 7, 9, 10]))

    report = sync(shop)

    assert counts(report) == {"inserted": 2, "rejected": 1, "skipped": 1}
    assert report.reasons == [("too_dear", "price", 1)]
    assert table(shop) == expected(products([1, 10]))
