"""Rejects of a Parquet feed: mending one cell leaves the typed cells beside it as they were."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from shops import Shop
from stories.telling import correct, counts, export, mend, sync

TYPED = """\
class Product(db.Model):
    __tablename__ = "product"

    sku: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(8))
    price: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 2))
    weight: Mapped[decimal.Decimal | None] = mapped_column(sa.Numeric(10, 5))
    stock: Mapped[int | None]
    active: Mapped[bool | None]
    since: Mapped[dt.date | None]
    picture: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
"""
CELLS = [
    ("sku", pa.string(), "S-1"),
    ("name", pa.string(), "far too long"),
    ("price", pa.float32(), 19.99),
    ("weight", pa.decimal128(10, 3), Decimal("1.234")),
    ("stock", pa.float64(), 5.0),
    ("active", pa.float64(), 1.0),
    ("since", pa.date32(), 20513),
]
RULES = {"decimal": ",", "thousands": ".", "true_values": ["ja"], "false_values": ["nein"], "date_format": "%d.%m.%Y"}


def night(shop: Shop, *more: tuple[str, Any, Any]) -> str:
    cells = [*CELLS, *more]
    row = {name: pa.scalar(value, type_).as_py() for name, type_, value in cells}
    schema = pa.schema([(name, type_) for name, type_, _ in cells])
    shop.feed(source="products.parquet", csv=RULES)
    shop.write_parquet("products.parquet", [row], schema)
    return sync(shop).run.run_id


def test_typed_cells_that_nobody_touched_keep_their_values(make_shop: Callable[..., Shop], database_url: str) -> None:
    shop = make_shop(database_url, TYPED)
    path = export(shop, night(shop, ("picture", pa.binary(), b"plain")))
    mend(path, {"S-1": {"name": "short"}})

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"inserted": 1}
    [row] = shop.rows("product")
    assert (row["price"], row["weight"]) == (Decimal("19.99"), Decimal("1.234"))
    assert (row["stock"], bool(row["active"]), str(row["since"])) == (5, True, "2026-03-01")
    assert (row["name"], bytes(row["picture"])) == ("short", b"plain")


def test_a_row_with_bytes_that_no_text_can_hold_stays_open(make_shop: Callable[..., Shop], sqlite_url: str) -> None:
    shop = make_shop(sqlite_url, TYPED)
    path = export(shop, night(shop, ("picture", pa.binary(), b"\x89PNG\xff")))
    mend(path, {"S-1": {"name": "short"}})

    done = correct(shop, path)

    assert counts(done.reports[0]) == {"rejected": 1}
    assert done.reports[0].reasons == [("encoding", None, 1)]
    assert shop.rows("product") == []
