"""A catalogue of made-up products, the same for the same seed: the feeds of three nights, and the tables they lead to.

Made block by block, so that ten million products need no more memory than one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "sku": pa.string(),
        "name": pa.string(),
        "description": pa.string(),
        "brand": pa.string(),
        "category": pa.string(),
        "price": pa.decimal128(12, 2),
        "currency": pa.string(),
        "quantity": pa.int64(),
        "active": pa.bool_(),
        "weight": pa.float64(),
        "updated_at": pa.timestamp("us"),
    }
)
BLOCK_ROWS = 50_000
SHARE_OF_NULLS = 0.05
SHARE_CHANGED = 0.0504
SHARE_NEW = 0.01
WORDS = pa.array(
    [
        *("steel", "garden", "compact", "wireless", "classic", "deluxe", "travel"),
        *("kitchen", "pro", "mini", "street", "cream", "outdoor", "silent"),
    ]
)
# The last word of a name: one in twenty is not plain ASCII.
LAST_WORDS = pa.array([*["product"] * 38, "Straße", "crème"])
WORDS_OF_DESCRIPTION = 17
LAST_CHANGE = np.datetime64("2026-01-01T00:00:00", "us")
A_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Catalogue:
    """So many products, by a seed. Every method yields tables of SCHEMA."""

    rows: int
    seed: int

    def first_night(self) -> Iterator[pa.Table]:
        """All products in the order of their ids, with 5% nulls where a column may be null."""
        for number, first in enumerate(range(0, self.rows, BLOCK_ROWS)):
            yield self._block(number, first + 1, min(BLOCK_ROWS, self.rows - first))

    def second_night(self) -> Iterator[pa.Table]:
        """The whole catalogue again: 5% of the products changed, and 1% new ones at the end."""
        for number, block in enumerate(self.first_night()):
            dice = self._dice(2, number)
            yield _changed(block, dice.random(block.num_rows) < SHARE_CHANGED, dice)
        yield from self._new_ones(max(1, int(self.rows * SHARE_NEW)))

    def shuffled_night(self) -> pa.Table:
        """Half of the products, all changed, and half as many new ones, in random order."""
        changed = [block.filter(pa.array(mask)) for block, mask in self._half_changed()]
        feed = pa.concat_tables([*changed, *self._new_ones(self.rows // 2)])
        return feed.take(pa.array(self._dice(4, 0).permutation(feed.num_rows)))

    def after_shuffled_night(self) -> Iterator[pa.Table]:
        """What a table that held the first night holds after the shuffled one, in the order of the ids."""
        for block, _ in self._half_changed():
            yield block
        yield from self._new_ones(self.rows // 2)

    def _half_changed(self) -> Iterator[tuple[pa.Table, np.ndarray]]:
        for number, block in enumerate(self.first_night()):
            dice = self._dice(3, number)
            mask = dice.permutation(block.num_rows) < block.num_rows // 2
            yield _changed(block, mask, dice), mask

    def _new_ones(self, rows: int) -> Iterator[pa.Table]:
        for number, first in enumerate(range(0, rows, BLOCK_ROWS)):
            yield self._block(1_000_000 + number, self.rows + first + 1, min(BLOCK_ROWS, rows - first))

    def _dice(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, number])

    def _block(self, number: int, first_id: int, rows: int) -> pa.Table:
        dice = self._dice(1, number)
        ids = pa.array(np.arange(first_id, first_id + rows))
        told = ids.cast(pa.string())

        def words(count: int) -> pa.Array:
            return pc.binary_join_element_wise(*(_picked(dice, rows) for _ in range(count)), " ")

        seconds = dice.integers(0, 20_000_000, rows).astype("timedelta64[s]")
        columns = [
            ids,
            pc.binary_join_element_wise("SKU", pc.utf8_lpad(told, 10, "0"), "-"),
            pc.binary_join_element_wise(words(2), _picked(dice, rows, LAST_WORDS), told, " "),
            _with_nulls(words(WORDS_OF_DESCRIPTION), dice),
            _with_nulls(_picked(dice, rows), dice),
            _picked(dice, rows),
            _with_nulls(_prices(dice, rows), dice),
            pa.array(["EUR"] * rows),
            _with_nulls(pa.array(dice.integers(0, 5000, rows)), dice),
            pa.array(dice.random(rows) < 0.9),
            _with_nulls(pa.array(dice.integers(1, 80_000, rows) / 1000), dice),
            pa.array(LAST_CHANGE - seconds),
        ]
        return pa.table([column.cast(kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)


def _picked(dice: np.random.Generator, rows: int, words: pa.Array = WORDS) -> pa.Array:
    return words.take(pa.array(dice.integers(0, len(words), rows)))


def _prices(dice: np.random.Generator, rows: int) -> pa.Array:
    cents = pa.array(dice.integers(100, 1_000_000, rows)).cast(pa.decimal128(19, 0))
    return pc.multiply(cents, pa.scalar(Decimal("0.01"))).cast(pa.decimal128(12, 2))


def _with_nulls(values: pa.Array, dice: np.random.Generator) -> pa.Array:
    return pc.if_else(pa.array(dice.random(len(values)) < SHARE_OF_NULLS), pa.scalar(None, values.type), values)


def _changed(block: pa.Table, mask: np.ndarray, dice: np.random.Generator) -> pa.Table:
    """The block with other prices, quantities and times where the mask says so."""
    other = {
        "price": _prices(dice, block.num_rows),
        "quantity": pa.array(dice.integers(5000, 9000, block.num_rows)),
        "updated_at": pa.array(block["updated_at"].to_numpy() + A_DAY),
    }
    for name, values in other.items():
        place = SCHEMA.get_field_index(name)
        column = pc.if_else(pa.array(mask), values, block[name].combine_chunks())
        block = block.set_column(place, SCHEMA.field(name), column.cast(SCHEMA.field(name).type))
    return block
