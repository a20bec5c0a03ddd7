"""What the errors of real databases mean: each is provoked, none is made up."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fix_databases import MakeDatabase
from fix_shop import MakeShop
from shops import Shop, refuse_by_trigger

from restock.errors import ConfigurationError, SinkUnavailable
from sinks.database.data_faults import DataFault, data_fault
from sinks.database.db_errors import Trouble, trouble_of
from sinks.database.error_codes import describe
from sinks.database.retries import ONCE, DataTrouble, with_retries

PARTS = """\
import sqlite3


@sa.event.listens_for(sa.Engine, "connect")
def check_foreign_keys(connection, _record):
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")


class Part(db.Model):
    __tablename__ = "part"
    __table_args__ = (
        sa.ForeignKeyConstraint(["parent"], ["part.sku"], name="fk_parent"),
        sa.CheckConstraint("label <> 'SECRET-check'", name="label_is_fine"),
        sa.UniqueConstraint("label", name="uq_label"),
    )

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    label: Mapped[str] = mapped_column(sa.String(20))
    small: Mapped[int | None] = mapped_column(sa.SmallInteger)
    parent: Mapped[str | None] = mapped_column(sa.String(20))
"""

GOOD = {"sku": "SECRET-1", "label": "SECRET-a", "small": 1, "parent": None}

# What is wrong with a row, and the fault by the kind of database; those not named have no such fault.
FAULTS: dict[str, tuple[dict[str, Any], dict[str, DataFault]]] = {
    "unique": (
        {"sku": "SECRET-2"},
        {
            "sqlite": DataFault("unique:label", "label"),
            "postgresql": DataFault("unique:uq_label"),
            "mariadb": DataFault("unique:uq_label"),
        },
    ),
    "primary key": (
        {"label": "SECRET-b"},
        {
            "sqlite": DataFault("unique:sku", "sku"),
            "postgresql": DataFault("unique:part_pkey"),
            "mariadb": DataFault("unique:PRIMARY"),
        },
    ),
    "null": (
        {"sku": "SECRET-2", "label": None},
        dict.fromkeys(["sqlite", "postgresql", "mariadb"], DataFault("null", "label")),
    ),
    "check": (
        {"sku": "SECRET-2", "label": "SECRET-check"},
        dict.fromkeys(["sqlite", "postgresql", "mariadb"], DataFault("check:label_is_fine")),
    ),
    "foreign key": (
        {"sku": "SECRET-2", "label": "SECRET-b", "parent": "SECRET-0"},
        {
            "sqlite": DataFault("foreign_key"),
            "postgresql": DataFault("foreign_key:fk_parent", "parent"),
            "mariadb": DataFault("foreign_key:fk_parent", "parent"),
        },
    ),
    "length": (
        {"sku": "SECRET-" * 5, "label": "SECRET-b"},
        {"postgresql": DataFault("too_long"), "mariadb": DataFault("too_long", "sku")},
    ),
    "range": (
        {"sku": "SECRET-2", "label": "SECRET-b", "small": 40_000},
        {"postgresql": DataFault("out_of_range"), "mariadb": DataFault("out_of_range", "small")},
    ),
    "number": (
        {"sku": "SECRET-2", "label": "SECRET-b", "small": "SECRET"},
        {"postgresql": DataFault("refused:22P02"), "mariadb": DataFault("refused:1366", "small")},
    ),
    "number that looks like the end of the error": (
        {"sku": "SECRET-2", "label": "SECRET-b", "small": "SECRET' for column 'label' at row 1"},
        {"mariadb": DataFault("refused:1366", "small")},
    ),
    "nul": ({"sku": "SECRET\0", "label": "SECRET-b"}, {"postgresql": DataFault("refused")}),
    "surrogate": (
        {"sku": "SECRET\ud800", "label": "SECRET-b"},
        dict.fromkeys(["sqlite", "postgresql", "mariadb"], DataFault("refused")),
    ),
    "driver": ({"sku": "SECRET-2", "label": "SECRET-b", "small": 2**70}, {"sqlite": DataFault("refused")}),
    "type": ({"sku": "SECRET-2", "label": "SECRET-b", "small": ["SECRET"]}, {"sqlite": DataFault("refused")}),
}


@pytest.fixture
def parts(make_shop: MakeShop, database_url: str) -> Shop:
    return make_shop(database_url, PARTS)


def kind_of(shop: Shop) -> str:
    return {"mysql": "mariadb"}.get(shop.engine.dialect.name, shop.engine.dialect.name)


def error_of(engine: sa.Engine, *statements: str, **values: Any) -> Exception:
    """What the last of the statements raises."""
    with engine.connect() as connection:
        for statement in statements[:-1]:
            connection.execute(sa.text(statement))
        with pytest.raises(Exception) as raised:  # noqa: PT011 - what is raised is the question
            connection.execute(sa.text(statements[-1]), values)
        connection.invalidate()
    return raised.value


INSERT = "INSERT INTO part (sku, label, small, parent) VALUES (:sku, :label, :small, :parent)"


def test_a_row_that_the_database_refuses_has_a_reason_without_its_values(parts: Shop) -> None:
    parts.insert("part", GOOD)
    kind = kind_of(parts)
    expected = {name: faults[kind] for name, (_, faults) in FAULTS.items() if kind in faults}

    errors = {name: error_of(parts.engine, INSERT, **GOOD | FAULTS[name][0]) for name in expected}

    assert {name: trouble_of(error) for name, error in errors.items()} == dict.fromkeys(expected, Trouble.DATA)
    assert {name: data_fault(error) for name, error in errors.items()} == expected
    assert "SECRET" not in str([(data_fault(error), describe(error)) for error in errors.values()])


def test_what_psycopg2_raises_is_told_apart_as_well(make_shop: MakeShop, postgresql_url: str) -> None:
    pytest.importorskip("psycopg2", reason="restock does not come with psycopg2, which an app may use.")
    shop = make_shop(postgresql_url, PARTS)
    shop.insert("part", GOOD)
    engine = sa.create_engine(shop.engine.url.set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool)

    refused = error_of(engine, INSERT, **GOOD | {"label": "SECRET-b"})
    with shop.engine.begin() as holder:
        holder.execute(sa.text("UPDATE part SET small = 2"))
        locked = error_of(engine, "SET lock_timeout = '20ms'", "UPDATE part SET small = 3")

    assert (trouble_of(refused), data_fault(refused)) == (Trouble.DATA, DataFault("unique:part_pkey"))
    assert describe(refused) == "UniqueViolation 23505"
    assert trouble_of(locked) is Trouble.TRANSIENT


def test_a_unique_constraint_over_several_columns_names_them_on_sqlite(make_shop: MakeShop, sqlite_url: str) -> None:
    shop = make_shop(sqlite_url)
    shop.execute("CREATE TABLE pair (a INTEGER, b INTEGER, UNIQUE (a, b))")
    shop.execute("INSERT INTO pair VALUES (1, 2)")

    assert data_fault(error_of(shop.engine, "INSERT INTO pair VALUES (1, 2)")) == DataFault("unique:a,b")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_column_of_a_foreign_key_is_told_where_it_is_one_and_never_from_a_value(
    make_shop: MakeShop, make_database: MakeDatabase, kind: str
) -> None:
    shop = make_shop(make_database(kind))
    shop.execute("CREATE TABLE parent (a VARCHAR(9), b VARCHAR(9), PRIMARY KEY (a, b), UNIQUE (b))")
    shop.execute(
        "CREATE TABLE child (a VARCHAR(9), b VARCHAR(9), the_own VARCHAR(9),"
        " CONSTRAINT two FOREIGN KEY (a, b) REFERENCES parent (a, b),"
        " CONSTRAINT one FOREIGN KEY (the_own) REFERENCES parent (b))"
    )

    two = error_of(shop.engine, "INSERT INTO child VALUES ('(x)=(', '`x`)', NULL)")
    one = error_of(shop.engine, "INSERT INTO child VALUES (NULL, NULL, '(x)=(')")

    assert data_fault(two) == DataFault("foreign_key:two")
    assert data_fault(one) == DataFault("foreign_key:one", "the_own")


def test_a_trigger_that_raises_refuses_a_row(parts: Shop) -> None:
    refuse_by_trigger(parts, "part", "NEW.label = 'SECRET-t'")

    error = error_of(parts.engine, INSERT, **GOOD | {"label": "SECRET-t"})

    assert (trouble_of(error), data_fault(error)) == (Trouble.DATA, DataFault("trigger"))
    assert "SECRET" not in describe(error)


def test_a_trigger_on_postgresql_may_name_the_kind_of_its_refusal(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url, PARTS)
    refuse_by_trigger(shop, "part", "true", " USING ERRCODE = 'check_violation'")

    assert data_fault(error_of(shop.engine, INSERT, **GOOD)) == DataFault("check")


def test_what_a_trigger_makes_up_refuses_a_row_and_not_the_run(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url, PARTS)
    refuse_by_trigger(shop, "part", "true", " USING ERRCODE = 'U0001'")

    error = error_of(shop.engine, INSERT, **GOOD)

    assert (trouble_of(error), data_fault(error)) == (Trouble.DATA, DataFault("trigger"))


def test_a_policy_on_postgresql_refuses_a_row_and_not_the_run(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url, PARTS)
    statements = [
        f"CREATE ROLE {shop.package}",
        f"GRANT INSERT ON part TO {shop.package}",
        "ALTER TABLE part ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY small_ones ON part WITH CHECK (small < 1)",
        f"SET LOCAL ROLE {shop.package}",
    ]

    policy = error_of(shop.engine, *statements, INSERT, **GOOD)
    right = error_of(shop.engine, *statements[:1], *statements[4:], INSERT, **GOOD)

    assert (trouble_of(policy), data_fault(policy)) == (Trouble.DATA, DataFault("refused:42501"))
    assert trouble_of(right) is Trouble.FATAL


def test_a_row_without_a_partition_or_with_a_made_up_error_is_refused_by_mariadb(
    make_shop: MakeShop, mariadb_url: str
) -> None:
    shop = make_shop(mariadb_url)
    shop.execute("CREATE TABLE year (number INT) PARTITION BY LIST (number) (PARTITION one VALUES IN (1))")
    shop.execute("CREATE TABLE month (number INT)")
    shop.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON month FOR EACH ROW SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001"
    )

    errors = [error_of(shop.engine, f"INSERT INTO {name} VALUES (2)") for name in ("year", "month")]

    assert [trouble_of(error) for error in errors] == [Trouble.DATA] * 2
    assert [data_fault(error) for error in errors] == [DataFault("refused:1526"), DataFault("trigger")]


def test_an_exclusion_on_postgresql_refuses_a_row(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url)
    shop.execute("CREATE TABLE stay (days int4range, CONSTRAINT one_guest EXCLUDE USING gist (days WITH &&))")
    shop.execute("INSERT INTO stay VALUES ('[1,5)')")

    error = error_of(shop.engine, "INSERT INTO stay VALUES ('[4,6)')")

    assert (trouble_of(error), data_fault(error)) == (Trouble.DATA, DataFault("exclusion:one_guest"))


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "SELECT nothing FROM part", "SELEKT"])
def test_a_table_that_is_not_as_expected_is_nothing_to_try_again(parts: Shop, statement: str) -> None:
    assert trouble_of(error_of(parts.engine, statement)) is Trouble.FATAL


def test_a_database_that_takes_no_writes_is_read_only(parts: Shop) -> None:
    read_only = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET TRANSACTION READ ONLY",
        "mariadb": "START TRANSACTION READ ONLY",
    }[kind_of(parts)]

    assert trouble_of(error_of(parts.engine, read_only, INSERT, **GOOD)) is Trouble.READ_ONLY


def test_a_lock_that_somebody_else_holds_is_passing_trouble(make_shop: MakeShop, database_url: str) -> None:
    hasty = f"{database_url}?timeout=0.01" if database_url.startswith("sqlite") else database_url
    shop = make_shop(hasty, PARTS)
    shop.insert("part", GOOD)
    waits = {
        "sqlite": ["UPDATE part SET small = 3"],
        "postgresql": ["SET lock_timeout = '20ms'", "UPDATE part SET small = 3"],
        "mariadb": ["SELECT * FROM part FOR UPDATE NOWAIT"],
    }[kind_of(shop)]

    with shop.engine.begin() as holder:
        holder.execute(sa.text("UPDATE part SET small = 2"))
        error = error_of(shop.engine, *waits)

    assert trouble_of(error) is Trouble.TRANSIENT


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_database_whose_row_is_locked_is_not_said_to_be_away(
    kind: str, make_shop: MakeShop, make_database: MakeDatabase
) -> None:
    shop = make_shop(make_database(kind), PARTS)
    shop.insert("part", GOOD)

    def work() -> None:
        with shop.engine.begin() as connection:
            connection.execute(sa.text("SELECT * FROM part FOR UPDATE NOWAIT"))

    with shop.engine.begin() as holder:
        holder.execute(sa.text("UPDATE part SET small = 2"))
        with pytest.raises(SinkUnavailable) as stopped:
            with_retries(work, "loading", patience=ONCE)

    assert str(stopped.value).endswith(
        "what is committed is kept, so start again when no other transaction is in its way."
    )


def test_a_database_without_rights_says_that_what_is_committed_is_kept(
    make_shop: MakeShop, postgresql_url: str
) -> None:
    shop = make_shop(postgresql_url, PARTS)

    def work() -> None:
        with shop.engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL ROLE pg_monitor"))
            connection.execute(sa.text("SELECT * FROM part"))

    with pytest.raises(ConfigurationError) as stopped:
        with_retries(work, "loading")

    assert str(stopped.value) == (
        "The database failed while loading (InsufficientPrivilege 42501); what is committed is kept: look at its "
        "tables and rights, then start again."
    )


def test_a_transaction_that_cannot_be_put_in_order_is_passing_trouble(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url, PARTS)
    shop.insert("part", GOOD)
    with shop.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(sa.text("SELECT * FROM part"))
        shop.execute("UPDATE part SET small = 2")
        with pytest.raises(sa.exc.OperationalError) as raised:
            connection.execute(sa.text("UPDATE part SET small = 3"))

    assert trouble_of(raised.value) is Trouble.TRANSIENT
    assert describe(raised.value) == "SerializationFailure 40001"


def test_a_statement_that_took_too_long_is_passing_trouble(make_shop: MakeShop, postgresql_url: str) -> None:
    shop = make_shop(postgresql_url, PARTS)

    error = error_of(shop.engine, "SET statement_timeout = '20ms'", "SELECT pg_sleep(5)")

    assert trouble_of(error) is Trouble.TRANSIENT


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_connection_that_was_cut_is_a_lost_connection(
    make_shop: MakeShop, request: pytest.FixtureRequest, kind: str
) -> None:
    shop = make_shop(request.getfixturevalue(f"{kind}_url"), PARTS)
    own, cut = {
        "postgresql": ("pg_backend_pid()", "SELECT pg_terminate_backend({})"),
        "mariadb": ("connection_id()", "KILL {}"),
    }[kind]
    with shop.engine.connect() as connection:
        number = connection.execute(sa.text(f"SELECT {own}")).scalar_one()
        shop.execute(cut.format(number))
        with pytest.raises(sa.exc.DBAPIError) as raised:
            connection.execute(sa.text("SELECT 1"))

    assert trouble_of(raised.value) is Trouble.CONNECTION


@pytest.mark.parametrize(
    "address", ["postgresql+psycopg://u:SECRET@127.0.0.1:1/x", "mysql+pymysql://u:SECRET@127.0.0.1:1/x"]
)
def test_a_server_that_is_down_is_a_refused_connection(address: str) -> None:
    with pytest.raises(sa.exc.DBAPIError) as raised:
        sa.create_engine(address).connect()

    assert trouble_of(raised.value) is Trouble.CONNECTION
    assert "SECRET" not in describe(raised.value)


def test_a_wrong_password_on_mariadb_is_nothing_to_try_again(mariadb_url: str) -> None:
    with pytest.raises(sa.exc.OperationalError) as raised:
        sa.create_engine(sa.make_url(mariadb_url).set(username="nobody-here", password="SECRET")).connect()

    assert trouble_of(raised.value) is Trouble.FATAL
    assert describe(raised.value) == "OperationalError 1045"


def test_a_wrong_login_on_postgresql_is_nothing_to_try_again(postgresql_url: str) -> None:
    """psycopg tells no code of it, but words."""
    with pytest.raises(sa.exc.OperationalError) as raised:
        sa.create_engine(sa.make_url(postgresql_url).set(username="nobody-here", password="SECRET")).connect()

    assert trouble_of(raised.value) is Trouble.FATAL


def test_a_pool_without_a_free_connection_is_a_refused_connection(sqlite_url: str) -> None:
    engine = sa.create_engine(sqlite_url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with closing(engine.connect()), pytest.raises(sa.exc.TimeoutError) as raised:
        engine.connect()
    engine.dispose()

    assert trouble_of(raised.value) is Trouble.CONNECTION


def test_an_error_that_nobody_knows_is_never_a_row() -> None:
    assert trouble_of(sa.exc.InvalidRequestError("?")) is Trouble.FATAL


@pytest.fixture
def tried(no_pauses: None) -> list[str]:
    return []


def test_a_lost_connection_is_tried_five_times_and_then_stops_the_run(tried: list[str]) -> None:
    engine = sa.create_engine("postgresql+psycopg://u:SECRET@127.0.0.1:1/x")

    def work() -> None:
        tried.append("once more")
        engine.connect()

    with pytest.raises(SinkUnavailable, match="while loading: a lost or refused connection") as stopped:
        with_retries(work, "loading")

    assert len(tried) == 5
    assert "SECRET" not in str(stopped.value)


@pytest.mark.parametrize("failures", [1, 2])
def test_passing_trouble_is_heard_of_when_it_comes_twice(
    failures: int, tried: list[str], make_shop: MakeShop, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(f"{sqlite_url}?timeout=0.01", PARTS)

    def work() -> str:
        tried.append("once more")
        shop.execute(INSERT, **GOOD)
        return "done"

    with shop.engine.connect() as holder:
        holder.execute(sa.text("UPDATE part SET small = 2"))
        sa.event.listen(shop.engine, "handle_error", lambda _: holder.rollback() if len(tried) == failures else None)
        outcome = with_retries(work, "loading")

    assert (outcome, len(tried)) == ("done", failures + 1)
    told = "Still waiting while loading: a conflict with another transaction (OperationalError SQLITE_BUSY)."
    assert caplog.messages == [told][: failures - 1]


def test_what_cannot_get_better_is_tried_once(tried: list[str], parts: Shop) -> None:
    def read_nothing() -> None:
        tried.append("once")
        parts.execute("SELECT * FROM nowhere WHERE 'SECRET' = 'SECRET'")

    with pytest.raises(ConfigurationError, match="The database failed while loading") as stopped:
        with_retries(read_nothing, "loading")

    assert tried == ["once"]
    assert "SECRET" not in str(stopped.value)


def test_a_refused_row_is_for_the_caller_to_find(tried: list[str], parts: Shop) -> None:
    def insert_null() -> None:
        tried.append("once")
        parts.execute(INSERT, **GOOD | {"label": None})

    with pytest.raises(DataTrouble):
        with_retries(insert_null, "loading")

    assert tried == ["once"]


SQLITE_TROUBLE = {
    "locked": ("SQLITE_BUSY", "when no other program has the SQLite file locked."),
    "read-only": ("SQLITE_READONLY", "when the SQLite file and its folder are there and may be written."),
    "elsewhere": ("SQLITE_CANTOPEN", "when the folder of the SQLite file exists, and folder and file may be opened."),
}


@pytest.mark.parametrize("trouble", SQLITE_TROUBLE)
def test_what_is_wrong_with_a_sqlite_file_is_said_and_not_that_it_is_away(
    trouble: str, make_shop: MakeShop, sqlite_url: str
) -> None:
    shop = make_shop(f"{sqlite_url}?timeout=0.01", PARTS)
    mine = sa.create_engine(f"{sqlite_url}/no-folder/shop.sqlite" if trouble == "elsewhere" else shop.engine.url)
    code, advice = SQLITE_TROUBLE[trouble]

    def work() -> None:
        with mine.begin() as connection:
            if trouble == "read-only":
                connection.execute(sa.text("PRAGMA query_only = ON"))
            connection.execute(sa.text(INSERT), GOOD)

    with shop.engine.begin() as holder:
        if trouble == "locked":
            holder.execute(sa.text("UPDATE part SET small = 2"))
        with pytest.raises(SinkUnavailable, match=code) as stopped:
            with_retries(work, "loading", patience=ONCE)

    mine.dispose()
    assert str(stopped.value).endswith(f"so start again {advice}")


def test_a_sqlite_file_that_cannot_be_opened_may_be_there_again_later(tried: list[str], tmp_path: Path) -> None:
    """A disk that is not mounted, or a folder of a network that has gone, is a server that is away."""
    disk = tmp_path / "disk"
    engine = sa.create_engine(f"sqlite:///{disk}/shop.sqlite")

    def look(mounted_at: int) -> int:
        tried.append("once more")
        if len(tried) == mounted_at:
            disk.mkdir()
        with engine.connect() as connection:
            return int(connection.execute(sa.text("SELECT count(*) FROM sqlite_master")).scalar_one())

    with pytest.raises(SinkUnavailable, match=r"^The database could not be used while looking: .*SQLITE_CANTOPEN"):
        with_retries(lambda: look(0), "looking")

    assert len(tried) == 5
    assert with_retries(lambda: look(8), "looking") == 0
    assert len(tried) == 8
