"""A delta feed: every night brings changes only, so they are applied in order and none is left out."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from shops import Shop
from stories.doorway import run_here
from stories.telling import (
    BROKEN,
    Text,
    abandon,
    add_transform,
    check_conservation,
    counts,
    everything,
    expected,
    mend_transform,
    product,
    products,
    reprocess,
    statuses,
    sync,
    sync_all,
    table,
)

from flows.looking.checking import check_feed
from flows.runs.progress import Progress
from flows.runs.workplace import open_workplace
from flows.upkeep.pruning import prune
from restock.errors import ConfigurationError, RunHeld, RunIncomplete, SourceError

MONDAY = [*products([1, 2]), product(3, name="POISON"), product(4)]
MONDAY_CURED = [*MONDAY[:2], product(3, name="cured"), MONDAY[3]]
TUESDAY = products([2, 3, 5], "!")


class Notes(Progress):
    """Keeps what a person would be told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def note(self, sentence: str) -> None:
        self.sentences.append(sentence)


def failed_monday(shop: Shop, **keys: object) -> str:
    shop.feed(kind="delta", chunk_rows=2, transform=add_transform(shop, "broken", BROKEN), **keys)
    shop.write_csv("products.csv", MONDAY)
    return sync(shop).run.run_id


def test_while_an_older_chunk_fails_nothing_new_is_read(shop: Shop) -> None:
    monday = failed_monday(shop)
    shop.write_csv("products.csv", TUESDAY)
    before = table(shop)

    with pytest.raises(RunIncomplete) as stopped:
        sync(shop)

    check_conservation(shop)
    assert stopped.value.exit_status == 1
    assert f"chunks of run {monday} still fail (2)" in str(stopped.value)
    assert f"`restock abandon {monday}`" in str(stopped.value)
    assert table(shop) == before
    assert len(shop.rows("restock_run")) == 1


def test_where_nothing_new_came_an_older_chunk_is_tried_again_and_its_run_reported(sqlite_shop: Shop) -> None:
    monday = failed_monday(sqlite_shop)

    report = sync(sqlite_shop)  # in which nothing new is refused

    assert report.run.run_id == monday
    assert counts(report) == {"inserted": 2, "outstanding": 2}


def test_once_mended_both_nights_are_applied_in_order(shop: Shop) -> None:
    monday = failed_monday(shop)
    shop.write_csv("products.csv", TUESDAY)
    mend_transform(shop, kind="delta")

    late, report = sync_all(shop)

    assert late.run.run_id == monday
    assert statuses(shop, monday) == ["loaded", "loaded"]
    assert report.run.generation == 2
    assert counts(report) == {"inserted": 1, "updated": 2}
    assert table(shop) == expected(MONDAY_CURED, TUESDAY)


def test_a_chunk_given_up_lets_the_next_night_in(sqlite_shop: Shop) -> None:
    monday = failed_monday(sqlite_shop)
    sqlite_shop.write_csv("products.csv", TUESDAY)

    given_up = abandon(sqlite_shop, monday)
    report = sync(sqlite_shop)

    assert counts(given_up) == {"inserted": 2, "abandoned": 2}
    assert given_up.summary.status == "completed"
    assert counts(report) == {"inserted": 2, "updated": 1}
    assert table(sqlite_shop) == expected(MONDAY[:2], TUESDAY)


