"""The stage: a temporary table with the target's own columns, so that sent and stored values compare as equals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from restock.errors import ConfigurationError
from sinks.database.db_errors import is_denied
from sinks.model.target import Target
from sinks.rows.attaching import attach
from sinks.rows.columnar import POSITION, BoundRows, Rows
from sinks.rows.packing import PACKED
from sinks.rows.postgresql_copy import copy_rows
from sinks.rows.sending import send

STAGE = PACKED

_CREATED = {
    "postgresql": "CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {columns}",
    "sqlite": "CREATE TEMPORARY TABLE {name} AS {columns}",
    # Its rows have to go when a savepoint is rolled back, so no other engine will do.
    # Its index is made at once: to make one later would commit the transaction.
    "mysql": "CREATE TEMPORARY TABLE {name} (INDEX (" + POSITION + ")) ENGINE=InnoDB {columns}",
}
_CREATED["mariadb"] = _CREATED["mysql"]
_INDEX = {"postgresql": f"ON {STAGE}", "sqlite": f"temp.{STAGE}_row ON {STAGE}"}
_GRANTS = {"postgresql": "GRANT TEMPORARY ON DATABASE ... TO ..."}
_GRANTS["mysql"] = _GRANTS["mariadb"] = "GRANT CREATE TEMPORARY TABLES ON ... TO ..."


@dataclass(frozen=True)
class Stage:
    """The staged rows of a chunk, seen only by the connection that opened it.

    What has been staged has gone through the column's type: it is what the column would hold.
    """

    connection: sa.Connection
    target: Target
    attributes: tuple[str, ...]

    @cached_property
    def table(self) -> sa.TableClause:
        """The stage in a statement: the position of each row, and the columns of its attributes."""
        stored = (self.target.columns[name] for name in self.attributes)
        columns = [sa.column(column.name, column.type) for column in stored]
        return sa.table(STAGE, sa.column(POSITION, sa.BigInteger), *columns)

    @property
    def position(self) -> sa.ColumnElement[int]:
        """The position of a staged row."""
        return self.table.c[POSITION]

    def sent(self, name: str) -> sa.ColumnElement[Any]:
        """The staged value of an attribute."""
        return self.table.c[self.target.columns[name].name]

    def take(self, rows: Rows, places: np.ndarray | None = None) -> None:
        """Stage the keyed rows of a chunk, or those of them at some places."""
        if places is None and attach(self.connection, rows) is not None:
            drop_stage(self.connection)  # the attached one, of the same name, is met in its place
        elif not copy_rows(self.connection, self.table, rows, places, POSITION):
            self.fill(rows.keyed if places is None else rows.keyed.at(places))

    def fill(self, rows: BoundRows) -> None:
        """Stage rows, in the order of their keys as far as that is cheap: their index is then walked in order."""
        with _before_the_transaction(self.connection):
            send(self.connection, self.table, {POSITION: rows.positions, **rows.columns})

    def index(self) -> None:
        """Let single rows be found by their position."""
        place = _INDEX.get(self.connection.dialect.name)
        if place is not None:
            self.connection.exec_driver_sql(f"CREATE INDEX {place} ({POSITION})")


def open_stage(connection: sa.Connection, target: Target, attributes: Sequence[str]) -> Stage:
    """An empty stage for these attributes. What an earlier transaction left of one is removed."""
    drop_stage(connection)
    dialect = connection.dialect
    name = dialect.identifier_preparer.quote(STAGE)
    # Through an outer join no column is NOT NULL: MariaDB would keep that of the table.
    one = sa.select(sa.literal_column("1").label("one")).subquery("one")
    position = sa.cast(sa.literal_column("0"), sa.BigInteger).label(POSITION)
    stored = [target.columns[attribute] for attribute in attributes]
    columns = sa.select(position, *stored).select_from(one.outerjoin(target.table, sa.false())).limit(0)
    as_text = columns.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    try:
        connection.exec_driver_sql(_CREATED[dialect.name].format(name=name, columns=as_text))
    except sa.exc.DBAPIError as error:
        if is_denied(error):
            raise ConfigurationError(
                f"The app's database user may not make temporary tables, in which restock compares rows with those of "
                f"{target.name}; grant it that: {_GRANTS.get(dialect.name, 'see the manual of the database')}."
            ) from error
        raise
    return Stage(connection, target, tuple(attributes))


def drop_stage(connection: sa.Connection) -> None:
    """Remove the stage, where the end of the transaction does not."""
    temporary = {"sqlite": "TABLE IF EXISTS temp.", "postgresql": None}.get(
        connection.dialect.name, "TEMPORARY TABLE IF EXISTS "
    )
    if temporary is not None:
        connection.exec_driver_sql(f"DROP {temporary}{STAGE}")


def is_one_of(position: sa.ColumnElement[int], positions: list[int], dialect: str) -> sa.ColumnElement[bool]:
    """Whether a position is one of these, however many they are."""
    listed = ",".join(map(str, positions))
    if dialect == "postgresql":
        # As one text: the driver would look at every number of a list.
        array = sa.cast(sa.literal(f"{{{listed}}}", sa.Text()), ARRAY(sa.BigInteger))
        return position.in_(sa.select(sa.func.unnest(array).column_valued("one")))
    return position.op("IN")(sa.literal_column(f"({listed})"))


@contextmanager
def _before_the_transaction(connection: sa.Connection) -> Iterator[None]:
    """On SQLite, leave no transaction open that was not: it would hold on to what it has read.

    The driver begins one with any INSERT, also into the stage; reading in it, and writing when another program has
    written meanwhile, would fail at once.
    """
    driver: Any = connection.connection.dbapi_connection
    was_begun = connection.dialect.name != "sqlite" or driver.in_transaction
    yield
    if not was_begun:
        driver.commit()
