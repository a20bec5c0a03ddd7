"""Apps with whose engines rows and ledger would not be written together are refused before anything is written."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from contracts.loads import open_table
from fix_shop import MakeShop

from restock.errors import ConfigurationError

ITEM = """\
class Item(db.Model):
    __tablename__ = "item"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(40))
"""


def models(**options: str) -> str:
    """The models of a shop whose `db` takes these options, as they are written there."""
    listed = "".join(f", {name}={written}" for name, written in options.items())
    return f"db = SQLAlchemy(model_class=Base{listed})\n\n\n{ITEM}"


def test_an_app_that_translates_schemas_is_refused(make_shop: MakeShop, sqlite_url: str) -> None:
    translating = models(engine_options='{"execution_options": {"schema_translate_map": {"shop": "main"}}}')
    shop = make_shop(sqlite_url, translating)

    with pytest.raises(ConfigurationError, match="schema_translate_map"):
        open_table(shop, "Item", match_on=[])
