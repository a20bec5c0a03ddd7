"""The load that is put under fault: present and absent rows, a key that comes twice, two kinds of poisoned rows."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from faults import oracle
from shops import Shop

CHUNK_ROWS = 8
CHUNKS = 3
ROWS = CHUNKS * CHUNK_ROWS
REFUSED_BY_THE_DATABASE = 9
REFUSED_BY_THE_CONTRACT = 20
REPEATED = (5, 24)

_RECORD_WRITES = {
    "sqlite": [
        "CREATE TRIGGER product_{deed} AFTER {deed} ON product "
        "BEGIN INSERT INTO product_write (sku) VALUES (NEW.sku); END"
    ],
    "mysql": [
        "CREATE TRIGGER product_{deed} AFTER {deed} ON product FOR EACH ROW "
        "INSERT INTO product_write (sku) VALUES (NEW.sku)"
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION record_write() RETURNS trigger AS "
        "'BEGIN INSERT INTO product_write (sku) VALUES (NEW.sku); RETURN NEW; END' LANGUAGE plpgsql",
        "CREATE TRIGGER product_{deed} AFTER {deed} ON product FOR EACH ROW EXECUTE FUNCTION record_write()",
    ],
}


# What the table holds before the load: every third product, with other values.
BEFORE: dict[str, oracle.Product] = {
    f"S-{number:05}": (f"old {number}", Decimal("0.50"), 0) for number in range(1, ROWS + 1, 3)
}


@dataclass
class Load:
    """One content that is brought into one shop, as often as a test likes."""

    shop: Shop
    before: dict[str, oracle.Product] = field(default_factory=lambda: dict(BEFORE))

    @property
    def address(self) -> tuple[Path, str, str]:
        """What another process needs to open the same load."""
        return self.shop.folder, self.shop.package, self.shop.engine.url.render_as_string(hide_password=False)

    @property
    def file(self) -> Path:
        return self.shop.folder / "products.csv"

    @property
    def spool(self) -> Path:
        return self.shop.folder / "spool"

    def source(self, refused: frozenset[int] = frozenset()) -> oracle.Source:
        return oracle.Source.read(self.file, refused)

    def untruths(self, refused: frozenset[int] = frozenset()) -> list[str]:
        """What is wrong in the middle of things."""
        return oracle.untruths(self.shop.engine, self.source(refused), self.before)

    def violations(self, refused: frozenset[int] = frozenset(), is_quiet: bool = True) -> list[str]:
        """What is wrong when all is said and done."""
        return oracle.violations(self.shop.engine, self.source(refused), self.before, self.spool, is_quiet)

    def refused_falsely(self) -> frozenset[int]:
        """The rejected rows that the file knows to be sound: none, unless a test made the database refuse one."""
        return frozenset(oracle.reject_positions(self.shop.engine) - self.source().poisoned)

    def write(
        self, rows: int = ROWS, chunk_rows: int = CHUNK_ROWS, poison: frozenset[int] | None = None, **feed: Any
    ) -> None:
        """Write the source and feeds.yaml."""
        refused = frozenset((REFUSED_BY_THE_DATABASE,)) if poison is None else poison
        self.shop.feed(chunk_rows=chunk_rows, **feed)
        self.shop.write_csv(
            "products.csv", [_product(number, refused, poison is None) for number in range(1, rows + 1)]
        )

    def reset(self) -> None:
        """Put the table back to what it was before the load, and forget every run."""
        engine = self.shop.engine
        ledger = [name for name in sa.inspect(engine).get_table_names() if name.startswith("restock_")]
        with engine.begin() as connection:
            for name in [*ledger, "product"]:
                connection.execute(sa.text(f"DELETE FROM {name}"))
            for sku, (name, price, stock) in self.before.items():
                connection.execute(
                    sa.text("INSERT INTO product (sku, name, price, stock) VALUES (:sku, :name, :price, :stock)"),
                    {"sku": sku, "name": name, "price": str(price), "stock": stock},
                )
            connection.execute(sa.text("DELETE FROM product_write"))
        shutil.rmtree(self.spool, ignore_errors=True)


def _product(number: int, refused: frozenset[int], is_usual: bool) -> dict[str, str]:
    last = REPEATED[1] if is_usual and number == REPEATED[0] else number
    row = {"sku": f"S-{last:05}", "name": f"Product {number}", "price": f"{number}.25", "stock": str(number % 50)}
    if number in refused:
        row["price"] = "-1"
    if is_usual and number == REFUSED_BY_THE_CONTRACT:
        row["price"] = "a lot"
    return row


def make_load(shop: Shop) -> Load:
    """The usual load: three chunks, with two poisoned rows and a key that comes twice."""
    load = Load(shop)
    load.write()
    record_writes(shop)
    load.reset()
    return load


@contextmanager
def opened(address: tuple[Path, str, str]) -> Iterator[Load]:
    """A load that another process has made, for this process alone: its environment points there."""
    folder, package, url = address
    os.environ |= {"RESTOCK_FEEDS": str(folder / "feeds.yaml"), "RESTOCK_SPOOL": str(folder / "spool")}
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    engine = sa.create_engine(url)
    try:
        yield Load(Shop(folder, package, engine))
    finally:
        engine.dispose()


def record_writes(shop: Shop) -> None:
    """Let the database itself keep a record of every write to the product table, committed with the write."""
    shop.execute("CREATE TABLE product_write (sku VARCHAR(40) NOT NULL)")
    for deed in ("INSERT", "UPDATE"):
        for statement in _RECORD_WRITES[shop.engine.dialect.name]:
            shop.execute(statement.format(deed=deed))
