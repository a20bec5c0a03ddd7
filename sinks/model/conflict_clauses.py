"""What a table of SQLite says of rows that break its constraints: `ON CONFLICT REPLACE`, `IGNORE` and their like."""

from __future__ import annotations

import re

import sqlalchemy as sa

_CLAUSE = re.compile(r"\bON\s+CONFLICT\s+(\w+)", re.IGNORECASE)


def conflict_clauses(connection: sa.Connection, table: sa.Table) -> set[str]:
    """What is to happen with such rows, in capitals; nothing where they are refused, as on every other database."""
    if connection.dialect.name != "sqlite":
        return set()
    schema = connection.dialect.identifier_preparer.quote(table.schema or "main")
    asked = sa.text(f"SELECT sql FROM {schema}.sqlite_master WHERE type = 'table' AND lower(name) = lower(:name)")
    return {word.upper() for word in _CLAUSE.findall(connection.scalar(asked, {"name": table.name}) or "")}
