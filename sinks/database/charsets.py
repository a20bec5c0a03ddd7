"""Which characters a database takes: those of a reject have to be written in any case."""

from __future__ import annotations

import sqlalchemy as sa

# By dialect: in what the connection, and on PostgreSQL the database, has text, and the name of what takes all of it.
_MYSQL = ("SELECT @@character_set_client", "utf8mb4")  # in which the ledger's tables are, whatever the database's own
_ASKED = {
    "postgresql": ("SELECT current_setting('client_encoding'), current_setting('server_encoding')", "UTF8"),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}


def takes_all_text(connection: sa.Connection) -> bool:
    """Whether every character comes through the connection into the database."""
    if connection.dialect.name not in _ASKED:
        return True
    question, whole = _ASKED[connection.dialect.name]
    return set(connection.exec_driver_sql(question).one()) == {whole}


def in_ascii(text: str | None) -> str | None:
    """Text with all other characters by their number, as `\\xe9`."""
    return None if text is None else text.encode("ascii", "backslashreplace").decode("ascii")
