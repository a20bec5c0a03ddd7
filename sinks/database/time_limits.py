"""How long things may take between transactions: a lease, a wait for somebody's lock, and a silence in one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

LEASE_SECONDS = 60.0
# On SQLite the heartbeat waits for the lock of the load itself, so a lease there outlasts any chunk.
LEASE_SECONDS_ON_SQLITE = 300.0
# Short, so that a run that is asked to stop can do so even where the server does not notice that its client has gone;
# a transaction that waited in vain is tried again (`retries`).
LOCK_WAIT_SECONDS = 5
# No value is cut to what fits, however lenient the app is, and a key of 0 does not become the next number.
_TAKES_VALUES_AS_THEY_ARE = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO"


def usual_lease_seconds(dialect: str) -> float:
    """How long a lease lasts on this kind of database unless it is renewed."""
    return LEASE_SECONDS_ON_SQLITE if dialect == "sqlite" else LEASE_SECONDS


def limit_transaction(connection: sa.Connection, silence_seconds: float) -> None:
    """Let a transaction that has just begun wait for others, and others for it, no longer than is good.

    A process may fall silent in the middle of a transaction, as one on a frozen or lost host does. The server then ends
    the transaction; otherwise it would hold its rows, and with them the target, long after the lease has expired. MySQL
    has no such limit. MySQL and MariaDB are told as well to store each value as it is, or not at all.
    """
    name = connection.dialect.name
    if name == "postgresql":
        limits = {"idle_in_transaction_session_timeout": silence_seconds, "lock_timeout": LOCK_WAIT_SECONDS}
        connection.execute(
            sa.select(*(sa.func.set_config(key, f"{round(seconds * 1000)}ms", True) for key, seconds in limits.items()))
        )
    elif name in ("mysql", "mariadb"):
        limits = {"innodb_lock_wait_timeout": LOCK_WAIT_SECONDS, "lock_wait_timeout": LOCK_WAIT_SECONDS}
        if getattr(connection.dialect, "is_mariadb", False):
            limits["idle_transaction_timeout"] = silence_seconds
        settings = [f"{key} = {round(seconds)}" for key, seconds in limits.items()]
        # In the same statement, which saves one: how it takes values.
        settings.append(f"sql_mode = CONCAT(@@sql_mode, ',{_TAKES_VALUES_AS_THEY_ARE}')")
        connection.execute(sa.text(f"SET SESSION {', '.join(settings)}"))
    elif name == "sqlite" and connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() > LOCK_WAIT_SECONDS * 1000:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {LOCK_WAIT_SECONDS * 1000}")


_END_SILENT = sa.text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity AS other
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
    AND state <> 'idle' AND wait_event = 'ClientRead'
    AND state_change < clock_timestamp() - make_interval(secs => :seconds)
    AND EXISTS (SELECT 1 FROM pg_locks WHERE pg_locks.pid = other.pid AND granted AND relation IN (
        SELECT oid FROM pg_class WHERE relname = ANY(:tables)))
""")


def end_silent_transactions(engine: sa.Engine, tables: Sequence[sa.Table], seconds: float) -> None:
    """End those of our own user's transactions on some tables that have been waiting for their process for too long.

    PostgreSQL's own limit does not see all of them: it begins when a statement has been answered, and a process that
    freezes while it sends many statements at once leaves the server in the middle of one.
    """
    if engine.dialect.name != "postgresql":
        return
    with suppress(SQLAlchemyError), engine.connect() as connection:
        connection.execute(_END_SILENT, {"seconds": seconds, "tables": [table.name for table in tables]})
