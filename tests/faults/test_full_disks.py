"""A disk is full, a database read-only, a ledger not to be written: a sentence, nothing half, on later (T09, T10)."""

from __future__ import annotations

import resource
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from faults import children, oracle, upsets
from faults.loads import Load, make_load
from fix_databases import MakeDatabase
from fix_shop import MakeShop

from restock.errors import ConfigurationError, RestockError, SinkUnavailable

pytestmark = pytest.mark.usefixtures("no_pauses")

MANY_ROWS = 240
PAGES_TRIED = 40


@contextmanager
def setting(engine: sa.Engine, pragma: str, after: str) -> Iterator[None]:
    """Give every connection of the product a setting for the length of the block."""

    def set_it(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute(pragma)

    sa.event.listen(engine, "checkout", set_it)
    try:
        yield
    finally:
        sa.event.remove(engine, "checkout", set_it)
        with engine.connect() as connection:
            connection.exec_driver_sql(after)


def is_one_sentence(error: RestockError) -> bool:
    return "\n" not in str(error) and str(error).endswith(".")


def test_wherever_the_database_is_full_no_row_is_rejected_for_it_and_the_load_goes_on_later(sqlite_load: Load) -> None:
    load, engine = sqlite_load, upsets.engine_of(sqlite_load.shop)
    load.write(MANY_ROWS, chunk_rows=60)
    upsets.sync_once(load)
    found, ends = [], []
    for spare in range(PAGES_TRIED):
        load.reset()
        load.shop.engine.dispose()
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        with setting(engine, f"PRAGMA max_page_count = {pages + spare}", "PRAGMA max_page_count = 1000000"):
            try:
                upsets.sync_once(load)
                ends.append("through")
            except SinkUnavailable as error:
                ends.append("full")
                found += [] if is_one_sentence(error) and "no space" in str(error) else [str(error)]
        found += load.untruths()
        rejected = oracle.reject_positions(load.shop.engine) if spare else set[int]()
        found += ["a row was rejected for a full disk"] if rejected - load.source().poisoned else []
        upsets.load_until_done(load)
        found += [f"{spare} pages to spare: {each}" for each in load.violations()]
        if ends[-2:] == ["through", "through"]:
            break
    assert ends.count("full") > 2
    assert ends[-1] == "through"
    assert not found, "\n".join(found)
    [whole] = load.shop.execute("PRAGMA integrity_check")
    assert whole == {"integrity_check": "ok"}


def test_a_read_only_database_is_told_in_a_sentence(sqlite_load: Load) -> None:
    engine = upsets.engine_of(sqlite_load.shop)
    upsets.sync_once(sqlite_load)
    sqlite_load.reset()

    with (
        setting(engine, "PRAGMA query_only = 1", "PRAGMA query_only = 0"),
        pytest.raises(SinkUnavailable, match="does not accept writes") as told,
    ):
        upsets.sync_once(sqlite_load)

    assert is_one_sentence(told.value)
    assert sqlite_load.untruths() == []
    assert oracle.spooled(sqlite_load.spool) == []
    upsets.load_until_done(sqlite_load)
    assert sqlite_load.violations() == []


def test_a_ledger_that_may_not_be_written_stops_the_run_before_it_begins(
    make_database: MakeDatabase, make_shop: MakeShop
) -> None:
    url = sa.make_url(make_database("postgresql"))
    role = f"role_{uuid.uuid4().hex[:8]}"
    load = make_load(make_shop(url.set(username=url.username).render_as_string(hide_password=False)))
    shop = load.shop
    upsets.sync_once(load)
    load.reset()
    shop.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'restock'")
    try:
        shop.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        shop.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
        shop.execute(f"REVOKE INSERT ON restock_run FROM {role}")
        init = shop.folder / shop.package / "__init__.py"
        text = init.read_text(encoding="utf-8")
        lesser = url.set(username=role, password="restock").render_as_string(hide_password=False)
        init.write_text(text.replace(url.render_as_string(hide_password=False), lesser), encoding="utf-8")

        status, said = children.run(["sync", "products"], shop)

        assert status == ConfigurationError.exit_status
        assert "42501" in said
        assert len(said.strip().splitlines()) == 3  # what it does, what it read, and why it does not go on
        assert load.untruths() == []
        assert oracle.spooled(load.spool) == []
        init.write_text(text, encoding="utf-8")
        assert children.run(["sync", "products"], shop)[0] == 0
        assert load.violations() == []
    finally:
        shop.execute(f"DROP OWNED BY {role}")
        shop.execute(f"DROP ROLE {role}")


def limit_files(size: int) -> None:
    """Let this process write no file beyond a size."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_spool_disk_stops_the_run_before_it_begins(make_database: MakeDatabase, make_shop: MakeShop) -> None:
    load = make_load(make_shop(make_database("postgresql")))

    status, said = children.run(["sync", "products"], load.shop, prepare=partial(limit_files, 600))

    assert status == 1
    assert "spool cannot be written" in said
    assert "File too large" in said
    assert len(said.strip().splitlines()) == 2
    assert oracle.spooled(load.spool) == []
    assert load.untruths() == []
    assert children.run(["sync", "products"], load.shop)[0] == 0
    assert load.violations() == []
