"""Makes the second night's feed of the demo: what a supplier sends a day later, with its usual share of bad rows."""

from __future__ import annotations

import csv
import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20071106
PRICES_CHANGED = 40
PRODUCTS_NEW = 12
FIRST_NEW_ID = 900_000_001
LONGEST_NAME = 255


def make_second_night(first: Path, second: Path) -> None:
    """Read the CSV feed of the first night and write the Parquet feed of the second. The same every time."""
    chance = random.Random(SEED)
    with first.open(encoding="utf-8", newline="") as file:
        products = list(csv.DictReader(file))
    _change_prices(products, chance)
    products += _new_products(chance)
    _spoil(products, chance)
    second.parent.mkdir(parents=True, exist_ok=True)
    # A Parquet file has a null where the CSV file has an empty field.
    columns = {name: [product[name] or None for product in products] for name in products[0]}
    pq.write_table(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}), second)


def _change_prices(products: list[dict[str, str]], chance: random.Random) -> None:
    priced = [product for product in products if product["price"]]
    for product in chance.sample(priced, PRICES_CHANGED):
        price = Decimal(product["price"].replace("$", "").replace(",", ""))
        product["price"] = f"${price * 9 / 10:,.2f}"


def _new_products(chance: random.Random) -> list[dict[str, str]]:
    return [
        {
            "unique_id": str(FIRST_NEW_ID + number),
            "title": f"Travel Charger Model {number + 1}",
            "description": "For the example only",
            "price": f"${chance.randint(900, 4999) / 100:.2f}",
        }
        for number in range(PRODUCTS_NEW)
    ]


def _spoil(products: list[dict[str, str]], chance: random.Random) -> None:
    """Four rows that cannot be loaded, and one that comes twice, first with an older price."""
    unnamed, unpriced, endless, unreadable, twice = chance.sample(products[:-PRODUCTS_NEW], 5)
    unnamed["title"] = ""
    unpriced["price"] = "call us"
    endless["title"] = (endless["title"] + " ") * (LONGEST_NAME // len(endless["title"]) + 1)
    unreadable["price"] = "$12.345"
    products.insert(0, twice | {"price": "$1.00"})
