"""What restock cannot load through: engines of an app with which rows and ledger would not be written together."""

from __future__ import annotations

import sqlalchemy as sa

from restock.errors import ConfigurationError


def check_engine(engine: sa.Engine, app_reference: str) -> None:
    """Make sure that restock's transactions are transactions on this engine, and reach the tables they name.

    Raises:
        ConfigurationError: they would not.
    """
    if engine.get_execution_options().get("schema_translate_map"):
        # SQLAlchemy translates its own statements, but neither COPY nor whatever else goes to the driver as it is.
        raise ConfigurationError(
            f"The engine of the app {app_reference} has a schema_translate_map, by which rows could come into a schema "
            "that was not meant; give restock an app without it: name the schema in the model, or in the search_path "
            "of the database's user."
        )
