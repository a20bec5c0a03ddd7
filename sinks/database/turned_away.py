"""What a server says at its door: why it lets nobody in, and where it stands."""

from __future__ import annotations

import re

from sinks.database.error_codes import mysql_number, state_of

# What a server says at its door that it will say again until somebody corrects the app's address, by code; psycopg
# gives none to a connection that failed, so by its words too, which may name a user and are not shown.
_NO_DATABASE, _NO_LOGIN = "it has no database of that name", "it does not accept the app's user or password"
_NO_RIGHT = f"{_NO_DATABASE} that the app's user may use"
_TURNED_AWAY: dict[object, str] = {
    1044: _NO_RIGHT,
    **dict.fromkeys(("3D000", 1049), _NO_DATABASE),
    **dict.fromkeys(("28000", "28P01", 1045), _NO_LOGIN),
}
_TURNED_AWAY_IN_WORDS = {
    re.compile('FATAL: +database ".*" does not exist'): _NO_DATABASE,
    re.compile('FATAL: +(password authentication failed|role ".*" does not exist|no pg_hba.conf entry)'): _NO_LOGIN,
    re.compile('FATAL: +role ".*" is not permitted to log in'): "it does not let the app's user log in",
    re.compile('FATAL: +permission denied for database ".*"'): _NO_RIGHT,
}
CORRECT_IT = "correct the address that the app has of it, or the rights of that user"
# Never a socket's folder, which is a path of the machine.
_SERVER = re.compile(r"""(?:server at|server on|resolve host) ["']([^"'/]+)["'](?:, port (\d+))?""")


def turned_away(error: BaseException) -> str | None:
    """Why the server lets nobody in with the address that the app has, if that is the trouble."""
    cause = getattr(error, "orig", None)
    code = mysql_number(cause) or state_of(cause)
    if code is not None:
        return _TURNED_AWAY.get(code)
    return next((why for words, why in _TURNED_AWAY_IN_WORDS.items() if words.search(str(cause))), None)


def server_of(error: BaseException) -> str:
    """The server that an error of a connection names, as the end of a clause: ` at HOST:PORT`, or nothing."""
    found = _SERVER.search(str(getattr(error, "orig", None) or ""))
    return f" at {':'.join(part for part in found.groups() if part)}" if found else ""
