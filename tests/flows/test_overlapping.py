"""While one chunk is written the next is read and transformed; several workers write at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice

import pytest
from fix_shop import MakeShop
from shops import Shop
from stories.telling import add_transform, counts, expected, product, products, reprocess, statuses, sync, table

from flows.runs import admission
from flows.runs.door import Door, Outcome
from flows.runs.loading import load_here
from flows.runs.workplace import open_workplace
from restock.ahead import background
from restock.chunks import ChunkRef
from restock.errors import RunInterrupted
from restock.feeds import Feed
from sinks.flask_sink import FlaskSink

# Tells, for each chunk, when it was transformed.
TELLING = """\
seen = []
def clean(frame):
    seen.append(frame["sku"].iloc[0])
    return frame
"""
# Binds its values by the name of the app it is in.
MARKED = """\
from flask import current_app

bound = []


class Mark(sa.types.TypeDecorator):
    impl = sa.String(80)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if isinstance(value, str) and value.startswith("w"):  # not what it is tried out with
            bound.append(value)
        return f"{current_app.name}: {value}"


class Marked(db.Model):
    __tablename__ = "marked"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    word: Mapped[str | None] = mapped_column(Mark)
"""
# Counts those who are in it at a time.
CROWD = """\
import threading
import time

inside, most, count = 0, 0, threading.Lock()


def clean(frame):
    global inside, most
    with count:
        inside += 1
        most = max(most, inside)
    time.sleep(0.05)
    with count:
        inside -= 1
    return frame
"""
CHUNKS = 6
NIGHT = products(range(1, 2 * CHUNKS + 1))


@pytest.fixture
def around_load(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Let something happen in each load, before its transaction begins; it is told the number of the chunk."""

    def interpose(deed: Callable[[int], None]) -> None:
        load = FlaskSink.load

        def loading(sink, chunk, *prepared):  # type: ignore[no-untyped-def]
            deed(chunk.ref.number)
            return load(sink, chunk, *prepared)

        monkeypatch.setattr(FlaskSink, "load", loading)

    return interpose


def seen_by(shop: Shop) -> list[str]:
    module = __import__(f"{shop.package}.telling", fromlist=["seen"])
    return list(module.seen)


def test_the_next_chunk_is_transformed_while_one_is_written(
    shop: Shop, around_load: Callable[[Callable[[int], None]], None]
) -> None:
    shop.feed(chunk_rows=2, transform=add_transform(shop, "telling", TELLING))
    shop.write_csv("products.csv", NIGHT)
    ready: list[int] = []

    def wait_for_the_next(number: int) -> None:
        until = time.monotonic() + 20
        while len(seen_by(shop)) < min(number + 1, CHUNKS) and time.monotonic() < until:
            time.sleep(0.005)
        ready.append(len(seen_by(shop)))

    around_load(wait_for_the_next)

    assert counts(sync(shop)) == {"inserted": len(NIGHT)}
    assert ready == [2, 3, 4, 5, 6, 6]  # one ahead, and never more


def test_the_values_of_the_next_chunk_are_bound_while_one_is_written(
    make_shop: MakeShop, database_url: str, around_load: Callable[[Callable[[int], None]], None]
) -> None:
    """By a type of the app that asks the app, as one that encrypts does."""
    shop = make_shop(database_url, MARKED)
    shop.feed(model=shop.model("Marked"), chunk_rows=1)
    shop.write_csv("products.csv", [{"sku": f"S{number}", "word": f"w{number}"} for number in (1, 2, 3)])
    models = __import__(f"{shop.package}.models", fromlist=["bound"])
    ahead: list[int] = []

    def wait_for_the_next(number: int) -> None:
        until = time.monotonic() + 20
        while len(set(models.bound)) < min(number + 1, 3) and time.monotonic() < until:
            time.sleep(0.005)
        ahead.append(len(set(models.bound)))

    around_load(wait_for_the_next)

    assert counts(sync(shop)) == {"inserted": 3}
    assert ahead == [2, 3, 3]
    words = [row["word"] for row in shop.execute("SELECT word FROM marked ORDER BY sku")]
    assert words == [f"{shop.package}: w{number}" for number in (1, 2, 3)]


def test_what_was_begun_ahead_is_put_back_when_the_run_stops(
    shop: Shop, around_load: Callable[[Callable[[int], None]], None]
) -> None:
    shop.feed(chunk_rows=2)
    shop.write_csv("products.csv", NIGHT)

    def stop(number: int) -> None:
        if number == 2:
            raise RunInterrupted("Somebody asked for it.")

    around_load(stop)
    with pytest.raises(RunInterrupted):
        sync(shop)

    chunks = shop.execute("SELECT status, attempts FROM restock_chunk ORDER BY number")
    assert [tuple(chunk.values()) for chunk in chunks] == [("loaded", 1)] + [("planned", 0)] * (CHUNKS - 1)


