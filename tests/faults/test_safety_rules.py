"""Each safety rule is switched off in turn, and a scenario must notice; with the rule on, it says nothing (T46)."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from faults import children, oracle, upsets
from faults.database_calls import Fault, upsetting
from faults.failpoints import Failpoint
from faults.judging import judge
from faults.line import Line
from faults.loads import Load
from faults.shops_at_risk import DEADLY, DEFERRED
from faults.sleepers import woken
from fix_shop import MakeShop
from shops import Shop

import sinks.database.retries
import sinks.flask_sink
import sinks.ledger.bookkeeping
import sinks.presence
from flows.runs import reprocessing
from flows.runs.door import Door
from flows.runs.loading import load_here
from flows.runs.workplace import open_workplace
from restock.errors import RestockError
from sinks.database import app_database
from sinks.database.db_errors import Trouble
from sinks.ledger.bookkeeping import Ledger

Switch = Callable[[pytest.MonkeyPatch], None]

pytestmark = pytest.mark.usefixtures("no_pauses")


def forget_the_token() -> None:
    """Let every lease be renewed, whoever has it."""
    sinks.ledger.bookkeeping.renew = lambda connection, lease, run_id=None: None  # type: ignore[assignment]
    sinks.ledger.bookkeeping.fence = lambda connection, lease: None  # type: ignore[assignment]


def test_the_token_of_the_lease_is_checked(sqlite_load: Load, is_on: bool) -> None:
    # Between two chunks: while one is being written, a sleeper would hold SQLite's only write lock.
    failpoint = Failpoint("attempt counted", 3, "stop")
    judge(woken(sqlite_load, failpoint, None if is_on else forget_the_token), is_on)


def forget_the_fence() -> None:
    """Write without asking whether one may, and say `loaded` whatever the ledger says."""
    Ledger.fence = lambda self, connection, ref: None  # type: ignore[method-assign]
    Ledger.loaded = lambda self, connection, ref, result: None  # type: ignore[method-assign]


def test_no_row_is_written_without_the_fence_and_the_entry(sqlite_load: Load, is_on: bool) -> None:
    status, _ = children.run(["sync", "products"], sqlite_load.shop, prepare=None if is_on else forget_the_fence)
    assert status in (0, 1)
    judge(sqlite_load.untruths(), is_on)


def count_no_attempt() -> None:
    """Begin attempts as if none had been made before."""
    sinks.ledger.bookkeeping.DEADLY_ATTEMPTS = 1_000_000


def test_attempts_are_counted_before_they_are_made(sqlite_load: Load, is_on: bool) -> None:
    shop = sqlite_load.shop
    (shop.folder / shop.package / "deadly.py").write_text(DEADLY, encoding="utf-8")
    shop.feed(chunk_rows=6, transform=f"{shop.package}.deadly:clean")
    prepare = None if is_on else count_no_attempt

    ends = [children.run(["sync", "products"], shop, prepare=prepare)[0] for _ in range(4)]

    judge(["it is killed for ever"] if ends[-1] == -signal.SIGKILL else [], is_on)


def test_a_refused_commit_is_rolled_back(
    make_shop: MakeShop, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    shop = make_shop(sqlite_url, DEFERRED)
    shop.feed(chunk_rows=2)
    rows = [{"sku": f"S-{n}", "name": f"Product {n}", "category_id": 999 if n == 3 else ""} for n in range(1, 9)]
    shop.write_csv("products.csv", rows)
    if not is_on:
        monkeypatch.setattr(app_database, "_roll_back", lambda session: None)
        monkeypatch.setattr("sqlalchemy.engine.default.DefaultDialect.do_rollback", lambda self, connection: None)

    with suppress(Exception):
        upsets.sync_once(Load(shop))

    expected = [f"S-{n}" for n in (1, 2, 5, 6, 7, 8)]
    there = [row["sku"] for row in shop.rows("product")]
    judge([] if there == expected else [f"the table holds {there}"], is_on)


def test_after_an_error_from_commit_the_ledger_is_asked(
    load_on_a_line: tuple[Load, Line], monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    load, line = load_on_a_line
    upsets.sync_once(load)
    if not is_on:
        asked = sinks.database.retries.with_retries
        blind: Any = lambda work, doing, settled=None, **keys: asked(work, doing, None, **keys)  # noqa: E731
        monkeypatch.setattr(sinks.ledger.bookkeeping, "with_retries", blind)
    found = []
    for number in range(1, 7):
        load.reset()
        line.lose_commit(number, "reply")
        try:
            upsets.sync_once(load)
        except Exception as error:
            found.append(f"the lost answer to COMMIT {number} ended the run: {type(error).__name__}")
    judge(found, is_on)


def test_newer_content_supersedes_what_is_outstanding(
    sqlite_load: Load, monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    load = sqlite_load
    children.run(["sync", "products"], load.shop, Failpoint("attempt counted", 3))
    newer = load.file.read_text(encoding="utf-8").replace("Product", "Newer product")
    load.file.write_text(newer, encoding="utf-8")
    if not is_on:
        monkeypatch.setattr(sinks.ledger.bookkeeping, "_supersede_older", lambda connection, run: [])
        # Which is noticed elsewhere too, and refused.
        monkeypatch.setattr(reprocessing, "refuse_overtaken", lambda feed, past, run: None)

    upsets.sync_once(load)
    reprocessing.reprocess(open_workplace(), Door(load_here))

    table, expected = dict(oracle.table_of(load.shop.engine)), load.before | dict(load.source().accepted.values())
    judge([] if table == expected else ["older content was written over newer"], is_on)


@pytest.mark.parametrize("kind", ["full", "conflict"])
def test_errors_are_told_apart_by_their_codes(
    sqlite_load: Load, monkeypatch: pytest.MonkeyPatch, is_on: bool, kind: Any
) -> None:
    load, engine = sqlite_load, upsets.engine_of(sqlite_load.shop)
    upsets.sync_once(load)
    load.reset()
    if not is_on:
        for module in ("sinks.database.retries", "sinks.staging.savepoints"):
            monkeypatch.setattr(f"{module}.trouble_of", lambda error: Trouble.DATA)
    with upsetting(engine, None) as calls, suppress(RestockError):
        upsets.sync_once(load)
    found = []
    for call in range(20, calls.made, 5):
        load.reset()
        with upsetting(engine, Fault(call, kind, times=2 + call % 11)), suppress(Exception):
            upsets.sync_once(load)
        found += [
            f"row {row} was rejected" for row in oracle.reject_positions(load.shop.engine) - load.source().poisoned
        ]
        found += ["chunks failed"] if "failed" in oracle.statuses(load.shop.engine) else []
    judge(found, is_on)


def test_guilty_rows_are_isolated(sqlite_load: Load, monkeypatch: pytest.MonkeyPatch, is_on: bool) -> None:
    if not is_on:
        whole: Any = lambda session, writer, changes: ([], writer.write(session, changes))  # noqa: E731
        monkeypatch.setattr(sinks.flask_sink, "write_isolated", whole)
    upsets.sync_once(sqlite_load)
    judge(sqlite_load.violations(), is_on)


def test_an_older_version_of_a_row_is_not_written(
    sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    shop = sqlite_shop
    shop.feed(version_column="updated_at")
    shop.execute("INSERT INTO product (sku, name, updated_at) VALUES ('S-1', 'newer', '2026-02-01 00:00:00.000000')")
    shop.write_csv("products.csv", [{"sku": "S-1", "name": "older", "updated_at": "2026-01-01T00:00:00Z"}])
    if not is_on:
        monkeypatch.setattr(sinks.presence, "_is_older", lambda sent, stored: sa.false())

    upsets.sync_once(Load(shop))

    [row] = shop.rows("product", "name")
    judge([] if row["name"] == "newer" else ["an older row was written over a newer one"], is_on)


def test_rows_are_compared_before_they_are_written(
    sqlite_load: Load, monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    upsets.sync_once(sqlite_load)
    if not is_on:
        monkeypatch.setattr(sinks.presence, "differs", lambda stage: sa.true())

    upsets.sync_once(sqlite_load)

    judge(sqlite_load.violations(), is_on)
