"""One owner of a table at a time: taken, kept, lost, given back, and taken over from the dead."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

import pytest
import sqlalchemy as sa
from contracts.loads import MakeTable, Table, open_table
from fix_shop import MakeShop

from restock.errors import ConfigurationError, LeaseLost, TargetBusy
from sinks.ledger.lease import Lease, fence, keeping, renew, take_lease
from sinks.ledger.owners import Owner
from sinks.ledger.tables import database_time, metadata

OPEN_SINK = """\
import sys
from restock.feeds import Feed
from sinks.flask_sink import open_sink
from sinks.ledger.lease import take_lease

sys.path.append({folder!r})
sink = open_sink(Feed(name="products", source="p.csv", app={app!r}, model={model!r}, match_on=["sku"]))
"""
CREATE = "sink.ledger.create()\n"
TAKE_LEASE = CREATE + "take_lease(sink.database, sink.target.name, sink.feed.name)\nprint('taken', flush=True)\n"
WAIT = "print('ready', flush=True)\nsys.stdin.readline()\n"
STAY = "sys.stdin.read()\n"


@pytest.fixture
def products(make_table: MakeTable) -> Table:
    return make_table()


def start_process(products: Table, doing: str) -> subprocess.Popen[str]:
    """Another process that has opened the same table and does something with its sink."""
    shop = products.shop
    code = OPEN_SINK.format(folder=str(shop.folder), app=shop.app, model=shop.model()) + doing
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def held(products: Table) -> Mapping[str, object]:
    [row] = products.shop.rows("restock_lease")
    return row


def test_a_dead_process_of_this_host_is_taken_over_at_once(products: Table) -> None:
    with start_process(products, TAKE_LEASE) as process:
        output, errors = process.communicate(timeout=60)
    assert (output, process.returncode) == ("taken\n", 0), errors

    lease = products.take_lease()

    assert lease.token == 2


def test_a_living_process_is_left_alone_and_named(products: Table) -> None:
    with start_process(products, TAKE_LEASE + STAY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        with pytest.raises(TargetBusy, match=rf"product is being written by process {process.pid} on "):
            products.take_lease()
        process.communicate("", timeout=60)

    assert products.take_lease().token == 2


def test_the_own_process_does_not_take_a_lease_from_itself(products: Table) -> None:
    with products.admitted([1]) as [ref], pytest.raises(TargetBusy) as busy:
        products.take_lease()

    assert re.search(rf"process {os.getpid()} on .* \(run {ref.run_id}, for \d+ s\)", str(busy.value))

    assert held(products)["owner"] is None


def test_a_lease_that_was_given_back_is_free_at_once_under_a_new_token(products: Table) -> None:
    first = products.take_lease()
    with keeping(products.sink.database, first):
        pass

    assert products.take_lease().token == first.token + 1


def test_a_lease_that_was_given_back_stays_free_when_its_owner_renews_it_late(products: Table) -> None:
    """As the heartbeat does that was waiting for the database while the lease was given back."""
    first = products.take_lease()
    with keeping(products.sink.database, first):
        pass
    with products.sink.database.begin() as connection:
        renew(connection, first)

    assert products.take_lease().token == first.token + 1


def test_a_lease_ends_by_the_clock_of_the_database(products: Table) -> None:
    """The owner is on another host, so nobody here can tell whether it lives."""
    products.take_lease()
    far_away = str(Owner("elsewhere", 1, "1"))
    products.shop.execute("UPDATE restock_lease SET owner = :owner, expires_at = expires_at + 60", owner=far_away)
    with pytest.raises(TargetBusy, match="by process 1 on elsewhere"):
        products.take_lease()

    with products.shop.engine.begin() as connection:
        past = sa.update(metadata.tables["restock_lease"]).values(expires_at=database_time() - 1)
        connection.execute(past)

    assert products.take_lease().token == 2


def test_the_clock_of_the_database_tells_seconds_and_their_fractions(products: Table) -> None:
    with products.shop.engine.connect() as connection:
        first = connection.execute(sa.select(database_time())).scalar_one()
    time.sleep(0.2)
    with products.shop.engine.connect() as connection:
        second = connection.execute(sa.select(database_time())).scalar_one()

    assert first == pytest.approx(time.time(), abs=30)
    assert 0.1 < second - first < 10


def test_renewing_prolongs_the_lease_and_names_the_run(products: Table) -> None:
    lease = products.take_lease()
    before = held(products)
    longer = Lease(lease.target, lease.token, lease.seconds + 500)

    with products.sink.database.transaction() as session:
        renew(products.sink.database.connection(session), longer, "run-x")

    after = held(products)
    assert after["run_id"] == "run-x"
    assert float(str(after["expires_at"])) - float(str(before["expires_at"])) >= 500


def test_a_lost_lease_cannot_be_renewed_and_is_not_given_back(products: Table) -> None:
    lease = products.take_lease()
    with keeping(products.sink.database, lease):
        products.shop.execute("UPDATE restock_lease SET token = token + 1, owner = 'h|1|s'")
        with products.sink.database.transaction() as session, pytest.raises(LeaseLost):
            renew(products.sink.database.connection(session), lease)

    assert held(products)["owner"] == "h|1|s"


def test_leases_of_two_tables_are_renewed_and_given_back_each_by_itself(products: Table) -> None:
    database = products.sink.database
    lease, other = products.take_lease(), take_lease(database, "other", None)
    assert lease.token == other.token

    with keeping(database, lease), database.begin() as connection:
        renew(connection, lease)

    with pytest.raises(TargetBusy):
        take_lease(database, "other", None)


def test_a_lease_that_has_run_out_is_taken_when_what_its_owner_has_fenced_is_over(products: Table) -> None:
    if products.sink.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer.")
    database, lease, taken = products.sink.database, products.take_lease(), list[Lease]()
    thread = threading.Thread(target=lambda: taken.append(products.take_lease()))

    with database.begin() as connection:
        fence(connection, lease)
        products.shop.execute("UPDATE restock_lease SET expires_at = 0")
        thread.start()
        thread.join(timeout=1)
        assert taken == []
    thread.join(timeout=60)

    assert [each.token for each in taken] == [lease.token + 1]
    with database.begin() as connection, pytest.raises(LeaseLost):
        fence(connection, lease)


def test_a_lease_is_renewed_in_the_background_while_it_is_kept(
    products: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products.sink.database, "lease_seconds", 1.0)
    lease = products.take_lease()
    with keeping(products.sink.database, lease):
        time.sleep(1.6)

        with pytest.raises(TargetBusy):
            products.take_lease()


def test_a_lease_is_renewed_on_after_an_error_of_the_app_s_own_code(
    products: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of a listener which fetches a password for each connection, and could not this once."""
    raised: list[str] = []

    def fail_once(*_: object) -> None:
        if threading.current_thread().name == "restock-heartbeat" and not raised:
            raised.append("once")
            raise OSError("no password this time")

    monkeypatch.setattr(products.sink.database, "lease_seconds", 1.0)
    lease = products.take_lease()
    sa.event.listen(products.sink.database.engine, "checkout", fail_once)
    with keeping(products.sink.database, lease):
        time.sleep(1.6)

        with pytest.raises(TargetBusy):
            products.take_lease()
    assert raised