def test_a_chunk_that_was_cut_short_is_tried_alone(sqlite_shop: Shop) -> None:
    sqlite_shop.feed(chunk_rows=2, transform=add_transform(sqlite_shop, "telling", TELLING))
    sqlite_shop.write_csv("products.csv", NIGHT)
    killed: list[list[str]] = []

    def cut_short() -> None:
        """As two deaths would: chunk 2 had been begun, and 3 ahead of it."""
        sqlite_shop.execute("UPDATE restock_chunk SET status = 'loading', attempts = 2 WHERE number IN (2, 3)")

    load = FlaskSink.load

    def loading(sink, chunk, *prepared):  # type: ignore[no-untyped-def]
        killed.append(statuses(sqlite_shop, chunk.ref.run_id))
        if chunk.ref.number == 2 and len(killed) == 2:
            raise RunInterrupted("The first execution ends here.")
        return load(sink, chunk, *prepared)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlaskSink, "load", loading)
        with pytest.raises(RunInterrupted):
            sync(sqlite_shop)
        cut_short()
        killed.clear()
        assert counts(sync(sqlite_shop)) == {"inserted": len(NIGHT)}

    assert [each.count("loading") for each in killed] == [2, 1, 2, 2, 1]  # 3 was found so, then begins what follows
    assert killed[0][3:] == killed[1][3:] == ["planned"] * 3


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_load_several_chunks_at_a_time(
    shop: Shop, workers: int, around_load: Callable[[Callable[[int], None]], None]
) -> None:
    shop.feed(chunk_rows=2, workers=workers)
    shop.write_csv("products.csv", [*NIGHT, product(3, name="later")])
    together = 1 if shop.engine.dialect.name == "sqlite" else workers
    meeting, at_work, most, count = threading.Barrier(together), 0, 0, threading.Lock()

    def stay(number: int) -> None:
        nonlocal at_work, most
        with count:
            at_work += 1
            most = max(most, at_work)
        if number <= together:
            meeting.wait(timeout=30)
        with count:
            at_work -= 1

    around_load(stay)

    assert counts(sync(shop)) == {"inserted": len(NIGHT), "superseded": 1}
    assert table(shop) == expected(NIGHT, [product(3, name="later")])
    assert most == together


def test_a_limit_of_the_run_counts_the_rejects_of_all_workers(shop: Shop) -> None:
    shop.feed(chunk_rows=1, workers=4, max_rejects=3)
    shop.write_csv("products.csv", [product(number, price="cheap") for number in range(12)])

    report = sync(shop)

    assert report.summary.status == "held"
    assert report.summary.rejected == 3
    assert counts(report) == {"rejected": 3, "outstanding": 9}


def test_what_other_workers_have_begun_is_ended_when_one_stops_the_run(
    shop: Shop, around_load: Callable[[Callable[[int], None]], None]
) -> None:
    shop.feed(chunk_rows=2, workers=3)
    shop.write_csv("products.csv", NIGHT)

    def stop_the_first(number: int) -> None:
        if number == 1:
            raise RunInterrupted("Somebody asked for it.")

    with pytest.MonkeyPatch.context() as patch:
        load = FlaskSink.load
        patch.setattr(
            FlaskSink, "load", lambda sink, *given: (stop_the_first(given[0].ref.number), load(sink, *given))[1]
        )
        with pytest.raises(RunInterrupted):
            sync(shop)
    run = shop.execute("SELECT run_id FROM restock_run")[0]["run_id"]
    assert statuses(shop, run)[0] == "planned"
    assert "loading" not in statuses(shop, run)

    reprocess(shop)
    assert table(shop) == expected(NIGHT)


def test_transforms_meet_one_chunk_at_a_time_however_many_are_written(shop: Shop) -> None:
    shop.feed(chunk_rows=2, workers=4, transform=add_transform(shop, "crowd", CROWD))
    shop.write_csv("products.csv", NIGHT)

    assert counts(sync(shop)) == {"inserted": len(NIGHT)}
    assert __import__(f"{shop.package}.crowd", fromlist=["most"]).most == 1


def test_what_workers_have_under_way_is_put_back_and_never_committed_when_the_process_is_to_end(
    shop: Shop, around_load: Callable[[Callable[[int], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if shop.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer.")
    shop.feed(chunk_rows=2, workers=2)
    shop.write_csv("products.csv", NIGHT)
    under_way, seen, ended = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)

    def hold(number: int) -> None:
        if number > 1:
            under_way.release()
            seen.wait(30)

    def interrupted(work: partial[Outcome]) -> Future[Outcome]:
        """What is begun in the background; who waits for chunk 2 hears of a signal instead, when 3 has begun too."""
        begun = background(work)
        if isinstance(work, partial) and work.args[0].number > 1:
            begun.add_done_callback(lambda _: ended.release())
            begun.result = lambda: signal_comes()  # type: ignore[method-assign]
        return begun

    def signal_comes() -> Outcome:
        assert under_way.acquire(timeout=30)
        assert under_way.acquire(timeout=30)
        raise KeyboardInterrupt

    around_load(hold)
    with monkeypatch.context() as patch:
        patch.setattr("flows.runs.loading.background", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sync(shop)
    put_back = shop.execute("SELECT status, attempts FROM restock_chunk ORDER BY number")
    seen.set()
    assert ended.acquire(timeout=30)
    assert ended.acquire(timeout=30)

    assert [tuple(chunk.values()) for chunk in put_back] == [("loaded", 1)] + [("planned", 0)] * (CHUNKS - 1)
    assert table(shop) == expected(NIGHT[:2])
    assert counts(sync(shop)) == {"inserted": len(NIGHT)}


def test_who_has_been_told_of_all_chunks_puts_none_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a flow of Prefect does: its last task run takes the last chunk, and nobody asks whether there is another."""
    shop.feed(chunk_rows=2, workers=2)
    shop.write_csv("products.csv", NIGHT)
    place, opened = open_workplace(), list[str]()

    def load(feed: Feed, refs: list[ChunkRef]) -> Iterator[tuple[ChunkRef, Outcome]]:
        coming = load_here(feed, refs)
        yield from islice(coming, len(refs))
        monkeypatch.setattr("flows.runs.loading._open_sink", lambda feed: opened.append(feed.name))
        del coming

    [report] = admission.sync(place, place.feed(shop.feed_name), Door(load))

    assert counts(report) == {"inserted": len(NIGHT)}
    assert not opened
