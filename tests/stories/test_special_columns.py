"""Columns that take less, or more, than their type says: discriminators, and MariaDB's own types."""

from __future__ import annotations

from typing import Any

import pytest
from fix_shop import MakeShop
from stories.telling import counts, rejects_of, sync

KINDS = """\
class Kind(enum.Enum):
    product = 1
    hose = 2
    lamp = 3


class Word(enum.StrEnum):
    product = "product"
    hose = "hose"


class Own(sa.types.TypeDecorator):
    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else str(getattr(value, "name", value))

    def process_result_value(self, value, dialect):
        return Kind[value]


class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20))
    kind: Mapped[{type}] = mapped_column({column})
    __mapper_args__ = {{"polymorphic_on": "kind", "polymorphic_identity": {product}}}


class Hose(Product):
    length: Mapped[int | None]
    __mapper_args__ = {{"polymorphic_identity": {hose}}}
"""
OWN_TYPES = """\
from sqlalchemy.dialects import mysql


class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    tiny: Mapped[int | None] = mapped_column(mysql.TINYINT)
    medium: Mapped[int | None] = mapped_column(mysql.MEDIUMINT(unsigned=True))
    large: Mapped[int | None] = mapped_column(mysql.BIGINT(unsigned=True))
    bits: Mapped[int | None] = mapped_column(mysql.BIT(8))
    year: Mapped[int | None] = mapped_column(mysql.YEAR)
    flags: Mapped[str | None] = mapped_column(mysql.SET("new", "sale", "bulky"))
"""


@pytest.mark.parametrize("writer", ["copy", "mappings", "objects"])
@pytest.mark.parametrize(
    "type_, product, hose, unknown",
    [
        ("str", "'product'", "'hose'", "nosuch"),
        ("str", "Word.product", "Word.hose", "nosuch"),
        ("int", "1", "2", "9"),
        ("Kind", "Kind.product", "Kind.hose", "lamp"),
    ],
)
def test_a_row_of_a_kind_that_the_model_does_not_know_is_set_aside(
    make_shop: MakeShop, postgresql_url: str, writer: str, type_: str, product: str, hose: str, unknown: str
) -> None:
    """In the table it would keep the app from reading any row."""
    shop = make_shop(postgresql_url, KINDS.format(type=type_, column="", product=product, hose=hose))
    shop.feed(source="products.csv", match_on=["sku"], writer=writer)
    known = [text.split(".")[-1].strip("'") for text in (product, hose)]
    rows = [{"sku": f"S-{n}", "name": "a", "kind": kind} for n, kind in enumerate([*known, unknown])]
    shop.write_csv("products.csv", rows)

    report = sync(shop)

    assert counts(report) == {"inserted": 2, "rejected": 1}
    assert codes(report) == [("not_a_kind", "kind")]


def test_kinds_of_a_type_of_the_apps_own_are_left_to_it(make_shop: MakeShop, postgresql_url: str) -> None:
    kinds = KINDS.format(type="Kind", column="Own", product="Kind.product", hose="Kind.hose")
    shop = make_shop(postgresql_url, kinds)
    shop.feed(source="products.csv", match_on=["sku"])
    shop.write_csv("products.csv", [{"sku": "S-1", "name": "a", "kind": "hose"}])

    assert counts(sync(shop)) == {"inserted": 1}


def test_mariadbs_own_types_take_all_that_they_hold_and_no_more(make_shop: MakeShop, mariadb_url: str) -> None:
    shop = make_shop(mariadb_url, OWN_TYPES)
    shop.feed(source="products.csv", match_on=["sku"])
    least = {"tiny": -128, "medium": 0, "large": 0, "bits": 0, "year": 1901, "flags": "new"}
    most = {"tiny": 127, "medium": 2**24 - 1, "large": 2**64 - 1, "bits": 255, "year": 2155, "flags": "bulky,new,sale"}
    some = {"tiny": 5, "medium": 5, "large": 2**63, "bits": 5, "year": 2026, "flags": "new,sale"}
    beyond = [{name: value + 1} for name, value in most.items() if isinstance(value, int)]
    sound = [{"sku": name} | row for name, row in (("least", least), ("some", some), ("most", most))]
    columns = list(sound[0])
    shop.write_csv("products.csv", sound, columns)

    assert counts(sync(shop)) == {"inserted": 3}
    told = [{**row, "flags": ",".join(sorted(row["flags"]))} for row in shop.rows("product")]
    assert sorted(told, key=lambda row: row["tiny"]) == sound
    assert counts(sync(shop, force=True)) == {"unchanged": 3}

    shop.write_csv("products.csv", [{"sku": f"S-{n}"} | row for n, row in enumerate(beyond)], columns)
    assert codes(sync(shop)) == [("out_of_range", name) for row in beyond for name in row]


def codes(report: Any) -> list[tuple[str, str | None]]:
    return [(fault.code, fault.column) for each in rejects_of(report.run.run_id) for fault in each.faults]