def test_a_file_that_was_abandoned_is_not_called_loaded_nor_its_run_completed(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    notes, broken = Notes(), add_transform(sqlite_shop, "broken", BROKEN)
    for name, content, chunk_rows in (("01.csv", MONDAY[:3], 3), ("02.csv", MONDAY, 2)):
        sqlite_shop.feed(kind="delta", source="*.csv", chunk_rows=chunk_rows, transform=broken)
        sqlite_shop.write_csv(name, content)
        abandon(sqlite_shop, sync_all(sqlite_shop, progress=notes)[-1].run.run_id)

    partly, whole = run_here(capfd, "runs", "--json").answer["runs"]
    assert (whole["status"], partly["status"]) == ("abandoned", "completed")
    assert "completed, 2 rows abandoned" in " ".join(run_here(capfd, "runs").out.split())
    assert sync_all(sqlite_shop, progress=notes) == []
    assert notes.sentences[-2:] == [
        f"01.csv was abandoned (run {whole['run_id']}) and is skipped.",
        f"02.csv was loaded but for abandoned chunks (run {partly['run_id']}) and is skipped.",
    ]


def test_a_file_that_was_overtaken_while_its_feed_was_full_is_not_called_loaded(sqlite_shop: Shop) -> None:
    shop, notes = sqlite_shop, Notes()
    shop.write_csv("01.csv", MONDAY)
    shop.write_csv("02.csv", TUESDAY)
    broken = add_transform(shop, "broken", BROKEN)
    for name in ("01.csv", "02.csv"):
        shop.feed(source=name, chunk_rows=2, transform=broken)
        sync(shop)
    first = min(run["run_id"] for run in shop.rows("restock_run"))
    shop.feed(kind="delta", source="*.csv")

    assert sync_all(shop, progress=notes) == []
    assert notes.sentences == [
        f"01.csv was superseded (run {first}) and is skipped.",
        "02.csv was loaded before and is skipped.",
    ]


def test_a_night_that_was_abandoned_is_no_measure_of_the_next(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.feed(min_rows="50%", transform=add_transform(shop, "broken", BROKEN))
    shop.write_csv("products.csv", [*products(range(4, 20)), product(3, name="POISON")])
    abandon(shop, sync(shop).run.run_id)

    shop.write_csv("products.csv", products([1, 2]))

    assert counts(sync(shop)) == {"inserted": 2}


def test_an_older_night_that_is_held_by_its_limit_holds_the_next(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(kind="delta", max_rejects=0)
    sqlite_shop.write_csv("products.csv", [product(1), product(2, price="cheap")])
    monday = sync(sqlite_shop)
    sqlite_shop.write_csv("products.csv", TUESDAY)

    with pytest.raises(RunHeld, match=f"mend the source, give the run up with `restock abandon {monday.run.run_id}`"):
        sync(sqlite_shop)
    assert table(sqlite_shop) == {}

    abandon(sqlite_shop, monday.run.run_id)
    sync(sqlite_shop)
    assert table(sqlite_shop) == expected(TUESDAY)


def test_each_file_of_a_glob_is_a_generation_in_sorted_order(shop: Shop) -> None:
    days = {"02.csv": products([2, 3], "!!"), "01.csv": products([1, 2], "!"), "03.csv": products([3, 4], "!!!")}
    shop.feed(kind="delta", source="*.csv", chunk_rows=2)
    for name, content in days.items():
        shop.write_csv(name, content)

    reports = sync_all(shop)

    runs = [report.run for report in reports]
    assert [(run.source, run.generation) for run in runs] == [("01.csv", 1), ("02.csv", 2), ("03.csv", 3)]
    assert table(shop) == expected(days["01.csv"], days["02.csv"], days["03.csv"])


def test_files_that_were_loaded_are_skipped_and_named(sqlite_shop: Shop) -> None:
    shop, notes = sqlite_shop, Notes()
    shop.feed(kind="delta", source="*.csv")
    shop.write_csv("01.csv", products([1, 2]))
    sync(shop)
    shop.write_csv("02.csv", products([2, 3], "!"))

    report = sync(shop, progress=notes)

    assert notes.sentences == ["01.csv was loaded before and is skipped."]
    assert report.run.source == "02.csv"
    assert counts(report) == {"inserted": 1, "updated": 1}


@pytest.mark.parametrize("source", ["*.csv", "01.csv"])
def test_what_was_loaded_is_not_applied_again_unless_somebody_asks_for_the_file(sqlite_shop: Shop, source: str) -> None:
    """In the meantime the app may have changed the rows: a delta says what has changed since, once."""
    shop, notes = sqlite_shop, Notes()
    shop.feed(kind="delta", source=source)
    shop.write_csv("01.csv", products([1, 2]))
    sync(shop)
    shop.execute("UPDATE product SET stock = 99")
    before, _ = everything(shop)

    assert sync_all(shop, progress=notes) == []
    assert everything(shop)[0] == before
    report = sync(shop, file="01.csv", progress=notes)

    assert notes.sentences == [f"01.csv was loaded before and is {what}." for what in ("skipped", "loaded again")]
    assert counts(report) == {"updated": 2}


def test_what_was_loaded_is_not_applied_again_because_it_would_be_read_otherwise(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.feed(kind="delta", source="*.csv")
    shop.write_csv("01.csv", products([1, 2]))
    (shop.folder / "02.csv").write_text("sku,name\nS-002,Newer\n", encoding="utf-8")
    sync_all(shop)
    (shop.folder / "02.csv").unlink()
    before, _ = everything(shop)

    for csv in ({"null_values": ["", "-"]}, {"comment": "#"}):
        shop.feed(kind="delta", source="*.csv", csv=csv)
        assert sync_all(shop) == []

    assert everything(shop)[0] == before


def test_the_same_changes_under_another_name_or_after_others_are_new(shop: Shop) -> None:
    """An offer begins, ends and begins again: three files, of which two are the same to the last byte."""
    dear, cheap = [product(1)], [product(1, price="0.50")]
    shop.feed(kind="delta", source="*.csv")
    for name, content in (("01.csv", dear), ("02.csv", cheap), ("03.csv", dear)):
        shop.write_csv(name, content)
        sync(shop)
    assert table(shop) == expected(dear)
    shop.write_csv("03.csv", cheap)
    sync(shop)
    shop.write_csv("03.csv", dear)

    again = sync(shop)

    assert counts(again) == {"updated": 1}
    assert table(shop) == expected(dear)


def test_two_files_of_one_name_are_refused_for_neither_would_be_known_again(
    sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [sqlite_shop.folder.parent / name for name in ("north", "south")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        sqlite_shop.write_csv("made.csv", products([number]))
        (sqlite_shop.folder / "made.csv").rename(folder / "01.csv")
    monkeypatch.setenv("RESTOCK_SOURCE_ROOTS", ",".join(map(str, folders)))
    sqlite_shop.feed(kind="delta", source=[str(folder) for folder in folders])

    with pytest.raises(ConfigurationError, match=r"several files called 01\.csv, in different folders"):
        sync_all(sqlite_shop)

    assert table(sqlite_shop) == {}


def test_a_file_that_stays_in_its_folder_is_not_new_again_when_old_runs_are_forgotten(shop: Shop) -> None:
    monday, tuesday, notes = products([1, 2]), products([2, 3], "!"), Notes()
    shop.feed(kind="delta", source="*.csv")
    for content in (products([1], "?"), monday):
        shop.write_csv("01.csv", content)
        sync(shop)
    shop.write_csv("02.csv", tuesday)
    sync(shop)

    pruned = prune(open_workplace(), 0)

    assert len(pruned.forgotten) == 1  # the content that 01.csv had at first
    assert sync_all(shop, progress=notes) == []
    assert notes.sentences == [f"{name} was loaded before and is skipped." for name in ("01.csv", "02.csv")]
    assert table(shop) == expected(monday, tuesday)


def test_a_failed_file_of_a_glob_stops_those_after_it_and_later_lets_them_in(shop: Shop) -> None:
    shop.write_csv("01.csv", MONDAY)
    shop.write_csv("02.csv", TUESDAY)
    shop.feed(kind="delta", source="*.csv", chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))

    stopped = sync(shop)

    assert stopped.run.source == "01.csv"
    assert counts(stopped) == {"inserted": 2, "outstanding": 2}
    assert len(shop.rows("restock_run")) == 1

    mend_transform(shop, kind="delta", source="*.csv")
    sync_all(shop)

    assert table(shop) == expected(MONDAY_CURED, TUESDAY)


@pytest.mark.parametrize(
    "content,sentence",
    [("article,name\n1,a\n", r"02\.csv has the column 'article'"), ("", r"02\.csv is empty \(0 bytes\)")],
)
def test_before_a_file_that_cannot_be_read_those_that_came_are_named(
    sqlite_shop: Shop, content: str, sentence: str
) -> None:
    shop, notes = sqlite_shop, Notes()
    shop.write_csv("01.csv", products([1, 2]))
    (shop.folder / "02.csv").write_text(content, encoding="utf-8")
    shop.feed(kind="delta", source="*.csv")

    with pytest.raises(SourceError, match=sentence):
        sync_all(shop, progress=notes)

    [run] = shop.rows("restock_run")
    assert notes.sentences == [f"01.csv came before, as run {run['run_id']}: completed."]


def test_a_night_without_changes_is_told_and_does_not_stand_in_the_way_of_the_next(sqlite_shop: Shop) -> None:
    shop, notes = sqlite_shop, Notes()
    shop.write_csv("01.csv", products([1, 2]))
    header = (shop.folder / "01.csv").read_text(encoding="utf-8").splitlines()[0]
    (shop.folder / "02.csv").write_text(f"{header}\n", encoding="utf-8")
    shop.write_csv("03.csv", products([3]))
    shop.feed(kind="delta", source="*.csv")

    place = open_workplace()
    checks = check_feed(place, place.feed(shop.feed_name), Progress())
    reports = sync_all(shop, progress=notes)

    assert [each.accepted for each in checks] == [2, 0, 1]
    assert [report.run.source for report in reports] == ["01.csv", "03.csv"]
    assert notes.sentences == ["02.csv holds no rows, so there is nothing to change."]
    assert table(shop) == expected(products([1, 2, 3]))


def test_a_feed_that_must_have_changes_refuses_a_night_without(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.write_parquet("01.parquet", [], pa.schema({"sku": pa.string(), "name": pa.string()}))
    shop.feed(kind="delta", source="*.parquet", min_rows=1)

    place = open_workplace()
    with pytest.raises(SourceError, match=r"01\.parquet holds no rows"):
        check_feed(place, place.feed(shop.feed_name), Progress())
    with pytest.raises(SourceError, match=r"01\.parquet holds no rows"):
        sync_all(shop)
    assert sync_all(shop, force=True) == []


def dated(content: list[Text], day: int) -> list[Text]:
    return [{**row, "updated_at": f"2026-03-{day:02}T00:00:00Z"} for row in content]


def test_with_a_version_column_an_older_chunk_may_come_late_and_its_stale_rows_are_counted(shop: Shop) -> None:
    shop.feed(
        kind="delta",
        chunk_rows=2,
        version_column="updated_at",
        transform=add_transform(shop, "broken", BROKEN),
    )
    shop.write_csv("products.csv", dated(MONDAY, 2))
    monday = sync(shop).run.run_id
    shop.write_csv("products.csv", dated(TUESDAY, 3))
    sync_all(shop)
    mend_transform(shop, kind="delta", version_column="updated_at")

    [late] = reprocess(shop, monday)

    assert counts(late) == {"inserted": 3, "stale": 1}
    assert table(shop) == expected(MONDAY_CURED, TUESDAY)


def test_a_file_of_the_day_before_writes_nothing_over_newer_rows(shop: Shop) -> None:
    shop.feed(version_column="updated_at")
    new, old = dated(products([1, 2, 3], "!"), 3), dated(products([2, 3, 4]), 2)
    shop.write_csv("products.csv", new)
    sync(shop)
    shop.write_csv("products.csv", old)

    report = sync(shop)

    assert counts(report) == {"inserted": 1, "stale": 2}
    assert table(shop) == expected(old, new)
    [row] = shop.execute("SELECT updated_at FROM product WHERE sku = 'S-002'")
    assert str(row["updated_at"]).startswith(str(datetime(2026, 3, 3, tzinfo=UTC).date()))


def two_dated_files(shop: Shop) -> str:
    shop.feed(
        kind="delta",
        source="*.csv",
        version_column="updated_at",
        chunk_rows=2,
        transform=add_transform(shop, "broken", BROKEN),
    )
    shop.write_csv("01.csv", dated(MONDAY, 2))
    monday = sync(shop).run.run_id
    shop.write_csv("02.csv", dated(TUESDAY, 3))
    return monday


def test_with_versions_a_file_that_still_fails_is_named_and_lets_the_next_in(sqlite_shop: Shop) -> None:
    notes = Notes()
    monday = two_dated_files(sqlite_shop)

    sync_all(sqlite_shop, progress=notes)

    assert notes.sentences == [f"Run {monday} is still incomplete; `restock show {monday}` says why."]
    assert table(sqlite_shop) == expected(MONDAY[:2], TUESDAY)


@pytest.mark.parametrize("kind", ["full", "delta"])
def test_an_older_night_is_not_loaded_over_a_newer_one_when_the_versions_are_given_up(
    sqlite_shop: Shop, kind: str
) -> None:
    shop = sqlite_shop
    broken = add_transform(shop, "broken", BROKEN)
    shop.feed(kind=kind, version_column="updated_at", chunk_rows=2, transform=broken)
    shop.write_csv("products.csv", dated([product(1), product(2, name="POISON")], 2))
    monday = sync(shop).run.run_id
    shop.write_csv("products.csv", dated(products([1, 2], "!"), 3))
    sync_all(shop)
    before = everything(shop)

    mend_transform(shop, kind=kind)
    sentence = f"Run {monday} of feed products owes chunks that are older than run .*`restock abandon {monday}`"
    with pytest.raises(ConfigurationError, match=sentence):
        reprocess(shop)
    if kind == "delta":
        with pytest.raises(ConfigurationError, match=sentence):
            sync_all(shop)

    assert everything(shop) == before


def test_a_reprocess_of_all_runs_passes_by_the_one_that_is_refused(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = sqlite_shop
    keys = {"kind": "delta", "source": "*.csv", "chunk_rows": 2}
    shop.feed(**keys, version_column="updated_at", transform=add_transform(shop, "broken", BROKEN))
    for name in ("01.csv", "02.csv"):
        shop.write_csv(name, dated([product(1), product(2, name="POISON")], 2))
    monday, tuesday = (report.run.run_id for report in sync_all(shop))
    mend_transform(shop, kind="delta", source="*.csv")

    said = run_here(capfd, "reprocess", "--json")

    assert said.status == 1
    assert f"Run {monday} of feed products owes chunks that are older than run {tuesday}" in said.err
    ends = [(run["run_id"], run["status"], run["outstanding"]) for run in said.answer["runs"]]
    assert ends == [(monday, "incomplete", 2), (tuesday, "completed", 0)]


def test_with_versions_a_file_that_fails_lets_the_next_in_at_once(sqlite_shop: Shop) -> None:
    keys = {"kind": "delta", "source": "*.csv", "version_column": "updated_at"}
    sqlite_shop.feed(**keys, chunk_rows=2, transform=add_transform(sqlite_shop, "broken", BROKEN))
    sqlite_shop.write_csv("01.csv", dated(MONDAY, 2))
    sqlite_shop.write_csv("02.csv", dated(TUESDAY, 3))

    assert [report.summary.outstanding for report in sync_all(sqlite_shop)] == [2, 0]

    assert table(sqlite_shop) == expected(MONDAY[:2], TUESDAY)


def test_with_versions_an_unfinished_file_is_tried_again_with_the_next(sqlite_shop: Shop) -> None:
    monday = two_dated_files(sqlite_shop)
    mend_transform(sqlite_shop, kind="delta", source="*.csv", version_column="updated_at")

    sync_all(sqlite_shop)

    assert statuses(sqlite_shop, monday) == ["loaded", "loaded"]
    assert table(sqlite_shop) == expected(MONDAY_CURED, TUESDAY)
