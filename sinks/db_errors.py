"""Driver error -> what it means for us, by SQLSTATE or error number and never by class alone.

The classes of driver errors mislead: a wrong password and a full disk are both `OperationalError` in psycopg.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import FlushError, StaleDataError


class Trouble(Enum):
    """What kind of trouble an error is, and so who can help."""

    TRANSIENT = "a conflict with another transaction"
    CONNECTION = "a lost or refused connection"
    RESOURCE = "no space or memory left in the database"
    READ_ONLY = "a database that does not accept writes"
    GONE = "a row that is not there, or is kept as it is, when it is updated"
    DATA = "a row that the database refuses"
    FATAL = "a database that is not as the app expects it"


# Trouble that may be over when the same thing is tried again.
PASSING = (Trouble.TRANSIENT, Trouble.CONNECTION, Trouble.READ_ONLY)


class ModelRefused(Exception):
    """The model's own code (constructor, validator, listener) raised over a row. `args` name the error's class only."""


@dataclass(frozen=True)
class DataFault:
    """What the database found wrong with a row: a reason code, and the column if the database named one."""

    code: str
    column: str | None = None


class RowRefused(SQLAlchemyError):
    """The database did other than it was told with a row, and raised no error. `args` name the fault."""


_POSTGRESQL = {
    "40001": Trouble.TRANSIENT,
    "40P01": Trouble.TRANSIENT,
    "55P03": Trouble.TRANSIENT,
    "57014": Trouble.TRANSIENT,
    "25P03": Trouble.CONNECTION,
    "53300": Trouble.CONNECTION,
    "53100": Trouble.RESOURCE,
    "53200": Trouble.RESOURCE,
    "25006": Trouble.READ_ONLY,
    "21000": Trouble.DATA,
    "54000": Trouble.DATA,
}
_POSTGRESQL_CLASSES = {
    "08": Trouble.CONNECTION,
    "57": Trouble.CONNECTION,
    "22": Trouble.DATA,
    "23": Trouble.DATA,
    "44": Trouble.DATA,  # a view WITH CHECK OPTION
    "P0": Trouble.DATA,  # RAISE and its like, in a trigger of the user's: we call no function of theirs otherwise
}
# Classes that neither the standard nor PostgreSQL uses begin so: a trigger of the user's has made them up (ERRCODE).
_MADE_UP = tuple("689IJKLMNOQRSTUVWYZ")
_MYSQL = {
    **dict.fromkeys((1020, 1205, 1213, 3572), Trouble.TRANSIENT),
    **dict.fromkeys(
        (2002, 2003, 2006, 2013, 2014, 2055, 1040, 1053, 1152, 1158, 1159, 1160, 1161, 1927, 4031), Trouble.CONNECTION
    ),
    **dict.fromkeys((1021, 1114, 1037, 1041), Trouble.RESOURCE),
    **dict.fromkeys((1290, 1792, 1836), Trouble.READ_ONLY),
    **dict.fromkeys((1048, 1062, 1118, 1264, 1292, 1366, 1406, 1451, 1452, 3819, 4025, 1364, 1265, 1526), Trouble.DATA),
    **dict.fromkeys((1643, 1644), Trouble.DATA),  # SIGNAL in a trigger of the user's
}
# From here on no server has errors of its own: a trigger of the user's has made them up (MYSQL_ERRNO).
_MYSQL_MADE_UP = 30_000
_SQLITE = {
    "BUSY": Trouble.TRANSIENT,
    "LOCKED": Trouble.TRANSIENT,
    "CANTOPEN": Trouble.CONNECTION,  # its disk is not mounted, perhaps, or its folder may not be entered for now
    "FULL": Trouble.RESOURCE,
    "IOERR": Trouble.RESOURCE,
    "NOMEM": Trouble.RESOURCE,
    "READONLY": Trouble.READ_ONLY,
    "CONSTRAINT": Trouble.DATA,
    "MISMATCH": Trouble.DATA,
    "TOOBIG": Trouble.DATA,
}
# Trouble that somebody has to end before it makes sense to try again; any other is over when the database is back.
_WHEN_OVER = {
    Trouble.RESOURCE: "when there is room again",
    Trouble.READ_ONLY: "when the database accepts writes",
}
_SQLITE_WHEN_OVER = {
    "BUSY": "when no other program has the SQLite file locked",
    "CANTOPEN": "when the folder of the SQLite file exists, and folder and file may be opened",
    "READONLY": "when the SQLite file and its folder are there and may be written",
}
# What a server says at its door that it will say again until somebody corrects the app's address, by code; psycopg
# gives none to a connection that failed, so by its words too, which may name a user and are not shown.
_NO_DATABASE, _NO_LOGIN = "it has no database of that name", "it does not accept the app's user or password"
_TURNED_AWAY: dict[object, str] = {
    1044: f"{_NO_DATABASE} that the app's user may use",
    **dict.fromkeys(("3D000", 1049), _NO_DATABASE),
    **dict.fromkeys(("28000", "28P01", 1045), _NO_LOGIN),
}
_TURNED_AWAY_IN_WORDS = {
    re.compile('FATAL: +database ".*" does not exist'): _NO_DATABASE,
    re.compile('FATAL: +(password authentication failed|role ".*" does not exist|no pg_hba.conf entry)'): _NO_LOGIN,
}
# Never a socket's folder, which is a path of the machine.
_SERVER = re.compile(r"""(?:server at|server on|resolve host) ["']([^"'/]+)["'](?:, port (\d+))?""")
# The one column of a foreign key, as a server names it beside its error, whatever its language; values come behind it.
_POSTGRESQL_FOREIGN_KEY = re.compile(r'[^()]*\("?([^(),"]+)"?\)=\(')
_MYSQL_FOREIGN_KEY = re.compile(r"CONSTRAINT `([^`]*)` FOREIGN KEY \((?:`([^`]*)`\))?")
_VALUE_ERRORS = (OverflowError, UnicodeEncodeError, ValueError, TypeError, LookupError)


def trouble_of(error: BaseException) -> Trouble:
    """Say what an error raised by SQLAlchemy or a driver means. An unknown code is FATAL, never DATA."""
    if isinstance(error, StaleDataError):
        # A row that was present when it was compared has gone since: the transaction decides again.
        return Trouble.GONE
    if isinstance(error, ModelRefused | RowRefused | FlushError):
        return Trouble.DATA
    if isinstance(error, PoolTimeout):
        return Trouble.CONNECTION
    if isinstance(error, DBAPIError):
        return _driver_trouble(_what_ended_savepoint(error))
    cause = error.orig if isinstance(error, StatementError) else error
    # A value the driver or a column type could not even send.
    return Trouble.DATA if isinstance(cause, _VALUE_ERRORS) else Trouble.FATAL


def _what_ended_savepoint(error: DBAPIError) -> DBAPIError:
    """The error behind a savepoint that is gone: a deadlock on MariaDB, or a full disk on SQLite, ends the transaction.

    Going back to the savepoint then fails, and that hides what has happened.
    """
    is_gone = _mysql_number(error.orig) == 1305 or str(error.orig).startswith("no such savepoint")
    behind = error.orig.__context__ if is_gone and error.orig is not None else None
    return behind if isinstance(behind, DBAPIError) else error


def _driver_trouble(error: DBAPIError) -> Trouble:
    cause = error.orig
    sqlite_code = _sqlite_code(cause)
    if sqlite_code is not None:
        return _SQLITE.get(sqlite_code, Trouble.FATAL)
    number = _mysql_number(cause)
    if number is not None:
        if number >= _MYSQL_MADE_UP:
            return Trouble.DATA
        return _MYSQL.get(number, Trouble.CONNECTION if error.connection_invalidated else Trouble.FATAL)
    state = _state(cause)
    if state is not None:
        if state.startswith(_MADE_UP) or _is_kept_out_by_policy(cause):
            return Trouble.DATA
        return _POSTGRESQL.get(state) or _POSTGRESQL_CLASSES.get(state[:2], Trouble.FATAL)
    if isinstance(cause, _VALUE_ERRORS) or type(cause).__name__ in ("ProgrammingError", "DataError"):
        return Trouble.DATA  # refused by the driver itself, before the server saw it
    if turned_away(error):
        return Trouble.FATAL
    # psycopg gives no state to a connection that was refused or cut (measured with 3.3.9).
    return Trouble.CONNECTION if type(cause).__name__ in ("OperationalError", "InterfaceError") else Trouble.FATAL


def _state(cause: BaseException | None) -> str | None:
    """The SQLSTATE, which psycopg2 calls pgcode."""
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _is_kept_out_by_policy(cause: BaseException | None) -> bool:
    """Whether row-level security refuses the row, and not the table: the state is that of a right that is lacking."""
    # The text of the message would be in the server's language.
    return getattr(getattr(cause, "diag", None), "source_function", None) == "ExecWithCheckOptions"


def _sqlite_code(cause: BaseException | None) -> str | None:
    name = getattr(cause, "sqlite_errorname", None)
    return None if name is None else name.removeprefix("SQLITE_").partition("_")[0]


def _mysql_number(cause: BaseException | None) -> int | None:
    arguments = getattr(cause, "args", ())
    is_mysql = cause is not None and "mysql" in type(cause).__module__.lower()
    return arguments[0] if is_mysql and arguments and isinstance(arguments[0], int) else None


def when_over(error: BaseException) -> str:
    """When it makes sense to try again after trouble that does not pass by itself, as the end of a sentence."""
    of_file = _SQLITE_WHEN_OVER.get(_sqlite_code(getattr(error, "orig", None)) or "")
    return of_file or _WHEN_OVER.get(trouble_of(error), "when the database is back")


def turned_away(error: BaseException) -> str | None:
    """Why the server lets nobody in with the address that the app has, if that is the trouble."""
    cause = getattr(error, "orig", None)
    code = _mysql_number(cause) or _state(cause)
    if code is not None:
        return _TURNED_AWAY.get(code)
    return next((why for words, why in _TURNED_AWAY_IN_WORDS.items() if words.search(str(cause))), None)


def server_of(error: BaseException) -> str:
    """The server that an error of a connection names, as the end of a clause: ` at HOST:PORT`, or nothing."""
    found = _SERVER.search(str(getattr(error, "orig", None) or ""))
    return f" at {':'.join(part for part in found.groups() if part)}" if found else ""


def is_denied(error: DBAPIError) -> bool:
    """Whether the database's user lacks a right on the database as a whole."""
    return _mysql_number(error.orig) == 1044 or _state(error.orig) == "42501"


