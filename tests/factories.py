"""Plain functions that make what tests need, with defaults; a test names only what matters to it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from restock.chunks import ROW, Chunk, ChunkRef
from restock.feeds import Feed

# A name that is made anew must not hold a number by chance that a test looks for in what was said.
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def fresh_word() -> str:
    """A word of twelve letters that no other test has."""
    return uuid.uuid4().hex[:12].translate(_LETTERS)


def make_feed(**keys: Any) -> Feed:
    """A feed of products matched on their SKU."""
    defaults = {
        "name": "products",
        "source": "products.csv",
        "app": "shop:create_app",
        "model": "shop.models:Product",
        "match_on": ["sku"],
    }
    return Feed.model_validate(defaults | keys)


def make_ref(**values: Any) -> ChunkRef:
    """The address of the first chunk of a run."""
    defaults: dict[str, Any] = {
        "run_id": "run-1",
        "number": 1,
        "spool_file": "run-1/1.parquet",
        "first_row": 1,
        "rows": 1,
        "token": 1,
    }
    return ChunkRef(**defaults | values)


def make_product(number: int = 1, **values: Any) -> dict[str, Any]:
    """A record of the default shop's Product; the same number gives the same record."""
    defaults = {
        "sku": f"S-{number:05}",
        "name": f"Product {number}",
        "price": Decimal(number % 1000) + Decimal("0.99"),
        "stock": number % 50,
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
    }
    return defaults | values


def make_products(count: int, first: int = 1) -> list[dict[str, Any]]:
    """So many different records, numbered from `first`."""
    return [make_product(number) for number in range(first, first + count)]


def make_frame(records: list[dict[str, Any]], first_row: int = 1) -> pd.DataFrame:
    """A frame of object columns, indexed by row position, holding the values just as they are given."""
    columns = list(records[0]) if records else []
    index = pd.RangeIndex(first_row, first_row + len(records), name=ROW)
    return pd.DataFrame(
        {name: pd.Series([record[name] for record in records], index=index, dtype=object) for name in columns},
        index=index,
    )


def make_text_frame(records: list[dict[str, Any]], first_row: int = 1) -> pd.DataFrame:
    """The same as cells of a CSV feed: text, or missing."""
    frame = make_frame(records, first_row)
    return frame.map(lambda value: None if value is None else str(value)).astype("str")


def make_chunk(records: list[dict[str, Any]], ref: ChunkRef | None = None, **values: Any) -> Chunk:
    """A chunk of clean records, with the same rows as text for its raw side."""
    ref = ref or make_ref(rows=len(records))
    frame = make_frame(records, ref.first_row)
    return Chunk(ref=ref, frame=frame, raw=values.pop("raw", make_text_frame(records, ref.first_row)), **values)
