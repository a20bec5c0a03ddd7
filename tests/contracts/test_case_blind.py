"""Columns that take two texts for equal, each database in its own way: it decides about keys, and not about values."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from contracts.loads import Table, open_table
from fix_databases import MakeDatabase
from fix_shop import MakeShop

from restock.chunks import WriteCounts

COLLATED = """\
BLIND = sa.String(20, collation="NOCASE")
BLIND = BLIND.with_variant(sa.String(20, collation="utf8mb4_general_ci"), "mysql", "mariadb")
BLIND = BLIND.with_variant(sa.String(20, collation="blind"), "postgresql")


"""
CITEXT = """\
from sqlalchemy.dialects.postgresql import CITEXT

BLIND = CITEXT()


"""
MODEL = """\
class Blind(db.Model):
    __tablename__ = "blind"

    sku: Mapped[str] = mapped_column(BLIND, primary_key=True)
    word: Mapped[str | None] = mapped_column(BLIND)


class Named(db.Model):
    __tablename__ = "named"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(BLIND, unique=True)
    stock: Mapped[int | None]
"""
# What a server of PostgreSQL has to have for it, beside what each has.
PREPARED = {
    "citext": "CREATE EXTENSION citext",
    "postgresql": "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
}


@pytest.fixture(params=["sqlite", "mariadb", "postgresql", "citext"])
def blind_url(request: pytest.FixtureRequest, make_database: MakeDatabase) -> tuple[str, str]:
    """A database that is blind to case in one of the ways, and the source of its models."""
    way = request.param
    url = make_database("postgresql" if way == "citext" else way)
    if way in PREPARED:
        _prepare(url, PREPARED[way])
    return url, (CITEXT if way == "citext" else COLLATED) + MODEL


def _prepare(url: str, statement: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    except sa.exc.NotSupportedError:
        pytest.skip("Install PostgreSQL to try citext and ICU: the server of the wheel has neither.")


@pytest.fixture(params=["copy", "mappings", "objects"])
def make_blind(request: pytest.FixtureRequest, make_shop: MakeShop, blind_url: tuple[str, str]) -> Any:
    def make(model: str, **keys: Any) -> Table:
        return open_table(make_shop(*blind_url), model, **{"writer": request.param, **keys})

    return make


def test_a_collation_that_ignores_case_decides_about_keys_and_not_about_values(make_blind: Any) -> None:
    blind = make_blind("Blind", match_on=[])
    blind.load([{"sku": "Ab", "word": "x"}])

    counts = [blind.load([{"sku": "aB", "word": word}]) for word in ("x", "X", "X")]

    assert counts == [WriteCounts(unchanged=1), WriteCounts(updated=1), WriteCounts(unchanged=1)]
    assert blind.rows() == [{"sku": "Ab", "word": "X"}]


def test_one_of_two_rows_that_are_one_key_for_the_database_is_rejected(make_blind: Any) -> None:
    named = make_blind("Named", match_on=["name"])
    both = [{"name": "Spade", "stock": 1}, {"name": "SPADE", "stock": 2}]

    new, present = named.load(both), named.load([{"name": "spade", "stock": 3}, *both])

    assert new == WriteCounts(inserted=1, rejected=1)
    assert present == WriteCounts(updated=1, rejected=2)
    assert [(row["name"], row["stock"]) for row in named.rows()] == [("Spade", 3)]
