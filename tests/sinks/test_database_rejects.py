"""What a row that only the database refuses keeps of its source."""

from __future__ import annotations

import json

from shops import Shop
from stories.telling import sync


def test_a_word_that_looks_like_a_missing_value_is_kept_as_text(sqlite_shop: Shop) -> None:
    sqlite_shop.feed()
    sqlite_shop.write_csv("products.csv", [{"sku": "S-1", "name": "<NA>", "price": "-1", "stock": ""}])

    sync(sqlite_shop)

    (reject,) = sqlite_shop.execute("SELECT original FROM restock_reject")
    assert json.loads(reject["original"]) == {"sku": "S-1", "name": "<NA>", "price": "-1", "stock": None}
