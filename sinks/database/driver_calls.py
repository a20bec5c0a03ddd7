"""Statements that only the driver can run, run by SQLAlchemy all the same: with its events, its log and its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from sinks.database.listening import listen_once

_CALL = "restock_call"

# Does with the driver's cursor what the statement says.
Call = Callable[[Any, str], None]


def execute_by(connection: sa.Connection, statement: str, call: Call) -> None:
    """Run a statement by a call of the driver's own. SQLAlchemy sees the statement, and no value of a row.

    Raises:
        DBAPIError: the driver raised.
    """
    listen_once(connection.dialect, "do_execute", _do_call)
    connection.exec_driver_sql(statement, execution_options={_CALL: call})


def plain_name(connection: sa.Connection, named: str | sa.TableClause | sa.Sequence) -> str:
    """A column, table or sequence as the database knows it, quoted, for statements without parameters and values."""
    preparer = connection.dialect.identifier_preparer
    if isinstance(named, str):
        quoted = preparer.quote(named)
    elif isinstance(named, sa.Sequence):
        quoted = preparer.format_sequence(named)
    else:
        quoted = preparer.format_table(named)
    # Beside parameters that start with a percent sign, SQLAlchemy doubles those of names, for the driver to undo.
    is_doubled = connection.dialect.paramstyle in ("format", "pyformat")
    return quoted.replace("%%", "%") if is_doubled else quoted


def _do_call(cursor: Any, statement: str, _parameters: Any, context: Any) -> bool | None:
    call: Call | None = context.execution_options.get(_CALL)
    if call is None:
        return None
    run(cursor, statement, call)
    return True


def run(cursor: Any, statement: str, call: Call) -> None:
    """One call of the driver's own."""
    call(cursor, statement)
