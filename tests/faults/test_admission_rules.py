"""Which content goes on, is read, and in which order it is written: each rule is switched off in turn (T46)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from faults import children, oracle, upsets
from faults.failpoints import Failpoint
from faults.judging import judge
from faults.loads import Load, make_load
from fix_shop import MakeShop
from looking import wait_until

import flows.runs.entrance
import flows.runs.spooling
import sinks.writers.mappings_writer
from restock.errors import SourceChanged

# Marks what the code of its day made of a name.
MARKING = """\
def clean(frame):
    return frame.assign(name=frame["name"] + " {mark}")
"""


def take_any_content_for_the_same() -> None:
    """Tell no content from another."""
    flows.runs.entrance.fingerprint = lambda files, feed: "the same"


def take_any_code_for_the_same() -> None:
    """Tell no code from another."""
    flows.runs.entrance.code_digest = lambda feed: "the same"


def test_only_the_same_content_goes_on(sqlite_load: Load, is_on: bool) -> None:
    load, prepare = sqlite_load, None if is_on else take_any_content_for_the_same
    children.run(["sync", "products"], load.shop, Failpoint("attempt counted", 3), prepare=prepare)
    load.file.write_text(load.file.read_text(encoding="utf-8").replace("Product", "Changed"), encoding="utf-8")

    status, said = children.run(["sync", "products"], load.shop, prepare=prepare)

    assert status == 0, said
    expected = load.before | dict(load.source().accepted.values())
    judge([] if dict(oracle.table_of(load.shop.engine)) == expected else ["older content went on"], is_on)


def test_only_the_same_code_goes_on(sqlite_load: Load, is_on: bool) -> None:
    load, prepare = sqlite_load, None if is_on else take_any_code_for_the_same
    code = load.shop.folder / load.shop.package / "marking.py"
    load.shop.feed(chunk_rows=6, transform=f"{load.shop.package}.marking:clean")
    code.write_text(MARKING.format(mark="of Monday"), encoding="utf-8")
    children.run(["sync", "products"], load.shop, Failpoint("attempt counted", 3), prepare=prepare)
    code.write_text(MARKING.format(mark="of Tuesday"), encoding="utf-8")

    status, said = children.run(["sync", "products"], load.shop, prepare=prepare)

    assert status == 0, said
    monday = [name for _, (name, _, _) in oracle.table_of(load.shop.engine) if name.endswith("Monday")]
    judge([f"{len(monday)} rows are as Monday's code made them"] if monday else [], is_on)


def test_what_is_read_is_what_was_hashed(sqlite_load: Load, monkeypatch: pytest.MonkeyPatch, is_on: bool) -> None:
    load, extract = sqlite_load, flows.runs.spooling.extract

    def change_and_extract(*arguments: Any, **keys: Any) -> Any:
        load.file.write_text(load.file.read_text(encoding="utf-8").replace("Product", "Changed"), encoding="utf-8")
        return extract(*arguments, **keys)

    monkeypatch.setattr(flows.runs.spooling, "extract", change_and_extract)
    if not is_on:
        monkeypatch.setattr("sources.places.pinning.LocalFile.refuse_changed", lambda file, handle, cause: None)

    with suppress(SourceChanged):
        upsets.sync_once(load)

    changed = [name for _, (name, _, _) in oracle.table_of(load.shop.engine) if name.startswith("Changed")]
    judge([f"{len(changed)} rows are of a content that nobody admitted"] if changed else [], is_on)


def test_rows_are_written_in_the_order_of_their_keys(
    make_shop: MakeShop, postgresql_url: str, monkeypatch: pytest.MonkeyPatch, is_on: bool
) -> None:
    """A shop that locks rows in that order too waits for restock or makes it wait, and neither waits for the other."""
    load = make_load(make_shop(postgresql_url))
    load.shop.feed(chunk_rows=100, writer="mappings")
    lines = load.file.read_text(encoding="utf-8").splitlines(keepends=True)
    load.file.write_text("".join([lines[0], *reversed(lines[1:])]), encoding="utf-8")
    if not is_on:
        monkeypatch.setattr(sinks.writers.mappings_writer, "_in_order", lambda records, names: records)
    found, engine = list[str](), upsets.engine_of(load.shop)
    waits = threading.Event()

    def note(context: sa.engine.ExceptionContext) -> None:
        found.append(f"restock was the victim of {type(context.original_exception).__name__}")

    sa.event.listen(engine, "handle_error", note)
    sa.event.listen(engine, "before_cursor_execute", lambda *call: waits.set() if "UPDATE product" in call[2] else None)
    with load.shop.engine.connect() as shop, ThreadPoolExecutor(1) as pool:
        shop.execute(sa.text("UPDATE product SET stock = 0 WHERE sku = 'S-00001'"))
        run = pool.submit(upsets.sync_once, load)
        assert waits.wait(20)
        wait_until(lambda: _waiting(load.shop.engine))
        try:
            shop.execute(sa.text("UPDATE product SET stock = 0 WHERE sku = 'S-00022'"))
        except sa.exc.OperationalError as error:
            found.append(f"the shop was the victim of {type(error.orig).__name__}")
        shop.rollback()
        run.result(timeout=60)

    judge([each for each in found if "Deadlock" in each], is_on)


def _waiting(engine: sa.Engine) -> bool:
    question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with engine.connect() as connection:
        return bool(connection.execute(sa.text(question)).scalar_one())
