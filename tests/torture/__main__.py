"""The long proof: random misfortunes until the time is over, and a table of what was really run.

make torture SEED=7 SECONDS=1800
"""

from __future__ import annotations

import argparse
import random
import sys
from concurrent.futures import Future, ProcessPoolExecutor

from faults.children import forking
from torture.grounds import KINDS
from torture.running import Result, mutate_files, torture_database

SHOWN = 20


def main() -> int:
    """Run everything, a process for each database and one for the files; print the table."""
    options = argparse.ArgumentParser(prog="make torture")
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--seconds", type=float, default=1800.0)
    given = options.parse_args()
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}, {given.seconds:.0f} seconds", flush=True)
    with ProcessPoolExecutor(len(KINDS) + 2, forking) as pool:
        parts: list[Future[list[Result]]] = [pool.submit(torture_database, kind, seed, given.seconds) for kind in KINDS]
        parts += [pool.submit(mutate_files, kind, seed, given.seconds / 2) for kind in ("csv", "parquet")]
        results = [result for part in parts for result in part.result()]
    show(results)
    return 1 if any(result.found for result in results) else 0


def show(results: list[Result]) -> None:
    """Print the table, then what is wrong."""
    print("| test | on | runs | planned | violations |\n|---|---|---:|---:|---:|")
    for each in results:
        print(f"| {each.test} | {each.where} | {each.runs} | {each.planned} | {len(each.found)} |")
    for result in results:
        for sentence in result.found[:SHOWN]:
            print(f"{result.test}: {sentence}")


if __name__ == "__main__":
    sys.exit(main())
