"""Two nights of the example feed through Prefect, into an empty example shop: `make demo`."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from example_app.second_night import make_second_night
from flows.orchestration.prefect_server import RestockError, quiet_server

ROOT = Path(__file__).resolve().parent.parent
FEED = "buy-com"
FIRST = Path("data", "abtbuy_buy.csv")
SECOND = Path(".restock", "demo", "buy_second_night.parquet")
DATABASE = ROOT / "instance" / "shop.sqlite"
SPOOL = ROOT / ".restock" / "spool"

# Counted in the file itself: products, prices, their sum, descriptions, and the price written as "$1,849.77".
FACTS = (1092, 590, Decimal("254085.81"), 646, 1)
COUNTED = """
    SELECT count(*), count(price), sum(CAST(round(price * 100) AS INTEGER)), count(description),
           count(*) FILTER (WHERE CAST(round(price * 100) AS INTEGER) = 184977)
    FROM product
"""
NEXT = """
What to try next:
  .venv/bin/restock runs                                   both nights, as the ledger has them
  .venv/bin/restock rejects {run} --csv rejects.csv
                                                           the rows that were refused; mend them in the file, then
  .venv/bin/restock reprocess --rejects rejects.csv        load them
  .venv/bin/flask --app example_app run                    look at the shop
"""


def main() -> int:
    """Run both nights and check the first. The exit status is 0 if everything went as it should."""
    os.chdir(ROOT)
    environment = _own_environment()
    _empty_the_shop()
    make_second_night(FIRST, SECOND)
    print("Starting a private Prefect server …", flush=True)
    home = ROOT / ".restock" / "prefect"
    with quiet_server(home) as url:
        environment |= {"PREFECT_API_URL": url, "PREFECT_HOME": str(home)}
        _heading(f"Night one: {FIRST}, into an empty shop")
        status = _restock(environment, "sync", FEED, "--prefect")
        wrong = status != 0 or not _facts_hold()
        if not wrong:
            _heading(f"Night two: {SECOND}, with new prices, new products and a few bad rows")
            wrong = _restock(environment, "sync", FEED, "--file", str(SECOND), "--prefect") != 0
    if not wrong:
        print(NEXT.format(run=_newest_run()).rstrip())
    return int(wrong)


def _own_environment() -> dict[str, str]:
    """The caller's environment without what would lead the demo to another database, spool or server."""
    foreign = ("PREFECT_", "RESTOCK_")
    return {
        name: value
        for name, value in os.environ.items()
        if name != "SQLALCHEMY_DATABASE_URI" and not name.startswith(foreign)
    }


def _empty_the_shop() -> None:
    for ending in ("", "-journal", "-wal", "-shm"):
        DATABASE.with_name(DATABASE.name + ending).unlink(missing_ok=True)
    for leftover in SPOOL.glob("*/*"):
        leftover.unlink()
    for run in SPOOL.glob("*"):
        run.rmdir()


def _restock(environment: dict[str, str], *words: str) -> int:
    print(f"$ restock {' '.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "flows.cli", *words], env=environment, check=False).returncode


def _facts_hold() -> bool:
    """Compare the shop with the facts about the file, by plain SQL; SQLite keeps prices as floats, so in cents."""
    with closing(sqlite3.connect(DATABASE)) as shop:
        products, prices, cents, descriptions, dearest = shop.execute(COUNTED).fetchone()
    found = (products, prices, Decimal(cents or 0) / 100, descriptions, dearest)
    if found != FACTS:
        print(f"The shop does not hold what the file says: {found} in place of {FACTS}.", file=sys.stderr)
        return False
    print(
        f"Checked by plain SQL: {products:,} products, {prices} prices with the exact sum {found[2]}, "
        f'"$1,849.77" became 1849.77, {descriptions} descriptions.'
    )
    return True


def _newest_run() -> str:
    with closing(sqlite3.connect(DATABASE)) as shop:
        return str(shop.execute("SELECT max(run_id) FROM restock_run").fetchone()[0])


def _heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RestockError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
