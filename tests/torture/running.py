"""Runs the trials of one kind of database, or the changed files of one kind, for as long as it was given."""

from __future__ import annotations

import random
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from faults.children import forking
from torture.grounds import prepared
from torture.mutations import mutate
from torture.trials import TRIALS

FILES = 20_000
FILES_AT_A_TIME = 250


@dataclass
class Result:
    """One line of the table."""

    test: str
    where: str
    planned: int
    runs: int = 0
    found: list[str] = field(default_factory=list)


def torture_database(kind: str, seed: int, seconds: float) -> list[Result]:
    """All trials on one kind of database, each for its share of the time or until its runs are done."""
    results = []
    with prepared(kind) as ground:
        if ground is None:
            return [Result("every trial", f"{kind}: none here", 0)]
        left, shares = seconds, sum(trial.share for trial in TRIALS if trial.runs[kind])
        for trial in (trial for trial in TRIALS if trial.runs[kind]):
            result = Result(trial.name, kind, trial.runs[kind])
            begun, number = time.monotonic(), 0
            until = begun + left * trial.share / shares
            while result.runs < result.planned and time.monotonic() < until:
                number += 1
                name = f"{seed}/{trial.name}/{kind}/{number}"
                try:
                    found, happened = trial.try_it(ground, random.Random(name))
                except Exception:
                    found, happened = [traceback.format_exc()], 1
                result.runs += happened
                result.found += [f"{name}: {each}" for each in found]
            left -= time.monotonic() - begun
            shares -= trial.share
            results.append(result)
            print(f"{kind}: {trial.name}: {result.runs} runs, {len(result.found)} violations", flush=True)
    return results


def mutate_files(kind: str, seed: int, seconds: float) -> list[Result]:
    """Changed files, some hundred in each process, so that a parser that ends its process is seen and survived."""
    result = Result(f"{kind.upper() if kind == 'csv' else 'Parquet'} files with changed bytes", "readers", FILES)
    refused = crashes = 0
    until = time.monotonic() + seconds
    for part in range(FILES // FILES_AT_A_TIME):
        if time.monotonic() > until:
            break
        with ProcessPoolExecutor(1, forking) as pool:
            try:
                tally = pool.submit(mutate, kind, f"{seed}/{kind}/{part}", FILES_AT_A_TIME).result()
            except BrokenProcessPool:
                crashes += 1
                continue
        result.runs += tally.files
        result.found += tally.found
        refused += tally.refused
    result.where = f"readers ({refused} refused, {crashes} processes crashed)"
    result.found += ["a process that reads files has crashed"] * crashes
    return [result]
