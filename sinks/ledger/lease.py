"""The right to write a target: one owner at a time, until a moment of the database's clock, fenced by a token."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from restock.errors import LeaseLost, TargetBusy
from sinks.database.app_database import AppDatabase
from sinks.database.db_errors import Trouble, trouble_of
from sinks.database.error_codes import describe
from sinks.database.retries import with_retries
from sinks.database.time_limits import end_silent_transactions
from sinks.ledger.owners import Owner
from sinks.ledger.tables import database_time, fences, leases

log = logging.getLogger("restock")

BEATS_PER_LEASE = 4

_LOST = (
    "Another run has taken over the table {target} meanwhile; nothing of this attempt is kept, and `restock runs` "
    "shows who goes on."
)


@dataclass(frozen=True)
class Lease:
    """The lease of a target as this execution holds it."""

    target: str
    token: int
    seconds: float


def take_lease(database: AppDatabase, target: str, feed: str | None) -> Lease:
    """Become the owner of a target, with none of its former owners' transactions left open.

    Args:
        feed: whose source is brought in under the lease, if one is.

    Raises:
        TargetBusy: another execution owns it; the sentence says who, and for how long.
    """

    taken: list[Lease] = []

    def take() -> Lease:
        try:
            while (lease := try_to_take()) is None:
                # In a transaction of its own: where the app has snapshots, the next one has to see whose entry it is.
                with database.begin() as connection:
                    _enter_target(connection, target)
        except SQLAlchemyError as error:
            if trouble_of(error) is Trouble.TRANSIENT:
                # Whoever keeps the lock may be frozen; if it is not, the lease is tried for again all the same.
                end_silent_transactions(database.engine, (leases, fences), database.lease_seconds)
            raise
        return lease

    def try_to_take() -> Lease | None:
        with database.begin() as connection:
            lease = _take(connection, target, feed, database.lease_seconds)
            if lease is not None:
                taken.append(lease)
        return lease

    def settled() -> Lease | None:
        if not taken:
            return None
        with database.engine.connect() as connection:
            owner = connection.execute(sa.select(leases.c.owner).where(_entry_of(taken[-1]))).scalar()
        return taken[-1] if owner == str(Owner.this_process()) else None

    return with_retries(take, f"taking the lease of {target} in {database.address}", settled)


def _take(connection: sa.Connection, target: str, feed: str | None, seconds: float) -> Lease | None:
    """The lease; none where the target is not entered yet."""
    # The write comes first: it locks the row, on every database, before anything is decided.
    next_token = sa.update(leases).where(leases.c.target == target).values(token=leases.c.token + 1)
    if not connection.execute(next_token).rowcount:
        return None
    held = connection.execute(sa.select(leases, database_time().label("now")).where(leases.c.target == target)).one()
    if held.owner is not None and held.expires_at > held.now:
        owner = Owner.read(held.owner)
        if not owner.is_dead_here:
            by_own_feed = feed is not None and held.feed == feed
            advice = "wait for it to end, then start again"
            if by_own_feed:
                advice = "it brings the same feed in, so start again only if that has changed since"
            raise TargetBusy(
                f"The table {target} is being written by {owner.name} (run {held.run_id or 'not yet begun'}, for "
                f"{held.now - held.taken_at:.0f} s); {advice}.",
                by_own_feed,
            )
    # Waits for every transaction that the former owner has fenced.
    if not connection.execute(sa.update(fences).where(fences.c.target == target).values(token=held.token)).rowcount:
        return None
    connection.execute(
        sa.update(leases)
        .where(leases.c.target == target)
        .values(
            owner=str(Owner.this_process()), feed=feed, run_id=None, taken_at=held.now, expires_at=held.now + seconds
        )
    )
    return Lease(target, held.token, seconds)


def _enter_target(connection: sa.Connection, target: str) -> None:
    for table, entry in ((leases, {"token": 0, "expires_at": 0.0}), (fences, {"token": 0})):
        if connection.execute(sa.select(table.c.token).where(table.c.target == target)).first() is not None:
            continue
        # Two first runs at once: where the other one has entered the target, its row serves both.
        with suppress(IntegrityError), connection.begin_nested():
            connection.execute(sa.insert(table).values(target=target, **entry))


def _entry_of(lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(leases.c.target == lease.target, leases.c.token == lease.token)


def nobody_took(lease: Lease) -> sa.ColumnElement[bool]:
    """Whether no other execution has taken the lease since, so that what it guards was written under it."""
    return sa.exists().where(_entry_of(lease))


def renew(connection: sa.Connection, lease: Lease, run_id: str | None = None) -> None:
    """Prolong the lease, in the transaction of the connection; nobody takes it until that has ended.

    Raises:
        LeaseLost: another execution has taken it.
    """
    changes: dict[str, object] = {"expires_at": database_time() + lease.seconds}
    if run_id is not None:
        changes["run_id"] = run_id
    if connection.execute(sa.update(leases).where(_entry_of(lease)).values(changes)).rowcount != 1:
        raise LeaseLost(_LOST.format(target=lease.target))


def fence(connection: sa.Connection, lease: Lease) -> None:
    """Let the transaction of the connection end before anybody takes the lease: what it writes is written by the owner.

    Any number of transactions may be fenced at a time, and the lease is renewed beside them. On SQLite, where one
    transaction writes at a time, this is the one that does.

    Raises:
        LeaseLost: another execution has taken it.
    """
    if connection.dialect.name == "sqlite":
        renew(connection, lease)
        return
    statement = sa.select(fences.c.token).where(fences.c.target == lease.target).with_for_update(read=True)
    if connection.execute(statement).scalar() != lease.token:
        raise LeaseLost(_LOST.format(target=lease.target))


@contextmanager
def keeping(database: AppDatabase, lease: Lease) -> Iterator[None]:
    """Renew a lease in the background while the block lasts, then give it back."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(lease.seconds / BEATS_PER_LEASE):
            try:
                with database.begin() as connection:
                    renew(connection, lease)
            except LeaseLost:
                return  # the fence of the next commit says so to the one who must know
            except Exception as error:  # the app's own code may raise as well, where it is asked for a connection
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

    try:
        with database.begin() as connection:
            connection.execute(sa.update(leases).where(_entry_of(lease)).values(owner=None))
    except Exception as error:  # of the app's own code, as above: what was done under the lease stands
        log.warning(
            "The lease of %s could not be given back (%s); nothing is lost by it: it ends by itself within %.0f s.",
            lease.target, describe(error.__cause__ or error), lease.seconds,
        )  # fmt: skip
