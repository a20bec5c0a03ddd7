"""Rejects are written to a file, mended by a person, and loaded: the run's own counts move and still add up."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from contracts.loads import open_table
from fix_databases import MakeDatabase, asking
from fix_shop import MakeShop
from shops import Shop, run_restock
from stories.doorway import run_here
from stories.telling import (
    Text,
    correct,
    counts,
    everything,
    expected,
    export,
    mend,
    product,
    products,
    rejects_of,
    sync,
    table,
)

from flows.runs.progress import Progress
from restock.errors import ConfigurationError, SourceError, TargetBusy
from sinks.ledger.lease import keeping

GOOD = products([1, 3, 5])
CHEAP, NAMELESS = product(2, price="cheap"), product(4, name="")
FOUR_TWO, NAMED = product(2, price="4.20"), product(4, name="Lamp")
MENDED = {"S-002": {"price": "4.20"}, "S-004": {"name": "Lamp"}}


def night_with_rejects(shop: Shop, **keys: str) -> str:
    shop.feed(chunk_rows=2, max_rejects=2, **keys)  # which no correction counts a second time
    shop.write_csv("products.csv", [GOOD[0], CHEAP, GOOD[1], NAMELESS, GOOD[2]])
    return sync(shop).run.run_id


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_holds_the_original_cells_where_they_belong_and_why_they_were_refused(shop: Shop) -> None:
    run_id = night_with_rejects(shop)

    rows = read(export(shop, run_id))

    address = {"_restock_run": run_id}
    assert rows == [
        CHEAP
        | address
        | {"_chunk": "1", "_row": "2", "_reason": "price is not a number as the feed's rules write numbers."},
        NAMELESS | address | {"_chunk": "2", "_row": "4", "_reason": "name must have a value and has none."},
    ]


def test_a_mended_file_completes_the_run(shop: Shop) -> None:
    run_id = night_with_rejects(shop)
    path = export(shop, run_id)
    mend(path, MENDED)

    done = correct(shop, path)

    [report] = done.reports
    assert (done.taken, done.rejected_again, done.resolved_before) == (2, 0, 0)
    assert report.run.run_id == run_id
    assert report.summary.status == "completed"
    assert counts(report) == {"inserted": 5}
    assert table(shop) == expected(GOOD, [FOUR_TWO, NAMED])


def test_loading_the_same_file_again_changes_nothing(shop: Shop) -> None:
    path = export(shop, night_with_rejects(shop))
    mend(path, MENDED)
    correct(shop, path)
    before = shop.rows("product"), shop.rows("restock_chunk"), shop.rows("restock_reject")

    done = correct(shop, path)

    assert (done.taken, done.rejected_again, done.resolved_before) == (0, 0, 2)
    assert (shop.rows("product"), shop.rows("restock_chunk"), shop.rows("restock_reject")) == before


def test_rows_that_are_still_wrong_are_rejected_again_with_their_new_reason(shop: Shop) -> None:
    run_id = night_with_rejects(shop)
    path = export(shop, run_id)
    mend(path, {"S-002": {"price": "-1.00"}, "S-004": {"name": "Lamp", "stock": "fünf"}})

    done = correct(shop, path)

    assert (done.taken, done.rejected_again) == (0, 2)
    assert rejects_of(run_id)[1].value == "fünf"
    assert done.reports[0].summary.status == "completed with rejects"
    again = read(export(shop, run_id, "again.csv"))
    assert [row["_reason"] for row in again] == [
        again[0]["_reason"],
        "stock is not a number as the feed's rules write numbers.",
    ]
    assert "breaks a rule of the table" in again[0]["_reason"]
    assert [(row["price"], row["stock"]) for row in again] == [("cheap", "2"), ("4.00", "4")]  # what the source sent
    assert table(shop) == expected(GOOD)


@pytest.mark.parametrize("kind, narrow", [("postgresql", "client_encoding=latin1"), ("mariadb", "charset=latin1")])
def test_a_row_that_is_rejected_again_is_told_also_where_the_database_does_not_take_its_characters(
    make_shop: MakeShop, make_database: MakeDatabase, kind: str, narrow: str
) -> None:
    shop = make_shop(asking(make_database(kind), narrow))
    run_id = night_with_rejects(shop)
    path = export(shop, run_id)
    mend(path, {"S-002": {"price": "billig 便宜"}})

    done = correct(shop, path)

    assert (done.taken, done.rejected_again, done.unmended) == (0, 1, 1)
    assert rejects_of(run_id)[0].value == r"billig \u4fbf\u5b9c"


def test_each_row_that_is_rejected_again_is_named_with_its_reason_and_no_value(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.write_csv("products.csv", [product(number, price="cheap") for number in range(1, 24)])
    run_id = sync(sqlite_shop).run.run_id
    path = export(sqlite_shop, run_id)
    mend(path, {f"S-{number:03}": {"price": "dear"} for number in range(1, 24)} | {"S-002": {"price": "1.00"}})

    told = run_here(capfd, "reprocess", "--rejects", str(path)).out

    first, *rows, last = told[told.index("Rows of the file") :].splitlines()
    assert first == "Rows of the file: mended 1, rejected again 22."
    assert len(rows) == 20
    why = "price is not a number as the feed's rules write numbers."
    assert rows[:2] == [f"  row 1 of run {run_id} (line 2): {why}", f"  row 3 of run {run_id} (line 4): {why}"]
    assert last == "  and 2 more; `restock rejects RUN` lists them"


def test_a_script_is_told_what_became_of_the_rows_of_a_correction(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.write_csv("products.csv", [product(number, price="cheap") for number in range(1, 6)])
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    mend(path, {"S-001": {"price": "1.00"}, "S-002": {"price": "2.00"}, "S-003": {"price": "dear"}})

    first = run_here(capfd, "reprocess", "--rejects", str(path), "--json").answer
    again = run_here(capfd, "reprocess", "--rejects", str(path), "--json").answer

    nothing_else = {"skipped": 0, "stale": 0}
    assert first["rows"] == {"mended": 2, "rejected_again": 1, "unmended": 2, "mended_before": 0} | nothing_else
    assert again["rows"] == {"mended": 0, "rejected_again": 1, "unmended": 2, "mended_before": 2} | nothing_else
    assert [run["rejected"] for run in first["runs"]] == [3]


def test_rows_deleted_from_the_file_stay_open(shop: Shop) -> None:
    run_id = night_with_rejects(shop)
    path = export(shop, run_id)
    mend(path, MENDED)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:2]), encoding="utf-8")

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 4, "rejected": 1}
    assert [row["sku"] for row in read(export(shop, run_id, "left.csv"))] == ["S-004"]
    assert table(shop) == expected(GOOD, [FOUR_TWO])


def test_a_mended_row_that_the_table_has_meanwhile_is_an_update(shop: Shop) -> None:
    path = export(shop, night_with_rejects(shop))
    shop.insert("product", {"sku": "S-002", "name": "by hand"})
    mend(path, MENDED)

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 4, "updated": 1}
    assert table(shop) == expected(GOOD, [FOUR_TWO, NAMED])


def test_a_row_that_could_not_be_split_is_mended_from_its_text(shop: Shop) -> None:
    shop.feed(columns={name: name for name in product(1)})
    lines = ["sku,name,price,stock", "S-001,Product 1,1.00,1", "S-002;Product 2;4.20;2"]
    (shop.folder / "products.csv").write_text("\n".join(lines), encoding="utf-8")
    run_id = sync(shop).run.run_id
    path = export(shop, run_id)
    [row] = read(path)
    assert row["_raw"] == lines[2]
    assert row["_reason"] == "The row has fewer fields than the header."
    mend(path, {run_id: dict(zip(product(1), row["_raw"].split(";"), strict=True))}, "_restock_run")

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 2}
    assert done.reports[0].summary.status == "completed"
    assert table(shop) == expected(products([1]), [FOUR_TWO])


@pytest.mark.parametrize("rules", [{}, {"kind": "delta", "mode": "update_only"}])
def test_a_run_that_was_overtaken_is_refused_where_it_could_not_add_rows_alone(
    shop: Shop, rules: dict[str, str]
) -> None:
    monday = night_with_rejects(shop, **rules)
    path = export(shop, monday)
    mend(path, MENDED)
    shop.write_csv("products.csv", products([1, 2], "!"))
    tuesday = sync(shop).run.run_id
    before = everything(shop)

    with pytest.raises(ConfigurationError) as refused:
        correct(shop, path)

    assert f"Run {monday} was overtaken by run {tuesday}" in str(refused.value)
    assert f"mend the rejects of {tuesday}" in str(refused.value)
    assert everything(shop) == before


class TuesdayMeanwhile(Progress):
    """The table is another run's when a correction begins; what is waited for is Tuesday's feed."""

    def __init__(self, shop: Shop, tuesday: list[Text]) -> None:
        self.shop, self.tuesday = shop, tuesday
        self.other = ExitStack()
        products = open_table(shop)
        self.other.enter_context(keeping(products.sink.database, products.take_lease()))

    def waiting(self, busy: TargetBusy) -> None:
        self.other.close()
        self.shop.write_csv("products.csv", self.tuesday)
        sync(self.shop)


def test_a_correction_that_waits_for_a_newer_run_does_not_overwrite_it(shop: Shop) -> None:
    path = export(shop, night_with_rejects(shop))
    mend(path, MENDED)
    tuesday = products([1, 2], "!")

    with pytest.raises(ConfigurationError, match="overtaken by run"):
        correct(shop, path, TuesdayMeanwhile(shop, tuesday), wait=30)

    assert table(shop) == expected(GOOD, tuesday)


def test_a_late_correction_of_a_delta_adds_rows_and_leaves_changed_ones_alone(shop: Shop) -> None:
    shop.feed(kind="delta")
    shop.write_csv("products.csv", [CHEAP, NAMELESS])
    monday = sync(shop).run.run_id
    path = export(shop, monday)
    mend(path, MENDED)
    tuesday = [product(2, "!")]
    shop.write_csv("products.csv", tuesday)
    sync(shop)

    done = correct(shop, path)

    assert (done.taken, done.rejected_again) == (1, 1)
    assert counts(done.reports[0]) == {"inserted": 1, "rejected": 1}
    assert table(shop) == expected([FOUR_TWO, NAMED], tuesday)


def test_a_file_may_hold_rejects_of_several_runs_and_tells_what_became_of_all(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.feed(kind="delta")
    nights = [[CHEAP, NAMELESS], [product(5, price="cheap"), product(6, price="cheap"), product(7, price="cheap")]]
    paths = []
    for number, rows in enumerate(nights):
        shop.write_csv("products.csv", rows)
        paths.append(export(shop, sync(shop).run.run_id, f"{number}.csv"))
    first, second = (path.read_text(encoding="utf-8") for path in paths)
    paths[0].write_text(first + second.partition("\n")[2], encoding="utf-8")
    prices = {"S-002": "4.20", "S-005": "5.00", "S-006": "dear"}
    mend(paths[0], {sku: {"price": price} for sku, price in prices.items()})

    done, again = correct(shop, paths[0]), correct(shop, paths[0])

    found = [counts(report) for report in done.reports]
    assert found == [{"inserted": 1, "rejected": 1}, {"inserted": 1, "rejected": 2}]
    assert (done.taken, done.rejected_again, done.unmended, done.resolved_before) == (2, 1, 2, 0)
    assert (again.taken, again.rejected_again, again.unmended, again.resolved_before) == (0, 1, 2, 2)
    assert table(shop) == expected([FOUR_TWO], products([5]))


def test_a_late_correction_that_would_change_a_row_stays_open_and_says_why(shop: Shop) -> None:
    """Whether Tuesday sent the row or not: the ledger does not know which rows a delta held."""
    before = products([2, 3, 4])
    shop.feed(kind="delta")
    shop.write_csv("products.csv", before)
    sync(shop)
    shop.write_csv("products.csv", [CHEAP, NAMELESS, product(3, price="cheap")])
    monday = sync(shop).run.run_id
    path = export(shop, monday)
    mend(path, MENDED | {"S-003": {"price": "3.00"}})
    shop.write_csv("products.csv", products([5]))
    sync(shop)

    done = correct(shop, path)

    assert (done.taken, done.rejected_again) == (1, 2)  # S-003 is in the table as it was mended
    assert done.reports[0].reasons == [("overtaken", "sku", 2)]
    assert counts(done.reports[0]) == {"unchanged": 1, "rejected": 2}
    assert table(shop) == expected(before, products([5]))
    [first, second] = read(export(shop, monday, "again.csv"))
    assert (first["price"], second["name"]) == ("cheap", "")
    assert first["_reason"].startswith("The table has the row of this sku with other values")


@pytest.mark.parametrize(
    "rules, told",
    [
        ({"kind": "delta", "mode": "insert_only"}, "mended 1, left out by the feed's rules 1."),
        ({"version_column": "updated_at"}, "mended 1, older than the table's 1."),
    ],
)
def test_what_a_late_correction_leaves_alone_by_a_rule_of_the_feed_is_not_called_mended(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str], rules: dict[str, str], told: str
) -> None:
    sqlite_shop.feed(**rules)
    sqlite_shop.write_csv("products.csv", [row | {"updated_at": "2026-03-02T00:00:00Z"} for row in (CHEAP, NAMELESS)])
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    mend(path, MENDED)
    tuesday = [product(2, "!", updated_at="2026-03-03T00:00:00Z")]
    sqlite_shop.write_csv("products.csv", tuesday)
    sync(sqlite_shop)

    said = run_here(capfd, "reprocess", "--rejects", str(path))

    assert said.out.endswith(f"Rows of the file: {told}\n")
    assert table(sqlite_shop) == expected([FOUR_TWO, NAMED], tuesday)


def test_a_mended_row_is_not_overwritten_by_a_correction_of_an_older_run_of_the_same_content(
    sqlite_shop: Shop,
) -> None:
    older = export(sqlite_shop, night_with_rejects(sqlite_shop))
    newer = export(sqlite_shop, sync(sqlite_shop).run.run_id, "newer.csv")
    mend(newer, MENDED)
    correct(sqlite_shop, newer)
    mend(older, {"S-002": {"price": "99.00"}})

    with pytest.raises(ConfigurationError, match="overtaken by run"):
        correct(sqlite_shop, older)

    assert table(sqlite_shop) == expected(GOOD, [FOUR_TWO, NAMED])


def test_rows_that_nobody_changed_stay_open_as_they_are(shop: Shop) -> None:
    run_id = night_with_rejects(shop)
    path = export(shop, run_id)
    before = shop.execute("SELECT * FROM restock_reject ORDER BY position")

    done = correct(shop, path)

    assert (done.taken, done.rejected_again, done.unmended) == (0, 0, 2)
    assert shop.execute("SELECT * FROM restock_reject ORDER BY position") == before
    assert table(shop) == expected(GOOD)


def test_a_row_that_could_not_be_split_stays_open_until_somebody_mends_it(sqlite_shop: Shop) -> None:
    """Its columns are empty in the file: loaded as they are, they would be a row of NULLs."""
    (sqlite_shop.folder / "products.csv").write_text("sku,name,stock\nS-1,Lamp\nS-2,Rake,2\n", encoding="utf-8")
    sqlite_shop.feed()
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)

    untouched = correct(sqlite_shop, path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"S-1,Lamp"', '"S-1,Lamp,7"'), encoding="utf-8")
    mended = correct(sqlite_shop, path)

    assert (untouched.taken, untouched.unmended, mended.taken) == (0, 1, 1)
    rows = sqlite_shop.rows("product", "sku", "name", "stock")
    assert {(row["sku"], row["name"], row["stock"]) for row in rows} == {("S-1", "Lamp", 7), ("S-2", "Rake", 2)}


def test_who_fills_in_the_columns_may_remove_the_text(sqlite_shop: Shop) -> None:
    (sqlite_shop.folder / "products.csv").write_text("sku,name,stock\nS-1,La,mp,7\n", encoding="utf-8")
    sqlite_shop.feed()
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    mend(path, {"": {"_raw": "", "sku": "S-1", "name": "Lamp", "stock": "7"}})

    assert counts(correct(sqlite_shop, path).reports[0]) == {"inserted": 1}


@pytest.mark.parametrize("text", ["S-1,Lamp,7\nS-3,Saw,3", "S-1,Lamp", "\n"])
def test_a_corrected_text_has_to_make_one_row(sqlite_shop: Shop, text: str) -> None:
    """Of two, one would be lost."""
    (sqlite_shop.folder / "products.csv").write_text("sku,name,stock\nS-1,La,mp,7\n", encoding="utf-8")
    sqlite_shop.feed()
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    mend(path, {"": {"_raw": text}})

    with pytest.raises(SourceError, match="the text of row 1 under _raw still does not make 3 fields"):
        correct(sqlite_shop, path)

    assert sqlite_shop.rows("product") == []


@pytest.mark.parametrize("null_values", [[], ["NA"], ["NA", ""]])
def test_what_nobody_touched_stays_open_whatever_words_stand_for_nothing(
    sqlite_shop: Shop, null_values: list[str]
) -> None:
    """No text may say that a cell has no value, and then none is read back from the file as it was written."""
    sqlite_shop.feed(csv={"null_values": null_values})
    (sqlite_shop.folder / "products.csv").write_text("sku,name,price\nS-1,Lamp\nS-2,Rake,cheap\n", encoding="utf-8")
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)

    untouched = correct(sqlite_shop, path)
    mend(path, {"S-2": {"price": "2.00"}})
    mended = correct(sqlite_shop, path)

    assert (untouched.taken, untouched.rejected_again, untouched.unmended) == (0, 0, 2)
    assert (mended.taken, mended.rejected_again, mended.unmended) == (1, 0, 1)
    assert [row["sku"] for row in sqlite_shop.rows("product")] == ["S-2"]


def test_cells_that_nobody_touched_are_what_the_source_sent_empty_text_too(shop: Shop) -> None:
    shop.feed(source="products.parquet")
    shop.insert("category", {"id": 1, "name": "Tools"})
    rows = [
        {"sku": "S-1", "name": "", "price": "cheap", "category_id": None},
        {"sku": "S-2", "name": "", "price": "cheap", "category_id": 1},
        {"sku": "S-3", "name": "Hose", "price": "cheap", "category_id": 1},
    ]
    shop.write_parquet("products.parquet", rows)
    path = export(shop, sync(shop).run.run_id)
    mend(
        path, {"S-1": {"price": "1.00"}, "S-2": {"price": "2.00", "category_id": ""}, "S-3": {"price": "", "name": ""}}
    )

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 2, "rejected": 1}
    assert done.reports[0].reasons == [("null", "name", 1)]  # blanked by a person: no value, as in any file of the feed
    found = [(row["sku"], row["name"], row["category_id"]) for row in shop.rows("product")]
    assert found == [("S-1", "", None), ("S-2", "", None)]


def test_a_spreadsheet_that_shortens_numbers_does_not_give_rows_other_keys(shop: Shop) -> None:
    zeros, long = product(1) | {"sku": "00123", "name": ""}, product(2) | {"sku": "4006385000000", "name": ""}
    untouched, meant = product(3) | {"sku": "00124", "name": ""}, product(4) | {"sku": "0012", "name": ""}
    other = product(5) | {"sku": "4006381333948", "name": ""}
    shop.write_csv("products.csv", [zeros, long, untouched, meant, other])
    path = export(shop, sync(shop).run.run_id)
    text = path.read_text(encoding="utf-8").replace("00123,", "123,Hose").replace("00124,", "124,")
    text = text.replace("4006385000000,", '"4,00639E+12",Can').replace("0012,", "0013,Rake")
    path.write_text(text.replace("4006381333948,", '"4,00639E+12",Saw'), encoding="utf-8")

    done = correct(shop, path)

    assert (done.taken, done.rejected_again, done.unmended) == (3, 1, 1)  # that number is another one
    named = [zeros | {"name": "Hose"}, long | {"name": "Can"}, meant | {"sku": "0013", "name": "Rake"}]
    assert table(shop) == expected(named)


def test_a_file_that_lost_a_column_is_refused(sqlite_shop: Shop) -> None:
    path = export(sqlite_shop, night_with_rejects(sqlite_shop))
    mend(path, MENDED)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{name: cell for name, cell in row.items() if name != "stock"} for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    with pytest.raises(SourceError, match="'stock' is missing"):
        correct(sqlite_shop, path)

    assert table(sqlite_shop) == expected(GOOD)


@pytest.mark.parametrize("saved_as", ["utf-8", "utf-8-sig", "cp1252"])
def test_an_editor_may_save_the_file_in_utf_8(sqlite_shop: Shop, saved_as: str) -> None:
    sqlite_shop.feed(csv=SEMICOLONS)
    (sqlite_shop.folder / "products.csv").write_text("sku;name;price;stock\nS-002;Öl;teuer;2\n", encoding="cp1252")
    path = export(sqlite_shop, sync(sqlite_shop).run.run_id)
    path.write_text(path.read_text(encoding="cp1252").replace("teuer", "9,90"), encoding=saved_as)

    correct(sqlite_shop, path)

    assert [row["name"] for row in sqlite_shop.rows("product")] == ["Öl"]


SEMICOLONS = {"delimiter": ";", "decimal": ",", "encoding": "cp1252"}


def test_a_correction_is_written_and_read_in_the_feed_s_own_dialect(shop: Shop) -> None:
    shop.feed(csv=SEMICOLONS)
    (shop.folder / "products.csv").write_text(
        "sku;name;price;stock\nS-001;Käse;1,50;1\nS-002;Öl;teuer;2\n", encoding="cp1252"
    )
    path = export(shop, sync(shop).run.run_id)
    assert "S-002;Öl;teuer;2;" in path.read_text(encoding="cp1252")
    mend(path, {"S-002": {"price": "9,90", "name": "Rüböl"}}, encoding="cp1252", delimiter=";")

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 2}
    assert table(shop) == {"S-001": ("Käse", Decimal("1.50"), 1), "S-002": ("Rüböl", Decimal("9.90"), 2)}


def test_a_correction_is_read_as_its_own_feed_writes_and_not_as_another(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.feeds(
        {
            "western": {"match_on": ["sku"], "csv": {"encoding": "cp1252", "null_values": ["", "Käse"]}},
            "products": {"match_on": ["sku"]},
        }
    )
    shop.write_csv("products.csv", [product(1, name="Käse", price="cheap")])
    path = export(shop, sync(shop).run.run_id)
    mend(path, {"S-001": {"price": "1.00"}})

    correct(shop, path)

    assert table(shop) == expected([product(1, name="Käse", price="1.00")])


def test_rows_of_two_feeds_in_one_correction_are_refused(sqlite_shop: Shop) -> None:
    """Each feed writes in a dialect of its own."""
    shop = sqlite_shop
    shop.feeds({"products": {"match_on": ["sku"]}, "others": {"match_on": ["sku"]}})
    texts = []
    for feed in ("products", "others"):
        shop.write_csv(f"{feed}.csv", [product(len(texts) + 1, price="cheap")])
        path = export(shop, sync(replace(shop, feed_name=feed)).run.run_id, f"mended-{feed}.csv")
        mend(path, {"S-001": {"price": "1.00"}, "S-002": {"price": "2.00"}})
        texts.append(path.read_text(encoding="utf-8"))
    path.write_text(texts[0] + texts[1].partition("\n")[2], encoding="utf-8")
    before = everything(shop)

    with pytest.raises(SourceError, match="holds rows of the feeds others and products; give each feed a file of its"):
        correct(shop, path)

    assert everything(shop) == before


def test_a_row_that_stands_twice_in_a_correction_is_refused(sqlite_shop: Shop) -> None:
    path = export(sqlite_shop, night_with_rejects(sqlite_shop))
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines, lines[1].replace("cheap", "4.20")]), encoding="utf-8")
    before = everything(sqlite_shop)

    with pytest.raises(SourceError, match=r"line 4.*twice"):
        correct(sqlite_shop, path)

    assert everything(sqlite_shop) == before


@pytest.mark.parametrize(
    "break_it, complaint",
    [
        (lambda text: text.replace("_restock_run", "run"), "has no column _restock_run"),
        (lambda text: text.replace(",1,2,", ",1,two,"), "line 2: _chunk and _row must stay as they were written"),
        (lambda text: text.replace(",1,2,", ",1,1,"), "Row 1 of chunk 1 of run .* is no reject"),
        (lambda text: text.replace("S-002,", "S-002,,"), "line 2, has 9 fields, the header 8"),
        (lambda text: text.replace("S-002,", ""), "line 2, has 7 fields, the header 8"),
        (lambda text: text.replace("2026", "1999"), "There is no run 1999"),
    ],
)
def test_a_file_that_is_no_correction_changes_nothing(
    sqlite_shop: Shop, break_it: Callable[[str], str], complaint: str
) -> None:
    path = export(sqlite_shop, night_with_rejects(sqlite_shop))
    year = path.read_text(encoding="utf-8").split("\n")[1].split(",")[4][:4]
    path.write_text(break_it(path.read_text(encoding="utf-8")).replace("2026", year), encoding="utf-8")
    before = everything(sqlite_shop)

    with pytest.raises((SourceError, ConfigurationError), match=complaint) as refused:
        correct(sqlite_shop, path)

    assert str(sqlite_shop.folder) not in str(refused.value)
    assert everything(sqlite_shop) == before


def test_the_commands_write_a_rejects_file_and_load_it_from_anywhere(sqlite_shop: Shop, tmp_path: Path) -> None:
    run_id = night_with_rejects(sqlite_shop)
    path = tmp_path / "elsewhere.csv"  # the operator's own file: no source root holds it

    written = run_restock(["rejects", run_id, "--csv", str(path)], sqlite_shop)
    mend(path, MENDED)
    loaded = run_restock(["reprocess", "--rejects", str(path)], sqlite_shop)

    assert written.returncode == 0, written.stderr
    assert "2 rejects written" in written.stdout
    assert loaded.returncode == 0, loaded.stderr
    assert "mended 2." in loaded.stdout
    assert table(sqlite_shop) == expected(GOOD, [FOUR_TWO, NAMED])


def test_a_row_of_an_unusual_dialect_is_mended_in_it(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.feed(
        csv={
            "delimiter": "||",
            "quote": None,
            "escape": "\\",
            "trailing_delimiter": True,
            "header_rows": 0,
            "names": ["sku", "name", "price", "stock"],
        }
    )
    lines = ["S-001||Two \\|| bars||1.50||1||", "S-002||Pipe||2.00||", "S-003||Hook||cheap||3||"]
    (shop.folder / "products.csv").write_text("\n".join(lines), encoding="utf-8")
    run_id = sync(shop).run.run_id
    path = export(shop, run_id)
    text = path.read_text(encoding="utf-8")

    path.write_text(
        text.replace("S-002||Pipe||2.00||", "S-002||Pi\\||pe||2.00||2||").replace("cheap", "3.00"), encoding="utf-8"
    )
    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 3}
    assert [row["byte"] for row in shop.rows("restock_reject", "position", "byte")] == [len(lines[0]) + 1, None]
    assert table(shop) == {
        "S-001": ("Two || bars", Decimal("1.50"), 1),
        "S-002": ("Pi||pe", Decimal("2.00"), 2),
        "S-003": ("Hook", Decimal("3.00"), 3),
    }
