"""The right to write a target: one owner at a time, until a moment of the database's clock, fenced by a token."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from restock.errors import LeaseLost, RestockError, TargetBusy
from sinks.app_database import AppDatabase, CommitUnknown
from sinks.db_errors import describe
from sinks.ledger_tables import database_time, leases
from sinks.retries import with_retries

log = logging.getLogger("restock")

LEASE_SECONDS = 60.0
# On SQLite the heartbeat waits for the lock of the load itself, so a lease there outlasts any chunk.
LEASE_SECONDS_ON_SQLITE = 300.0


@dataclass(frozen=True)
class Owner:
    """A process, named so that another process on the same host can tell whether it still lives."""

    host: str  # host name, boot and process-number space: equal only where process numbers mean the same
    process: int
    started: str  # tells a process from a later one with the same number

    @classmethod
    def this_process(cls) -> Owner:
        return cls.of_process(os.getpid())

    @classmethod
    def of_process(cls, number: int) -> Owner:
        """A process of this host by its number."""
        return cls(_this_host(), number, _start_of(number) or "")

    @classmethod
    def read(cls, text: str) -> Owner:
        host, process, started = text.rsplit("|", 2)
        return cls(host, int(process), started)

    def __str__(self) -> str:
        return f"{self.host}|{self.process}|{self.started}"

    @property
    def name(self) -> str:
        """The owner for people."""
        return f"process {self.process} on {self.host.partition('/')[0]}"

    @property
    def is_alive_here(self) -> bool:
        """Whether it is a process of this very host that goes on. False says nothing."""
        return self.host == _this_host() and _start_of(self.process) == self.started

    @property
    def is_dead_here(self) -> bool:
        """Whether it was a process of this very host and has ended. False says nothing."""
        return self.host == _this_host() and _start_of(self.process) != self.started


def _this_host() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    parts += [boot.read_text().strip()] if boot.exists() else []
    parts += [str(space.readlink())] if space.is_symlink() else []
    return "/".join(parts)


def _start_of(process: int) -> str | None:
    """When a process of this host started, in whatever unit the system tells; None if it has ended."""
    status = Path(f"/proc/{process}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False)
    return re.sub(r"\s+", " ", shown.stdout.strip()) or None


@dataclass(frozen=True)
class Lease:
    """The lease of a target as this execution holds it."""

    target: str
    token: int
    seconds: float


def usual_lease_seconds(database: AppDatabase) -> float:
    """How long a lease lasts on this database unless it is renewed."""
    return LEASE_SECONDS_ON_SQLITE if database.dialect == "sqlite" else LEASE_SECONDS


def take_lease(database: AppDatabase, target: str, seconds: float) -> Lease:
    """Become the owner of a target.

    Raises:
        TargetBusy: another execution owns it; the sentence says who, and for how long.
    """

    taken: list[Lease] = []

    def take() -> Lease:
        with database.transaction() as session:
            taken.append(_take(database.connection(session), target, seconds))
        return taken[-1]

    def settled() -> Lease | None:
        mine = sa.and_(leases.c.target == target, leases.c.token == taken[-1].token)
        with database.engine.connect() as connection:
            owner = connection.execute(sa.select(leases.c.owner).where(mine)).scalar()
        return taken[-1] if owner == str(Owner.this_process()) else None

    return with_retries(take, f"taking the lease of {target}", settled)


def _take(connection: sa.Connection, target: str, seconds: float) -> Lease:
    mine = Owner.this_process()
    _enter_target(connection, target)
    # The write comes first: it locks the row, on every database, before anything is decided.
    connection.execute(sa.update(leases).where(leases.c.target == target).values(token=leases.c.token + 1))
    held = connection.execute(sa.select(leases, database_time().label("now")).where(leases.c.target == target)).one()
    if held.owner is not None and held.expires_at > held.now:
        owner = Owner.read(held.owner)
        if owner == mine or not owner.is_dead_here:
            raise TargetBusy(
                f"The table {target} is being written by {owner.name} (run {held.run_id or 'not yet begun'}, for "
                f"{held.now - held.taken_at:.0f} s); wait for it to end, then start again."
            )
    connection.execute(
        sa.update(leases)
        .where(leases.c.target == target)
        .values(owner=str(mine), run_id=None, taken_at=held.now, expires_at=held.now + seconds)
    )
    return Lease(target, held.token, seconds)


def _enter_target(connection: sa.Connection, target: str) -> None:
    known = connection.execute(sa.select(leases.c.token).where(leases.c.target == target)).first()
    if known is not None:
        return
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(leases).values(target=target, token=0, expires_at=0.0))
    except IntegrityError:
        # Two first runs at once: the other one has entered the target, and its row serves both.
        return


def renew(connection: sa.Connection, lease: Lease, run_id: str | None = None) -> None:
    """Prolong the lease, in the transaction of the connection. This locks it until the transaction ends: the fence.

    Raises:
        LeaseLost: another execution has taken it.
    """
    _bound_sleep(connection, lease.seconds)
    changes: dict[str, object] = {"expires_at": database_time() + lease.seconds}
    if run_id is not None:
        changes["run_id"] = run_id
    mine = sa.and_(leases.c.target == lease.target, leases.c.token == lease.token)
    if connection.execute(sa.update(leases).where(mine).values(changes)).rowcount != 1:
        raise LeaseLost(
            f"Another run has taken over the table {lease.target} meanwhile; nothing of this attempt is kept, and "
            "`restock runs` shows who goes on."
        )


def _bound_sleep(connection: sa.Connection, seconds: float) -> None:
    """Let the server end this transaction if its process falls silent in it, as one on a frozen or lost host does.

    Otherwise such a process would hold the row of the lease, and with it the target, long after the lease has expired.
    MySQL has no such limit.
    """
    if connection.dialect.name == "postgresql":
        limit = sa.func.set_config("idle_in_transaction_session_timeout", f"{round(seconds * 1000)}ms", True)
        connection.execute(sa.select(limit))
    elif getattr(connection.dialect, "is_mariadb", False):
        connection.execute(sa.text(f"SET idle_transaction_timeout = {round(seconds)}"))


@contextmanager
def keeping(database: AppDatabase, lease: Lease) -> Iterator[None]:
    """Renew a lease in the background while the block lasts, then give it back."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(lease.seconds / 4):
            try:
                with database.transaction() as session:
                    renew(database.connection(session), lease)
            except LeaseLost:
                return  # the fence of the next commit says so to the one who must know
            except (SQLAlchemyError, CommitUnknown) as error:
                log.info("The lease of %s could not be renewed this time (%s).", lease.target, describe(error))

    heartbeat = threading.Thread(target=beat, name="restock-heartbeat", daemon=True)
    heartbeat.start()
    try:
        yield
    finally:
        stop.set()
        heartbeat.join(timeout=lease.seconds)
        _release(database, lease)


def _release(database: AppDatabase, lease: Lease) -> None:
    """Give the target free, if it is still ours. Tried once: a lease nobody renews ends by itself."""

    def release() -> None:
        with database.transaction() as session:
            mine = sa.and_(leases.c.target == lease.target, leases.c.token == lease.token)
            database.connection(session).execute(sa.update(leases).where(mine).values(owner=None, expires_at=0.0))

    try:
        with_retries(release, f"giving the lease of {lease.target} back", attempts=1)
    except RestockError as error:
        log.warning("%s", error)
