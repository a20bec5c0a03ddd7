"""Driver error -> what it means for us, by SQLSTATE or error number and never by class alone.

The classes of driver errors mislead: a wrong password and a full disk are both `OperationalError` in psycopg.
"""

from __future__ import annotations

from enum import Enum

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import FlushError, StaleDataError

from sinks.database.data_faults import ModelRefused, RowRefused
from sinks.database.error_codes import is_made_up, mysql_number, sqlite_code, state_of
from sinks.database.turned_away import turned_away


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
    Trouble.TRANSIENT: "when no other transaction is in its way",
    Trouble.RESOURCE: "when there is room again",
    Trouble.READ_ONLY: "when the database accepts writes",
}
_SQLITE_WHEN_OVER = {
    "BUSY": "when no other program has the SQLite file locked",
    "CANTOPEN": "when the folder of the SQLite file exists, and folder and file may be opened",
    "READONLY": "when the SQLite file and its folder are there and may be written",
}
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
    is_gone = mysql_number(error.orig) == 1305 or str(error.orig).startswith("no such savepoint")
    behind = error.orig.__context__ if is_gone and error.orig is not None else None
    return behind if isinstance(behind, DBAPIError) else error


def _driver_trouble(error: DBAPIError) -> Trouble:
    cause = error.orig
    if is_made_up(cause):
        return Trouble.DATA
    code = sqlite_code(cause)
    if code is not None:
        return _SQLITE.get(code, Trouble.FATAL)
    number = mysql_number(cause)
    if number is not None:
        return _MYSQL.get(number, Trouble.CONNECTION if error.connection_invalidated else Trouble.FATAL)
    state = state_of(cause)
    if state is not None:
        if _is_kept_out_by_policy(cause):
            return Trouble.DATA
        return _POSTGRESQL.get(state) or _POSTGRESQL_CLASSES.get(state[:2], Trouble.FATAL)
    if isinstance(cause, _VALUE_ERRORS) or type(cause).__name__ in ("ProgrammingError", "DataError"):
        return Trouble.DATA  # refused by the driver itself, before the server saw it
    if turned_away(error):
        return Trouble.FATAL
    # psycopg gives no state to a connection that was refused or cut (measured with 3.3.9).
    return Trouble.CONNECTION if type(cause).__name__ in ("OperationalError", "InterfaceError") else Trouble.FATAL


def _is_kept_out_by_policy(cause: BaseException | None) -> bool:
    """Whether row-level security refuses the row, and not the table: the state is that of a right that is lacking."""
    # The text of the message would be in the server's language.
    return getattr(getattr(cause, "diag", None), "source_function", None) == "ExecWithCheckOptions"


def when_over(error: BaseException) -> str:
    """When it makes sense to try again after trouble that does not pass by itself, as the end of a sentence."""
    of_file = _SQLITE_WHEN_OVER.get(sqlite_code(getattr(error, "orig", None)) or "")
    return of_file or _WHEN_OVER.get(trouble_of(error), "when the database is back")


def is_denied(error: DBAPIError) -> bool:
    """Whether the database's user lacks a right on the database as a whole."""
    return mysql_number(error.orig) == 1044 or state_of(error.orig) == "42501"
