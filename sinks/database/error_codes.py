"""The codes that drivers give their errors: what is told apart by them does not depend on a class or a language."""

from __future__ import annotations

# Classes that neither the standard nor PostgreSQL uses begin so: a trigger of the user's has made them up (ERRCODE).
_MADE_UP_STATES = tuple("689IJKLMNOQRSTUVWYZ")
# From here on no server of MySQL's kind has errors of its own (MYSQL_ERRNO).
_MADE_UP_NUMBERS = 30_000


def state_of(cause: BaseException | None) -> str | None:
    """The SQLSTATE, which psycopg2 calls pgcode."""
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def sqlite_code(cause: BaseException | None) -> str | None:
    """SQLite's own word for the kind of error, such as BUSY."""
    name = getattr(cause, "sqlite_errorname", None)
    return None if name is None else name.removeprefix("SQLITE_").partition("_")[0]


def mysql_number(cause: BaseException | None) -> int | None:
    """The number of an error of MySQL or MariaDB."""
    arguments = getattr(cause, "args", ())
    is_mysql = cause is not None and "mysql" in type(cause).__module__.lower()
    return arguments[0] if is_mysql and arguments and isinstance(arguments[0], int) else None


def is_made_up(cause: BaseException | None) -> bool:
    """Whether the code is one that only a trigger of the user's raises."""
    return (mysql_number(cause) or 0) >= _MADE_UP_NUMBERS or (state_of(cause) or "").startswith(_MADE_UP_STATES)


def describe(error: BaseException) -> str:
    """An error by its class and code, without its text: the text of a driver error may hold row values."""
    cause = getattr(error, "orig", None) or error
    name = type(cause).__name__
    number = next((each for each in getattr(cause, "args", ()) if isinstance(each, int)), None)  # MySQL and MariaDB
    code = getattr(cause, "sqlite_errorname", None) or number or state_of(cause)
    return f"{name} {code}" if code else name
