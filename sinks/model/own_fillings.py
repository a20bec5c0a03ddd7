"""What a new row may get from the app's own code or from a trigger, if neither feed nor model has a value for it."""

from __future__ import annotations

import sqlalchemy as sa

from sinks.database.driver_calls import plain_name
from sinks.model.model_code import may_fill_new_object
from sinks.model.target import Target

_ASKED = {
    "postgresql": """
        SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(:quoted) AND NOT tgisinternal AND tgtype & 7 = 7 LIMIT 1
    """,
    "mysql": """
        SELECT 1 FROM information_schema.triggers WHERE event_object_schema = COALESCE(:schema, DATABASE())
        AND event_object_table = :name AND action_timing = 'BEFORE' AND event_manipulation = 'INSERT' LIMIT 1
    """,
}
_ASKED["mariadb"] = _ASKED["mysql"]


def may_fill(connection: sa.Connection | None, target: Target) -> bool:
    """Whether the model's constructor, a listener of it, or a trigger of the table may fill what a new row lacks.

    Args:
        connection: to the table; None if there is no table.
    """
    by_code = target.makes_objects and may_fill_new_object(target.mapper)
    return by_code or (connection is not None and _has_trigger(connection, target.table))


def _has_trigger(connection: sa.Connection, table: sa.Table) -> bool:
    asked = _ASKED.get(connection.dialect.name)
    if asked is None:
        return False  # a trigger of SQLite cannot change the row that is to be inserted
    named = {"quoted": plain_name(connection, table), "schema": table.schema, "name": table.name}
    return connection.execute(sa.text(asked), named).first() is not None
