"""A full feed night after night: what is newest counts, whatever failed in between and whoever comes back to it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from shops import Shop
from stories.telling import (
    BROKEN,
    Text,
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

from flows.runs import admission, reprocessing
from flows.runs.choices import Choices
from flows.runs.door import Door, Outcome
from flows.runs.loading import load_here
from flows.runs.progress import Progress
from flows.runs.stopping import heeding_signals
from flows.runs.workplace import open_workplace
from restock.chunks import ChunkRef
from restock.errors import RunInterrupted, TargetBusy
from restock.feeds import Feed
from sinks.flask_sink import open_sink
from sinks.ledger.lease import keeping, take_lease

MONDAY = [*products([1, 2]), product(3, name="POISON"), product(4), *products([5, 6])]
TUESDAY = [*products([1, 2], "!"), product(3, "!", name="POISON"), product(4, "!"), *products([5, 7], "!")]


def cured(content: list[Text]) -> list[Text]:
    return [{**row, "name": row["name"].replace("POISON", "cured")} for row in content]


def night(shop: Shop, content: list[Text]) -> str:
    shop.write_csv("products.csv", content)
    return sync(shop).run.run_id


@pytest.mark.parametrize("order", ["older first", "newer first"])
def test_after_two_failed_nights_only_the_newest_content_is_written(shop: Shop, order: str) -> None:
    shop.feed(chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))
    monday, tuesday = night(shop, MONDAY), night(shop, TUESDAY)
    mend_transform(shop)

    for run_id in (monday, tuesday) if order == "older first" else (tuesday, monday):
        reprocess(shop, run_id)

    assert statuses(shop, monday) == ["loaded", "superseded", "loaded"]
    assert statuses(shop, tuesday) == ["loaded", "loaded", "loaded"]
    assert table(shop) == expected([MONDAY[0], MONDAY[1], MONDAY[4], MONDAY[5]], cured(TUESDAY))


def test_until_it_is_mended_a_failed_chunk_leaves_what_an_earlier_night_wrote(shop: Shop) -> None:
    shop.feed(chunk_rows=2)
    night(shop, MONDAY)
    shop.feed(chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))

    tuesday = night(shop, TUESDAY)

    assert statuses(shop, tuesday) == ["loaded", "failed", "loaded"]
    assert table(shop) == expected(MONDAY, TUESDAY[:2], TUESDAY[4:])


def test_a_superseded_run_says_by_which_and_keeps_nothing_in_the_spool(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=2, transform=add_transform(sqlite_shop, "broken", BROKEN))
    monday = night(sqlite_shop, MONDAY)
    tuesday = night(sqlite_shop, TUESDAY)

    [run] = sqlite_shop.execute("SELECT status, reason FROM restock_run WHERE run_id = :run", run=monday)

    assert run == {"status": "superseded", "reason": f"overtaken by run {tuesday}"}
    assert [path.name for path in (sqlite_shop.folder / "spool").iterdir()] == [tuesday]


def test_what_another_feed_of_the_same_table_owes_is_superseded_by_nobody(sqlite_shop: Shop) -> None:
    keys = {"match_on": ["sku"], "chunk_rows": 2, "transform": add_transform(sqlite_shop, "broken", BROKEN)}
    sqlite_shop.feeds({"products": keys, "branch": keys})
    place = open_workplace()

    for name, content in (("branch", MONDAY), ("products", MONDAY), ("products", TUESDAY)):
        sqlite_shop.write_csv(f"{name}.csv", content)
        admission.sync(place, place.feed(name), Door(load_here))

    runs = sqlite_shop.execute("SELECT run_id FROM restock_run ORDER BY run_id")
    assert [statuses(sqlite_shop, run["run_id"])[1] for run in runs] == ["failed", "superseded", "failed"]


class Overtaken(Progress):
    """Lets a night come in while somebody waits for the table that an open lease keeps."""

    def __init__(self, shop: Shop, held: ExitStack) -> None:
        self.shop, self.held = shop, held
        self.newer = ""

    def waiting(self, busy: TargetBusy) -> None:
        self.held.close()
        self.newer = night(self.shop, TUESDAY)


def test_a_run_that_is_overtaken_while_a_reprocess_waits_stays_superseded(shop: Shop) -> None:
    shop.feed(chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))
    monday = night(shop, MONDAY)
    place = open_workplace()
    sink = open_sink(place.feed(shop.feed_name))

    with ExitStack() as held:
        held.enter_context(keeping(sink.database, take_lease(sink.database, sink.target.name, sink.feed.name)))
        progress = Overtaken(shop, held)
        [report] = reprocessing.reprocess(place, Door(load_here, progress, wait=30), monday)

    [run] = shop.execute("SELECT status, reason FROM restock_run WHERE run_id = :run", run=monday)
    assert run == {"status": "superseded", "reason": f"overtaken by run {progress.newer}"}
    assert (report.summary.status, counts(report)) == ("superseded", {"inserted": 4, "superseded": 2})


class Replaced(Progress):
    """Puts Tuesday's file in the place of Monday's while somebody waits for the table that an open lease keeps."""

    def __init__(self, shop: Shop, held: ExitStack) -> None:
        self.shop, self.held = shop, held

    def waiting(self, busy: TargetBusy) -> None:
        self.held.close()
        self.shop.write_csv("products.csv", TUESDAY)


@pytest.mark.parametrize("kind", ["full", "delta"])
def test_a_file_that_changes_while_its_table_is_waited_for_is_brought_in_as_it_is_then(shop: Shop, kind: str) -> None:
    shop.feed(kind=kind)
    shop.write_csv("products.csv", MONDAY)
    place = open_workplace()
    sink = open_sink(place.feed(shop.feed_name))
    sink.ledger.create()

    with ExitStack() as held:
        held.enter_context(keeping(sink.database, take_lease(sink.database, sink.target.name, "another")))
        [report] = admission.sync(place, sink.feed, Door(load_here, Replaced(shop, held), wait=30))

    assert counts(report) == {"inserted": len(TUESDAY)}
    assert table(shop) == expected(TUESDAY)


class Leaving(Progress):
    """Asks to stop while somebody else has the table."""

    def waiting(self, busy: TargetBusy) -> None:
        signal.raise_signal(signal.SIGINT)


def test_who_asks_to_stop_while_a_table_is_waited_for_is_obeyed_at_once(
    sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.runs.stopping._asked_to_stop", threading.Event())  # of this test alone
    sqlite_shop.write_csv("products.csv", MONDAY)
    place = open_workplace()
    sink = open_sink(place.feed("products"))
    sink.ledger.create()
    held = keeping(sink.database, take_lease(sink.database, sink.target.name, "another"))

    with held, heeding_signals(), pytest.raises(RunInterrupted):
        admission.sync(place, sink.feed, Door(load_here, Leaving(), wait=30))

    assert table(sqlite_shop) == {}


def test_only_a_sync_of_the_feed_s_own_source_says_so_while_it_has_the_table(sqlite_shop: Shop) -> None:
    """Another sync of the feed has nothing to do then; of a reprocess, or of one file, it has to wait for the end."""
    shop, told = sqlite_shop, list[str | None]()
    shop.feed(chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))
    shop.write_csv("products.csv", MONDAY)
    place = open_workplace()
    feed = place.feed(shop.feed_name)

    def load(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
        told.append(shop.rows("restock_lease", "feed")[0]["feed"])
        return load_here(feed, refs)

    admission.sync(place, feed, Door(load))
    reprocessing.reprocess(place, Door(load))
    admission.sync(place, feed, Door(load), Choices(file="products.csv"))

    assert told == ["products", None, None]


def test_content_seen_before_is_a_generation_of_its_own_and_brings_its_values_back(shop: Shop) -> None:
    a, b = products(range(1, 6)), products(range(3, 8), "!")

    runs = []
    for content in (a, b, a):
        shop.write_csv("products.csv", content)
        runs.append(sync(shop))

    assert [report.run.generation for report in runs] == [1, 2, 3]
    assert counts(runs[1]) == {"inserted": 2, "updated": 3}
    assert counts(runs[2]) == {"updated": 3, "unchanged": 2}
    assert table(shop) == expected(a, b, a)


def test_a_failed_chunk_of_old_content_does_not_come_back_when_the_content_does(sqlite_shop: Shop) -> None:
    shop = sqlite_shop
    shop.feed(chunk_rows=2, transform=add_transform(shop, "broken", BROKEN))
    first = night(shop, MONDAY)
    night(shop, products([1], "!"))

    again = night(shop, MONDAY)

    assert again != first
    assert statuses(shop, first) == ["loaded", "superseded", "loaded"]
    assert statuses(shop, again) == ["loaded", "failed", "loaded"]


def test_the_same_content_after_a_finished_run_puts_an_edited_row_back_and_writes_nothing_else(shop: Shop) -> None:
    content = products(range(1, 6))
    night(shop, content)
    shop.execute("UPDATE product SET name = 'edited' WHERE sku = 'S-002'")

    report = sync(shop)

    assert report.run.generation == 1
    assert counts(report) == {"updated": 1, "unchanged": 4}
    assert table(shop) == expected(content)


def test_a_third_sync_of_anything_writes_no_product(shop: Shop) -> None:
    night(shop, MONDAY)
    before, _ = everything(shop)

    assert counts(sync(shop)) == {"unchanged": 6}
    assert counts(sync(shop)) == {"unchanged": 6}
    assert everything(shop)[0] == before
