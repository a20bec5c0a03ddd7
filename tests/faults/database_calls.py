"""Upsets the n-th call that the product makes to its database, with an error the database itself might give.

On PostgreSQL and MariaDB the server is asked to raise it, so that the transaction is in the state that the error
leaves; SQLite's are made by hand, since the library cannot be asked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from sinks.database import driver_calls

EVER_AFTER = 1_000_000

Kind = Literal["conflict", "disconnect", "deadlock", "data", "full"]
When = Literal["before", "after"]

KINDS: dict[str, tuple[Kind, ...]] = {
    "sqlite": ("conflict", "data", "full"),  # a file has no line to lose, and one writer meets no deadlock
    "postgresql": ("conflict", "disconnect", "deadlock", "data", "full"),
    "mysql": ("conflict", "disconnect", "deadlock", "data", "full"),
}
_STATES = {"conflict": "55P03", "deadlock": "40P01", "data": "22003", "full": "53100"}
_NUMBERS = {"conflict": 1205, "deadlock": 1213, "data": 1264, "full": 1114}
_SQLITE_ERRORS: dict[str, tuple[type[sqlite3.Error], str, int]] = {
    "conflict": (sqlite3.OperationalError, "SQLITE_BUSY", 5),
    "data": (sqlite3.IntegrityError, "SQLITE_CONSTRAINT_TRIGGER", 1811),
    "full": (sqlite3.OperationalError, "SQLITE_FULL", 13),
}
CALLS = ("do_execute", "do_executemany", "do_execute_no_params", "do_commit")


@dataclass
class Fault:
    """An error at the n-th call, and at so many calls altogether."""

    call: int
    kind: Kind
    when: When = "before"
    times: int = 1

    def __str__(self) -> str:
        return f"{self.kind} {self.when} call {self.call}{f', {self.times} times' if self.times > 1 else ''}"


@dataclass
class Calls:
    """What was called while a fault was armed."""

    made: int = 0
    upset: list[str] = field(default_factory=list)


@contextmanager
def upsetting(engine: sa.Engine, fault: Fault | None) -> Iterator[Calls]:
    """Arm a fault in an engine for the length of the block, or only count its calls."""
    calls = Calls()
    dialect: Any = engine.dialect
    run = driver_calls.run
    driver_calls.run = _upset(run, "run", dialect.name, fault, calls)  # COPY, say: no call of the dialect
    for name in CALLS:
        setattr(dialect, name, _upset(getattr(dialect, name), name, dialect.name, fault, calls))
    try:
        yield calls
    finally:
        driver_calls.run = run
        for name in CALLS:
            delattr(dialect, name)


def _upset(call: Callable[..., Any], name: str, dialect: str, fault: Fault | None, calls: Calls) -> Callable[..., Any]:
    def upset(*arguments: Any) -> Any:
        calls.made += 1
        is_undoing = name != "do_commit" and str(arguments[1]).startswith("ROLLBACK")
        if fault is None or not fault.call <= calls.made < fault.call + fault.times:
            return call(*arguments)
        if fault.kind == "data" and is_undoing:
            return call(*arguments)  # no database refuses a row when it is told to forget it
        if fault.when == "after":
            call(*arguments)
        calls.upset.append(name if name == "do_commit" else str(arguments[1]))
        connection = arguments[0] if name == "do_commit" else arguments[0].connection
        return _raise(getattr(connection, "dbapi_connection", connection), dialect, fault.kind)

    return upset


def _raise(connection: Any, dialect: str, kind: Kind) -> None:
    if dialect == "sqlite":
        error_class, name, code = _SQLITE_ERRORS[kind]
        error = error_class(f"{kind}, raised by a test")
        error.sqlite_errorname, error.sqlite_errorcode = name, code
        raise error
    with connection.cursor() as cursor:
        if dialect == "postgresql":
            _raise_in_postgresql(connection, cursor, kind)
        else:
            _raise_in_mariadb(connection, cursor, kind)
    raise AssertionError("the server did not raise")


def _raise_in_postgresql(connection: Any, cursor: Any, kind: Kind) -> None:
    if kind == "disconnect":
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'raised by a test' USING ERRCODE = '{_STATES[kind]}'; END $$")


def _raise_in_mariadb(connection: Any, cursor: Any, kind: Kind) -> None:
    if kind == "disconnect":
        with suppress(Exception):
            cursor.execute("KILL CONNECTION_ID()")
        cursor.execute("SELECT 1")
    if kind == "deadlock":
        cursor.execute("ROLLBACK")  # as InnoDB does before it reports one
    cursor.execute(f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {_NUMBERS[kind]}, MESSAGE_TEXT = 'raised by a test'")
