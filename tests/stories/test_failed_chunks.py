"""A transform cannot cope with one chunk: the others are loaded, and that one is loaded once it is mended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.loads import open_table
from shops import Shop, run_restock
from stories.doorway import run_here
from stories.telling import (
    BROKEN,
    MENDED,
    abandon,
    add_transform,
    counts,
    everything,
    expected,
    mend_transform,
    product,
    products,
    reprocess,
    statuses,
    sync,
    table,
)

from flows.runs.reports import RunReport
from restock.errors import RunIncomplete
from sinks.ledger.lease import keeping

GOOD = products([1, 2, 3, 5, 6])
CURED = product(4, name="cured")


def poisoned_night(shop: Shop) -> RunReport:
    """Six products in three chunks, the second of which the transform cannot cope with."""
    shop.feed(chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))
    shop.write_csv("products.csv", [*GOOD[:3], product(4, name="POISON"), *GOOD[3:]])
    return sync(shop)


def test_the_neighbours_of_a_failed_chunk_are_loaded_and_the_run_names_it(shop: Shop) -> None:
    report = poisoned_night(shop)

    run_id = report.run.run_id
    assert report.summary.status == "incomplete"
    assert counts(report) == {"inserted": 4, "outstanding": 2}
    assert statuses(shop, run_id) == ["loaded", "failed", "loaded"]
    assert table(shop) == expected(GOOD[:2], GOOD[3:])
    with pytest.raises(RunIncomplete) as verdict:
        report.verdict()
    assert "1 of 3 chunks failed (2)" in str(verdict.value)
    assert f"`restock reprocess --run {run_id}`" in str(verdict.value)
    assert "broken.py, line 3" in str(verdict.value)
    assert "secret" not in str(verdict.value)


@pytest.mark.parametrize("fate", ["kept", "overwritten", "deleted"])
def test_a_mended_chunk_is_loaded_from_the_spool_whatever_became_of_the_source(shop: Shop, fate: str) -> None:
    run_id = poisoned_night(shop).run.run_id
    if fate == "overwritten":
        shop.write_csv("products.csv", products(range(50, 60), " of another night"))
    elif fate == "deleted":
        (shop.folder / "products.csv").unlink()
    mend_transform(shop)

    [report] = reprocess(shop)

    assert report.run.run_id == run_id
    assert report.summary.status == "completed"
    assert counts(report) == {"inserted": 6}
    assert table(shop) == expected(GOOD, [CURED])


def test_reprocessing_again_writes_nothing(shop: Shop) -> None:
    run_id = poisoned_night(shop).run.run_id
    mend_transform(shop)
    reprocess(shop)
    before = everything(shop)

    assert reprocess(shop) == []
    assert reprocess(shop, run_id) == []
    assert everything(shop) == before


def test_a_chunk_that_still_fails_stays_outstanding_and_its_neighbours_alone(shop: Shop) -> None:
    run_id = poisoned_night(shop).run.run_id
    before = table(shop)

    [report] = reprocess(shop)

    assert counts(report) == {"inserted": 4, "outstanding": 2}
    assert statuses(shop, run_id) == ["loaded", "failed", "loaded"]
    assert table(shop) == before
    mend_transform(shop)
    assert counts(reprocess(shop)[0]) == {"inserted": 6}  # its spool is still there


def test_syncing_the_same_content_again_with_the_same_code_tries_only_what_failed(sqlite_shop: Shop) -> None:
    first = poisoned_night(sqlite_shop)
    sqlite_shop.execute("UPDATE product SET name = 'edited' WHERE sku = 'S-001'")

    again = sync(sqlite_shop)

    assert again.run.run_id == first.run.run_id
    assert counts(again) == {"inserted": 4, "outstanding": 2}
    assert table(sqlite_shop)["S-001"][0] == "edited"


def test_syncing_the_same_content_with_mended_code_is_a_new_run_that_supersedes(shop: Shop) -> None:
    first = poisoned_night(shop).run.run_id
    mend_transform(shop)

    report = sync(shop)

    assert report.run.run_id != first
    assert report.run.generation == 1
    assert counts(report) == {"inserted": 2, "unchanged": 4}
    assert statuses(shop, first) == ["loaded", "superseded", "loaded"]
    assert table(shop) == expected(GOOD, [CURED])


def test_a_reprocess_of_all_runs_passes_by_a_table_that_another_run_owns(sqlite_shop: Shop) -> None:
    """What one run lacks is nothing to the others."""
    shop, broken = sqlite_shop, add_transform(sqlite_shop, "broken", BROKEN)
    others = {"model": shop.model("Category"), "match_on": ["id"]}
    feeds = {"products": {"match_on": ["sku"]}, "others": others}
    shop.feeds({name: feed | {"transform": broken} for name, feed in feeds.items()})
    shop.write_csv("products.csv", [product(1, name="POISON")])
    shop.write_csv("others.csv", [{"id": 1, "name": "POISON"}])
    runs = [sync(replace(shop, feed_name=name)).run.run_id for name in feeds]
    mended = add_transform(shop, "mended", MENDED)
    shop.feeds({name: feed | {"transform": mended} for name, feed in feeds.items()})

    owned = open_table(shop)
    with keeping(owned.sink.database, owned.take_lease()):
        reports = reprocess(shop)

    ends = {report.run.run_id: report.summary.status for report in reports}
    assert ends == dict(zip(runs, ["incomplete", "completed"], strict=True))
    assert [row["name"] for row in shop.rows("category")] == ["cured"]


def test_a_reprocess_of_all_runs_names_the_feed_whose_database_it_cannot_ask(
    sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    """What it finds elsewhere it loads; where it finds nothing it does not say that there is nothing to do."""
    shop = sqlite_shop
    poisoned_night(shop)
    mended = {"match_on": ["sku"], "transform": add_transform(shop, "mended", MENDED)}
    shop.feeds({"products": mended, "lost": {"match_on": ["sku"], "app": "no_such_app:create_app"}})

    first, second = (run_here(capfd, "reprocess") for _ in range(2))

    assert (first.status, second.status) == (0, 1)
    assert "Feed lost is left out: " in " ".join(first.err.split())
    assert table(shop) == expected(GOOD, [CURED])
    assert second.sentence.startswith("Feed lost could not be asked: ")


def test_only_the_chunks_that_are_named_are_reprocessed(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=1, transform=add_transform(sqlite_shop, "broken", BROKEN))
    sqlite_shop.write_csv("products.csv", [product(1, name="POISON"), product(2), product(3, name="POISON")])
    run_id = sync(sqlite_shop).run.run_id
    mend_transform(sqlite_shop)

    [report] = reprocess(sqlite_shop, run_id, {3})

    assert counts(report) == {"inserted": 2, "outstanding": 1}
    assert statuses(sqlite_shop, run_id) == ["failed", "loaded", "loaded"]


def test_only_the_chunk_that_is_named_is_given_up(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=1, transform=add_transform(sqlite_shop, "broken", BROKEN))
    sqlite_shop.write_csv("products.csv", [product(1, name="POISON"), product(2), product(3, name="POISON")])
    run_id = sync(sqlite_shop).run.run_id

    report = abandon(sqlite_shop, run_id, {3})

    assert counts(report) == {"inserted": 1, "abandoned": 1, "outstanding": 1}
    assert (report.summary.status, statuses(sqlite_shop, run_id)) == ("incomplete", ["failed", "loaded", "abandoned"])


def test_spool_files_stay_as_long_as_their_chunk_is_outstanding(sqlite_shop: Shop) -> None:
    poisoned_night(sqlite_shop)
    spool = sqlite_shop.folder / "spool"

    assert len([path for path in spool.rglob("*") if path.is_file()]) == 1

    mend_transform(sqlite_shop)
    reprocess(sqlite_shop)

    assert list(spool.iterdir()) == []


def test_a_lost_spool_file_fails_its_chunk_with_a_sentence(sqlite_shop: Shop) -> None:
    run_id = poisoned_night(sqlite_shop).run.run_id
    for path in (sqlite_shop.folder / "spool").rglob("*.arrows"):
        path.unlink()
    mend_transform(sqlite_shop)

    [report] = reprocess(sqlite_shop, run_id)

    assert statuses(sqlite_shop, run_id) == ["loaded", "failed", "loaded"]
    assert "spool" in (report.failed[0].error or "")
    assert str(sqlite_shop.folder) not in (report.failed[0].error or "")
    assert "restock sync FEED --fresh" in (report.failed[0].error or "")


def test_a_feed_whose_spool_was_lost_is_begun_anew(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """The code is the same and so is the content: the run would go on, if there was anything to go on with."""
    sqlite_shop.feed(chunk_rows=2, max_rejects=0)
    sqlite_shop.write_csv("products.csv", [*products([1, 2]), product(3, price="dear"), *products([4, 5])])
    held = run_here(capfd, "sync", "products", "--json")
    lost, _ = (sqlite_shop.folder / "spool").rglob("*.arrows")
    lost.unlink()

    said = run_here(capfd, "sync", "products", "--force", "--json")

    assert (held.status, said.status) == (3, 0)
    assert said.answer["run_id"] != held.answer["run_id"]
    assert (said.answer["unchanged"], said.answer["rejected"], said.answer["inserted"]) == (2, 1, 2)
    assert statuses(sqlite_shop, held.answer["run_id"]) == ["loaded", "superseded", "superseded"]
    assert f"The spool has lost chunks of run {held.answer['run_id']}, so the feed is begun anew." in said.err


def test_a_feed_is_begun_anew_for_whoever_says_so(sqlite_shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_shop.feed(chunk_rows=2, max_rejects=0)
    sqlite_shop.write_csv("products.csv", [*products([1, 2]), product(3, price="dear")])
    held = run_here(capfd, "sync", "products", "--json")

    said = run_here(capfd, "sync", "products", "--fresh", "--force", "--json")

    assert said.answer["run_id"] != held.answer["run_id"]
    assert (said.answer["unchanged"], said.answer["rejected"]) == (2, 1)
    assert statuses(sqlite_shop, held.answer["run_id"]) == ["loaded", "superseded"]


def test_the_command_loads_a_chunk_after_its_transform_was_mended_in_place(sqlite_shop: Shop) -> None:
    reference = add_transform(sqlite_shop, "rules", BROKEN)
    sqlite_shop.feed(chunk_rows=2, transform=reference)
    sqlite_shop.write_csv("products.csv", [*GOOD[:3], product(4, name="POISON"), *GOOD[3:]])

    failed = run_restock(["sync", "products"], sqlite_shop)

    assert failed.returncode == 1
    assert "chunks failed (2)" in failed.stderr
    assert "`restock reprocess --run " in failed.stderr
    assert "secret" not in failed.stdout + failed.stderr

    add_transform(sqlite_shop, "rules", MENDED)
    mended = run_restock(["reprocess"], sqlite_shop)

    assert mended.returncode == 0, mended.stderr
    assert table(sqlite_shop) == expected(GOOD, [CURED])
