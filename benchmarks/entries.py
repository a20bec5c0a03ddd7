"""The measurements by name; each makes the section of the page that tells about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks.catalogue import Catalogue
from benchmarks.contest import Contest, hold_contest, verdict
from benchmarks.far_away import measure_latency
from benchmarks.grounds import open_grounds
from benchmarks.long_runs import measure_growth, measure_memory
from benchmarks.measuring import (
    DEFAULT,
    FOUR_WORKERS,
    LADDER,
    REFERENCES,
    RESTOCK,
    Site,
    peer_versions,
    peers,
)
from benchmarks.pieces import measure_checking, measure_small
from benchmarks.sections import Section, machine
from benchmarks.size import Size
from benchmarks.stages import STAGES
from benchmarks.works import prepare_works

LADDER_ROWS = 100_000
TOLD = {
    "SQLite": "sqlite3 `executemany` of an upsert in one transaction, from the Parquet file",
    "PostgreSQL": "psql `\\copy` of a text file (W2, W3: into unlogged staging, then INSERT … ON CONFLICT … WHERE IS "
    "DISTINCT FROM)",
    "MariaDB": "LOAD DATA LOCAL of a text file into staging, then INSERT … ON DUPLICATE KEY UPDATE",
}
MUST_OF_DLT, GOAL_OF_DLT = 2.0, 3.0
PARQUET = [each for each in RESTOCK if each.name in ("restock, Parquet" + DEFAULT, "restock, Parquet" + FOUR_WORKERS)]


def measure_contest(ground: str, site: Site, size: Size) -> Section:
    """restock against a database's own client."""
    works = prepare_works(Catalogue(size.rows, size.seed), site.folder)
    with open_grounds(site.folder, (ground,)) as grounds:
        conditions = f"{size.told()}. {machine(*(each.version for each in grounds))}"
        contest = hold_contest((*REFERENCES, *RESTOCK), grounds, works, site, size.rounds)
    return Section(
        f"contest {ground}",
        f"{ground}: against the database's own client",
        f"Rows per second. The reference: {TOLD[ground]}. restock's time is that of its flow run in Prefect, "
        "from start to end; without Prefect, that of the command. Peak memory is that above the imports. A must is "
        "reached only in the setting of its line: restock as it comes, or with `workers: 4` in the feed, which loads "
        "four chunks at a time.",
        [*contest.tables(), ("What was asked for", contest.musts())],
        conditions,
        contest.bars(),
    )


def measure_ladder(site: Site, size: Size) -> Section:
    """The loops of the tutorial against restock's other writers, at a size that they end at."""
    rows = min(size.rows, LADDER_ROWS)
    works = prepare_works(Catalogue(rows, size.seed), site.folder, ("W1", "W2"))
    with open_grounds(site.folder, size.grounds) as grounds:
        conditions = f"{rows:,} products, seed {size.seed}, medians of {size.rounds} rounds. {machine()}"
        contest = hold_contest(LADDER, grounds, works, site, size.rounds)
    return Section(
        "ladder",
        "Against the tutorial's loops",
        "The loops of the tutorial that restock began from, as it shows them, in chunks of 10,000 rows (the first with "
        "a commit for each row); × is the pace as a multiple of its bulk loop. The mappings writer calls the same "
        "`bulk_insert_mappings` and `bulk_update_mappings`. On SQLite the loop's first load is little else than that "
        "call, in which SQLAlchemy makes the parameters of each row and the driver takes about a sixth of the time: "
        "nobody who calls it can be three times as fast. The copy writer does without it.",
        [*contest.tables(), ("What was asked for", contest.musts())],
        conditions,
    )


def measure_peers(site: Site, size: Size) -> Section:
    """Other tools on PostgreSQL, with the reference and restock in the same rounds."""
    works = prepare_works(Catalogue(size.rows, size.seed), site.folder)
    contestants = (REFERENCES[1], *PARQUET, *peers(str(size.peers), size.rows))
    with open_grounds(site.folder, ("PostgreSQL",)) as grounds:
        conditions = f"{size.told()}. {machine(grounds[0].version, peer_versions(str(size.peers)))}"
        contest = hold_contest(contestants, grounds, works, site, size.rounds)
    return Section(
        "peers",
        "Against other tools",
        "On PostgreSQL, from the same Parquet files. dlt from Arrow by Parquet and ADBC, with a primary key on its own "
        "table; DuckDB, polars and pandas load, in W2 and W3 into unlogged staging, from which SQL written by hand "
        "merges. They do not isolate bad rows, count, or commit with a ledger; dlt keeps a state of its own loads.",
        [*contest.tables(), ("", _against_dlt(contest))],
        conditions,
        contest.bars(),
    )


def _against_dlt(contest: Contest) -> list[list[str]]:
    lines = [["restock against dlt at its faster strategy", "ratio", "must", "goal", ""]]
    for work in contest.works[1:]:
        fastest = max(contest.pace(key) for key in contest.results if key[1] == work.name and "dlt" in key[2])
        for ours in PARQUET:
            ratio = contest.pace(("PostgreSQL", work.name, ours.name)) / fastest
            told = [f"{work.name}, {ours.name}", f"× {ratio:.2f}", f"× {MUST_OF_DLT}", f"× {GOAL_OF_DLT}"]
            lines.append([*told, verdict(ratio, MUST_OF_DLT, GOAL_OF_DLT)])
    return lines


def measure_profile(site: Site, size: Size) -> Section:
    """Seconds by stage of restock's own runs."""
    works = prepare_works(Catalogue(size.rows, size.seed), site.folder)
    watched = replace(site, environment={"BENCH_STAGES": "1"})
    with open_grounds(site.folder, size.grounds) as grounds:
        conditions = f"{size.rows:,} products, seed {size.seed}, one run each. {machine()}"
        contest = hold_contest(RESTOCK[:2], grounds, works, watched, rounds=1)
    lines = [["", *STAGES, "sum", "run", "most"]]
    for (ground, work, name), [run] in contest.results.items():
        cells = [f"{run.stages.get(stage, 0):.2f}" for stage in STAGES]
        told = [f"{sum(run.stages.values()):.2f}", f"{run.seconds:.2f}", ", ".join(_costliest(run.stages))]
        lines.append([f"{ground} {work}, {name}", *cells, *told])
    return Section(
        "profile",
        "Where the time goes",
        "Seconds by stage, by looking at the stacks of restock's threads every 4 ms: what a thread is in counts, also "
        "where it waits for the database's or Prefect's server. Threads at work side by side each count, so that the "
        "sum may be more than the run took. `database` holds the comparison with the table, the writing and the "
        "commits; `flow` is what lies between the stages.",
        [("", lines)],
        conditions,
    )


def _costliest(stages: dict[str, float]) -> list[str]:
    """The two stages that took the most, which is where a missed must is to be looked for."""
    whole = sum(stages.values())
    return [f"{stage} {stages[stage] / whole:.0%}" for stage in sorted(stages, key=lambda each: -stages[each])[:2]]


MEASUREMENTS: dict[str, Callable[[Site, Size], Section]] = {
    **{f"contest {ground}": partial(measure_contest, ground) for ground in TOLD},
    "ladder": measure_ladder,
    "profile": measure_profile,
    "peers": measure_peers,
    "memory": measure_memory,
    "growth": measure_growth,
    "latency": measure_latency,
    "checking": measure_checking,
    "small": measure_small,
}