def describe(error: BaseException) -> str:
    """An error by its class and code, without its text: the text of a driver error may hold row values."""
    cause = getattr(error, "orig", None) or error
    name = type(cause).__name__
    number = next((each for each in getattr(cause, "args", ()) if isinstance(each, int)), None)  # MySQL and MariaDB
    code = getattr(cause, "sqlite_errorname", None) or number or _state(cause)
    return f"{name} {code}" if code else name


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
    number = _mysql_number(cause)
    if number is not None:
        return _mysql_fault(number, text)
    return DataFault("refused")


def _postgresql_fault(cause: BaseException) -> DataFault:
    state = _state(cause) or ""
    diagnosis = getattr(cause, "diag", None)
    constraint = getattr(diagnosis, "constraint_name", None)
    column = getattr(diagnosis, "column_name", None)
    kind = {"23505": "unique", "23503": "foreign_key", "23514": "check", "23P01": "exclusion"}.get(state)
    if kind is not None:
        detail = getattr(diagnosis, "message_detail", None) if kind == "foreign_key" else None
        key = _POSTGRESQL_FOREIGN_KEY.match(detail or "")
        return DataFault(f"{kind}:{constraint}" if constraint else kind, key.group(1) if key else column)
    if state.startswith(("P0", *_MADE_UP)):
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
    if number in (1643, 1644) or number >= _MYSQL_MADE_UP:
        return DataFault("trigger")
    code = {1048: "null", 1364: "null", 1406: "too_long", 1264: "out_of_range"}.get(number, f"refused:{number}")
    column = re.search(r"(?:[Cc]olumn|Field) '([^']*)'", text) if number in (1048, 1364, 1406, 1264) else None
    return DataFault(code, column.group(1) if column else None)
