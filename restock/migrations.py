"""Keeps the ledger's tables out of the app's own migrations."""

from __future__ import annotations

from typing import Any

LEDGER_TABLES = ("restock_run", "restock_chunk", "restock_reject", "restock_lease", "restock_fence")


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Tell Alembic which objects are the app's: all but the ledger's tables and what belongs to them.

    For Flask-Migrate: `Migrate(app, db, include_object=restock.include_object)`. Without it, autogenerate proposes to
    drop the ledger, because no model of the app mentions it.
    """
    table = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
    return table not in LEDGER_TABLES
