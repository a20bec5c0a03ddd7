"""What a database found wrong with a row: which constraint, or which kind of value; never the value itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError

from sinks.database.error_codes import is_made_up, mysql_number, state_of

# The one column of a foreign key, as a server names it beside its error, whatever its language; values come behind it.
_POSTGRESQL_FOREIGN_KEY = re.compile(r'[^()]*\("?([^(),"]+)"?\)=\(')
_MYSQL_FOREIGN_KEY = re.compile(r"CONSTRAINT `([^`]*)` FOREIGN KEY \((?:`([^`]*)`\))?")
# At the end of the text, since a value may stand before it.
_MYSQL_COLUMN = re.compile(r" for column (?:'([^']*)'|(?:`[^`]*`\.)*`([^`]*)`) at row \d+$")
_MYSQL_LACKING = re.compile(r"^(?:Column|Field) '([^']*)'")


class ModelRefused(Exception):
    """The model's own code (constructor, validator, listener) raised over a row. `args` name the error's class only."""


@dataclass(frozen=True)
class DataFault:
    """What the database found wrong with a row: a reason code, and the column if the database named one."""

    code: str
    column: str | None = None


class RowRefused(SQLAlchemyError):
    """The database did other than it was told with a row, and raised no error. `args` name the fault."""


def data_fault(error: BaseException) -> DataFault:
    """Name what the database refused: which constraint, or which kind of value; never the value itself."""
    if isinstance(error, ModelRefused):
        return DataFault(f"model:{error.args[0]}")
    if isinstance(error, RowRefused):
        return error.args[0]
    if isinstance(error, StaleDataError):
        return DataFault("trigger")  # it is there, as the transaction has been repeated
    cause = getattr(error, "orig", None) or error
    text = str(cause.args[-1]) if getattr(cause, "args", None) else ""
    if hasattr(cause, "diag"):
        return _postgresql_fault(cause)
    if hasattr(cause, "sqlite_errorname"):
        return _sqlite_fault(cause.sqlite_errorname, text)
    number = mysql_number(cause)
    if number is not None:
        return DataFault("trigger") if is_made_up(cause) else _mysql_fault(number, text)
    return DataFault("refused")


def _postgresql_fault(cause: BaseException) -> DataFault:
    state = state_of(cause) or ""
    diagnosis = getattr(cause, "diag", None)
    constraint = getattr(diagnosis, "constraint_name", None)
    column = getattr(diagnosis, "column_name", None)
    kind = {"23505": "unique", "23503": "foreign_key", "23514": "check", "23P01": "exclusion"}.get(state)
    if kind is not None:
        detail = getattr(diagnosis, "message_detail", None) if kind == "foreign_key" else None
        key = _POSTGRESQL_FOREIGN_KEY.match(detail or "")
        return DataFault(f"{kind}:{constraint}" if constraint else kind, key.group(1) if key else column)
    if state.startswith("P0") or is_made_up(cause):
        return DataFault("trigger")
    code = {"23502": "null", "22001": "too_long", "22003": "out_of_range"}.get(
        state, f"refused:{state}" if state else "refused"
    )
    return DataFault(code, column)


def _sqlite_fault(name: str, text: str) -> DataFault:
    detail = text.partition(": ")[2]
    if name.endswith(("_UNIQUE", "_PRIMARYKEY", "_ROWID")):
        columns = [part.strip().rpartition(".")[2] for part in detail.split(",")]
        return DataFault(f"unique:{','.join(columns)}", columns[0] if len(columns) == 1 else None)
    if name.endswith("_NOTNULL"):
        return DataFault("null", detail.rpartition(".")[2] or None)
    if name.endswith("_CHECK"):
        # An unnamed check is reported as its whole expression, which belongs to the schema and not to the row.
        return DataFault(f"check:{detail}"[:100])
    if name.endswith(("_FOREIGNKEY", "_TRIGGER")):
        return DataFault("foreign_key" if name.endswith("_FOREIGNKEY") else "trigger")
    return DataFault(f"refused:{name.removeprefix('SQLITE_')}")


def _mysql_fault(number: int, text: str) -> DataFault:
    if number == 1062:
        key = re.search(r"for key '([^']*)'$", text)
        return DataFault(f"unique:{key.group(1).rpartition('.')[2]}" if key else "unique")
    if number in (1451, 1452):
        name = _MYSQL_FOREIGN_KEY.search(text)
        return DataFault(f"foreign_key:{name.group(1)}", name.group(2)) if name else DataFault("foreign_key")
    if number in (3819, 4025):
        name = re.search(r"(?:CONSTRAINT|Check constraint) [`']([^`']*)[`']", text, re.IGNORECASE)
        return DataFault(f"check:{name.group(1).rpartition('.')[2]}" if name else "check")
    if number in (1643, 1644):
        return DataFault("trigger")
    code = {1048: "null", 1364: "null", 1406: "too_long", 1264: "out_of_range"}.get(number, f"refused:{number}")
    column = _MYSQL_LACKING.search(text) if code == "null" else _MYSQL_COLUMN.search(text)
    return DataFault(code, column.group(1) or column.group(2) if column else None)
