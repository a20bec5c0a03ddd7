"""A catalogue of made-up products, the same for the same seed, and what a table that holds it must contain."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

COLUMNS = (
    "sku", "name", "description", "brand", "category", "price", "currency", "quantity", "active", "weight", "updated_at"
)  # fmt: skip
SHARE_OF_NULLS = 0.05
SHARE_CHANGED = 0.05
SHARE_NEW = 0.01


def first_night(rows: int, seed: int) -> pa.Table:
    """`rows` products in random order of their keys, with 5% nulls in the columns that may be null."""
    dice = np.random.default_rng(seed)
    numbers = dice.permutation(rows)
    cents = dice.integers(1, 1_000_000, rows)
    words = np.array(
        ["steel", "garden", "compact", "wireless", "classic", "deluxe", "travel", "kitchen", "pro", "mini"]
    )
    picked = words[dice.integers(0, len(words), (rows, 12))]
    table = {
        "sku": pa.array([f"SKU-{number:09d}" for number in numbers]),
        "name": pa.array([f"{a} {b} product {n}" for a, b, n in zip(picked[:, 0], picked[:, 1], numbers, strict=True)]),
        "description": _with_nulls([" ".join(row) + " and more of it" for row in picked], dice),
        "brand": _with_nulls(picked[:, 2].tolist(), dice),
        "category": pa.array(picked[:, 3].tolist()),
        "price": _with_nulls([Decimal(int(cent)).scaleb(-2) for cent in cents], dice, pa.decimal128(12, 2)),
        "currency": pa.array(["EUR"] * rows),
        "quantity": _with_nulls(dice.integers(0, 5000, rows).tolist(), dice, pa.int64()),
        "active": pa.array((dice.random(rows) < 0.9).tolist()),
        "weight": _with_nulls((dice.integers(1, 80_000, rows) / 1000).tolist(), dice, pa.float64()),
        "updated_at": pa.array(
            (pd.Timestamp("2026-01-01") + pd.to_timedelta(dice.integers(0, 20_000_000, rows), unit="s")).tolist(),
            pa.timestamp("us"),
        ),
    }
    return pa.table(table)


def second_night(first: pa.Table, seed: int) -> pa.Table:
    """The first night with 5% of its prices and quantities changed, and 1% new products."""
    dice = np.random.default_rng(seed + 1)
    changed = dice.random(first.num_rows) < SHARE_CHANGED
    prices = first["price"].to_pylist()
    quantities = first["quantity"].to_pylist()
    for place in np.flatnonzero(changed):
        prices[place] = Decimal(int(dice.integers(1, 1_000_000))).scaleb(-2)
        quantities[place] = int(dice.integers(5000, 9000))
    table = first.set_column(5, "price", pa.array(prices, pa.decimal128(12, 2)))
    table = table.set_column(7, "quantity", pa.array(quantities, pa.int64()))
    new = first_night(max(1, int(first.num_rows * SHARE_NEW)), seed + 2)
    skus = pa.array([sku.replace("SKU-", "NEW-") for sku in new["sku"].to_pylist()])
    return pa.concat_tables([table, new.set_column(0, "sku", skus)])


def _with_nulls(values: list[object], dice: np.random.Generator, type_: pa.DataType | None = None) -> pa.Array:
    gone = dice.random(len(values)) < SHARE_OF_NULLS
    return pa.array([None if null else value for value, null in zip(values, gone, strict=True)], type_)


def save(table: pa.Table, path: Path) -> None:
    """Write a night as a supplier would: one Parquet file."""
    pq.write_table(table, path, row_group_size=100_000)


def digest_of_night(table: pa.Table) -> str:
    """A digest of every value of every row, in the order of the keys."""
    return _digest(sorted(zip(*(table[name].to_pylist() for name in COLUMNS), strict=True)))


def digest_of_table(url: str) -> str:
    """The same of what a database holds, read with plain SQL through a connection of its own."""
    engine = sa.create_engine(url)
    columns = [
        sa.column("price", sa.Numeric(12, 2)) if name == "price"
        else sa.column("active", sa.Boolean) if name == "active"
        else sa.column("updated_at", sa.DateTime) if name == "updated_at"
        else sa.column(name)
        for name in COLUMNS
    ]  # fmt: skip
    with engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).select_from(sa.table("product")).order_by(sa.text("sku"))).all()
    engine.dispose()
    return _digest(sorted(tuple(row) for row in rows))


def _digest(rows: list[tuple[object, ...]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()