def test_what_was_done_under_a_lease_stands_where_the_app_s_own_code_keeps_it_from_being_given_back(
    products: Table, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no password any more, SECRET")

    with keeping(products.sink.database, products.take_lease()):
        sa.event.listen(products.sink.database.engine, "checkout", fail)
    sa.event.remove(products.sink.database.engine, "checkout", fail)

    assert (
        "The lease of product could not be given back (OSError); nothing is lost by it: it ends by itself within 60 s."
        in caplog.text.replace("within 300 s", "within 60 s")  # on SQLite
    )
    assert "SECRET" not in caplog.text
    assert held(products)["owner"] is not None


def test_attempts_are_begun_while_somebody_holds_the_entry_of_the_lease(products: Table) -> None:
    """Each of several workers would wait for all before it, far from the database for a good part of a second."""
    if products.sink.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer.")
    with products.admitted([1, 1]) as [ref, other], products.sink.database.transaction() as session:
        renew(products.sink.database.connection(session), products.sink.ledger.lease_of(ref))

        begun_at = time.monotonic()
        products.sink.ledger.begin_attempt(other)

        assert time.monotonic() - begun_at < 1.0
    assert products.entry(other).attempts == 1


def test_two_first_runs_at_once_create_the_ledger_once(products: Table) -> None:
    """Both look before either has created anything, on databases that cannot roll a CREATE TABLE back as well."""
    shop = products.shop
    processes = [start_process(products, WAIT + CREATE) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outcomes = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        with process:
            outcomes.append((process.communicate(timeout=60)[1], process.returncode))

    assert outcomes == [("", 0)] * 3
    assert set(metadata.tables) <= set(shop.tables())


def test_two_first_runs_at_once_enter_a_table_once(products: Table) -> None:
    """Both look before either has entered it, and the one that comes second takes the other's entry for its own."""
    database, taken = products.sink.database, list[Lease]()
    if database.dialect == "sqlite":
        pytest.skip("SQLite has one writer.")
    products.sink.ledger.create()
    thread = threading.Thread(target=lambda: taken.append(take_lease(database, "new", None)))

    with products.shop.engine.begin() as other:
        other.execute(sa.insert(metadata.tables["restock_lease"]).values(target="new", token=0, expires_at=0.0))
        other.execute(sa.insert(metadata.tables["restock_fence"]).values(target="new", token=0))
        thread.start()
        thread.join(timeout=1)
        assert taken == []
    thread.join(timeout=60)

    assert [each.token for each in taken] == [1]


def test_a_user_who_may_not_create_tables_is_told_what_to_do(make_shop: MakeShop, postgresql_url: str) -> None:
    owner = open_table(make_shop(postgresql_url))
    role = f"reader_{os.getpid()}"
    owner.shop.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hidden'")
    try:
        owner.shop.execute(f"GRANT SELECT, INSERT, UPDATE ON product TO {role}")
        url = sa.make_url(postgresql_url).set(username=role, password="hidden")
        package = owner.shop.folder / owner.shop.package / "__init__.py"
        package.write_text(package.read_text().replace(repr(postgresql_url), repr(url.render_as_string(False))))
        with start_process(owner, CREATE) as process:
            _, errors = process.communicate(timeout=60)
    finally:
        owner.shop.execute(f"DROP OWNED BY {role}")
        owner.shop.execute(f"DROP ROLE {role}")

    sentence = errors.strip().splitlines()[-1]
    assert sentence.startswith(f"{ConfigurationError.__module__}.{ConfigurationError.__name__}: The ledger tables (")
    assert (
        "(InsufficientPrivilege 42501); let a database user who may create and alter tables run "
        "`restock init` once." in sentence
    )
    assert "hidden" not in sentence
