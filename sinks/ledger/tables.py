"""The ledger's tables, in metadata of their own: they live in the target database, beside the user's tables.

A ledger outlives the restock that made it, so tables and columns are only ever added; a column that is added may be
null or has a default of the server. `creation` adds what an older ledger lacks.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from restock.chunks import COUNTERS

metadata = sa.MetaData()

_LONG = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

# Transactions, and texts that are equal only if they are the same, whatever the server's own defaults are.
_OPTIONS = {"charset": "utf8mb4", "collate": "utf8mb4_bin", "engine": "InnoDB"}
_ON_MYSQL: dict[str, Any] = {
    f"{dialect}_{name}": value for dialect in ("mysql", "mariadb") for name, value in _OPTIONS.items()
}

# One row per run: bringing one source version into one target.
runs = sa.Table(
    "restock_run",
    metadata,
    sa.Column("run_id", sa.String(40), primary_key=True),
    sa.Column("feed", sa.String(200), nullable=False, index=True),
    sa.Column("target", sa.String(200), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),  # of the source's bytes and what makes rows of them
    sa.Column("code_digest", sa.String(64), nullable=False),  # of the feed's rules and the transforms' code
    sa.Column("source", sa.String(500), nullable=False),
    sa.Column("ignored_columns", _LONG, nullable=False),
    sa.Column("status", sa.String(30), nullable=False),
    sa.Column("read_rows", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.Float(53), nullable=False),  # seconds since 1970, by the database's clock
    sa.Column("finished_at", sa.Float(53)),
    sa.Column("reason", _LONG),  # why it is held or incomplete, for people
    # Of the loaded chunks, for the limits: chunks that are loaded at a time count by this row, one after the other.
    # Counted anew when an execution begins.
    sa.Column("rejected_rows", sa.BigInteger, nullable=False, server_default="0"),
    # JSON: what was measured of runs of the feed that were forgotten while this one was the newest; else null.
    sa.Column("forgotten", _LONG),
    sa.Column("content", sa.String(64)),  # of the source's bytes alone; null in a run of an older restock
    **_ON_MYSQL,
)

# One row per chunk, all of them entered together with their run.
chunks = sa.Table(
    "restock_chunk",
    metadata,
    sa.Column("run_id", sa.String(40), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("status", sa.String(12), nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),  # counted before the attempt, so that a crash counts
    sa.Column("spool_file", sa.String(200), nullable=False),
    sa.Column("first_row", sa.BigInteger, nullable=False),
    sa.Column("row_count", sa.Integer, nullable=False),
    *[sa.Column(name, sa.Integer, nullable=False, default=0) for name in COUNTERS],
    sa.Column("began_at", sa.Float(53)),  # the newest attempt
    sa.Column("loaded_at", sa.Float(53)),
    sa.Column("error", _LONG),
    # JSON: positions of its rows without a key that were left out on purpose, and so are in no table; else null.
    sa.Column("left_out", _LONG),
    # JSON: positions of the rows that it holds of its source's `row_count` from `first_row` on, where the others were
    # changed for some with neighbouring keys; null: all of them.
    sa.Column("unmoved", _LONG),
    **_ON_MYSQL,
)

# One row per rejected row. A mended one keeps its entry, with the time at which it was resolved.
rejects = sa.Table(
    "restock_reject",
    metadata,
    sa.Column("run_id", sa.String(40), primary_key=True),
    sa.Column("chunk", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),  # the row's number in its source
    sa.Column("line", sa.BigInteger),
    sa.Column("byte", sa.BigInteger),  # from 0; of a row that could not be split or decoded
    sa.Column("code", sa.String(200), nullable=False),
    sa.Column("column_name", sa.String(200)),
    sa.Column("value", _LONG),
    sa.Column("original", _LONG, nullable=False),  # JSON: the row under the source's own column names
    sa.Column("resolved_at", sa.Float(53)),
    sa.Column("further", _LONG),  # JSON: code, column and value of each fault after the first
    **_ON_MYSQL,
)

# One row per target: who may write it, until when, and the token under which.
leases = sa.Table(
    "restock_lease",
    metadata,
    sa.Column("target", sa.String(200), primary_key=True),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(500)),  # null: nobody
    sa.Column("feed", sa.String(200)),  # whose source the owner brings in; null: of none
    sa.Column("run_id", sa.String(40)),
    sa.Column("taken_at", sa.Float(53)),
    sa.Column("expires_at", sa.Float(53), nullable=False),
    **_ON_MYSQL,
)

# One row per target: the token of its lease, read and locked by every transaction that writes rows, changed by whoever
# takes the lease. Beside the lease, so that it is renewed while rows are being written.
fences = sa.Table(
    "restock_fence",
    metadata,
    sa.Column("target", sa.String(200), primary_key=True),
    sa.Column("token", sa.BigInteger, nullable=False),
    **_ON_MYSQL,
)


class database_time(GenericFunction[float]):
    """The database's clock at this moment, in seconds since 1970. No host's clock is ever compared with another's."""

    type = sa.Float(53)
    inherit_cache = True


@compiles(database_time, "sqlite")
def _sqlite_time(_element: Any, _compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_time, "postgresql")
def _postgresql_time(_element: Any, _compiler: Any, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(database_time, "mysql")
@compiles(database_time, "mariadb")
def _mysql_time(_element: Any, _compiler: Any, **_: Any) -> str:
    return "(unix_timestamp(sysdate(6)) + 0.0)"
