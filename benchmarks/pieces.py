"""Small claims: what strictness and the contract cost, and how long a small feed and its help take.

`python -m benchmarks.pieces` takes the seconds of the first two, in the environment of a feed, and prints them as JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc_csv

from benchmarks.catalogue import SCHEMA, Catalogue
from benchmarks.grounds import ROOT, open_grounds
from benchmarks.measuring import Site, by_restock, plain_environment, prepare_feed
from benchmarks.sections import Section, machine
from benchmarks.size import Size
from benchmarks.works import prepare_works

SMALL_ROWS = 1_000
# The sizes of chunks that restock takes by itself: by mappings on SQLite, and elsewhere.
CHECKED = [(format_, chunk_rows) for format_ in ("parquet", "csv") for chunk_rows in (10_000, 50_000)]
# How often a file of half a second is read in each way.
TURNS = 5
MUST_STRICT, MUST_CONTRACT, MUST_SMALL, MUST_HELP = 1.30, 0.25, 2.0, 0.5


def measure_checking(site: Site, size: Size) -> Section:
    """Strict CSV against PyArrow's own reader, and the contract against the transform before it."""
    [work] = prepare_works(Catalogue(size.rows, size.seed), site.folder, ("W1",))
    conditions = f"{size.told()}. {machine()}"
    with open_grounds(site.folder, ("SQLite",)) as [ground], TemporaryDirectory(dir=site.folder) as place:
        taken = {}
        for format_, chunk_rows in CHECKED:
            environment = prepare_feed(Path(place), work.files[format_], ground.fresh(), {"chunk_rows": chunk_rows})
            command = [sys.executable, "-m", "benchmarks.pieces"]
            runs = [json.loads(_timed(command, environment)[1]) for _ in range(size.rounds)]
            taken[format_, chunk_rows] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    strict = taken[CHECKED[-1]]
    lines = [
        ["", "seconds", "seconds of that", "", "must", ""],
        ["strict CSV, against PyArrow's own reader", *_line(strict["strict"], strict["plain"], MUST_STRICT)],
    ]
    for (format_, chunk_rows), each in taken.items():
        name = f"the contract against `transforms.products:clean`, {format_}, chunks of {chunk_rows:,}"
        lines.append([name, *_line(each["contract"], each["transform"], MUST_CONTRACT)])
        if format_ == "csv":
            name = "the same without the time of PyArrow's bare cast of that text"
            lines.append([name, *_line(each["contract"] - each["bare"], each["transform"], MUST_CONTRACT)])
    note = (
        "Of clean files, in one process: rows checked, counted and placed, against PyArrow's reader giving text "
        "columns, by turns; and the cast of every column to what the model demands, against the transform before it, "
        "in seconds of the processor. Cells of CSV are text, so their cast also reads numbers, flags and times, which "
        "whoever loads a CSV file must do: PyArrow's bare cast of the same chunks to the same types, which checks no "
        "rule of the feed, no length and no range, and names no fault, is measured beside it."
    )
    return Section("checking", "What checking costs", note, [("", lines)], conditions)


def measure_small(site: Site, size: Size) -> Section:
    """A feed of 1,000 rows through a running server, and the help of the command."""
    [work] = prepare_works(Catalogue(SMALL_ROWS, size.seed), site.folder, ("W1",))
    conditions = f"Medians of {size.rounds} runs. {machine()}"
    sync, whole = by_restock("csv"), list[float]()
    runs: list[float] = []
    with open_grounds(site.folder, ("PostgreSQL",)) as [ground]:
        for _ in range(size.rounds):
            started = time.perf_counter()
            runs.append(sync(ground.fresh(), work, site).seconds)
            whole.append(time.perf_counter() - started)
    help_ = [_timed([sys.executable, "-m", "flows.cli", "--help"], {})[0] for _ in range(size.rounds)]
    lines = [["", "seconds", "must", ""]]
    for name, found, must in (
        (f"`restock sync` of {SMALL_ROWS:,} rows, CSV, PostgreSQL", runs, MUST_SMALL),
        ("the help of the command, a whole process", help_, MUST_HELP),
    ):
        seconds = statistics.median(found)
        lines.append([name, f"{seconds:.2f}", f"under {must:.1f}", "reached" if seconds < must else "**missed**"])
    lines.append(
        ["that sync with its interpreter, its imports and a new table", f"{statistics.median(whole):.2f}", "", ""]
    )
    note = (
        "A Prefect server is running. The seconds of a sync are those of its flow run, from start to end, as on all of "
        "this page; most of a small feed's process are imports."
    )
    return Section("small", "Small feeds", note, [("", lines)], conditions)


def _line(seconds: float, against: float, must: float) -> list[str]:
    ratio = seconds / against
    verdict = "reached" if ratio <= must else "**missed**"
    return [f"{seconds:.2f}", f"{against:.2f}", f"× {ratio:.2f}", f"at most × {must:.2f}", verdict]


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=plain_environment() | environment, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started, done.stdout


def main() -> None:
    """Take the seconds of reading plainly and strictly, of the transforms, of the contract and of bare casts."""
    from flows.looking.checking import check_feed
    from flows.runs.progress import Progress
    from flows.runs.workplace import open_workplace
    from restock.interpreter import settle_interpreter
    from sinks.flask_sink import open_sink
    from sources.extract import open_source
    from sources.places.locations import find_source
    from transforms import apply

    place = open_workplace()
    feed = place.feed("catalogue")
    [file] = find_source(feed, place.settings, None)
    contract = open_sink(feed).target.contract
    taken = {"transform": 0.0, "contract": 0.0, "bare": 0.0}

    def clocked(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return work(*arguments, **named)
            finally:
                # Keys are cast too, in other threads, while the source is read.
                if threading.current_thread() is threading.main_thread():
                    taken[name] += time.thread_time() - started

        return call

    settle_interpreter()  # as whoever reads a source does
    if file.format == "csv":
        tables = open_source(file, feed, contract).tables
        readers = {"plain": lambda: _read_plainly(Path(feed.source[0])), "strict": lambda: _rows_of(tables())}
        taken |= _in_turns(readers)
    typed: dict[str, pa.DataType] = {}
    contracted, barely = clocked("contract", apply.cast), clocked("bare", _cast_texts)

    def cast(frame: pd.DataFrame, *rest: Any) -> Any:
        values, faults = contracted(frame, *rest)
        typed.update(_read_from_text(frame, values))
        return values, faults

    def bare_cast(frame: pd.DataFrame, *rest: Any) -> Any:
        barely(frame, typed)
        return uncounted(frame, *rest)

    uncounted = apply.cast
    with (
        patch.object(apply, "run_transforms", clocked("transform", apply.run_transforms)),
        patch.object(apply, "cast", cast),
    ):
        check_feed(place, feed, Progress())
    # In a round of its own, because whoever reads a chunk first waits longer for its bytes.
    with patch.object(apply, "cast", bare_cast):
        check_feed(place, feed, Progress())
    print(json.dumps(taken))


def _read_from_text(frame: pd.DataFrame, values: pd.DataFrame) -> dict[str, pa.DataType]:
    """What the text of a frame became, by column, where it did not stay text."""
    texts = [name for name in values if isinstance(frame[name].dtype, pd.StringDtype)]
    return {n: values[n].dtype.pyarrow_dtype for n in texts if isinstance(values[n].dtype, pd.ArrowDtype)}


def _cast_texts(frame: pd.DataFrame, types: dict[str, pa.DataType]) -> None:
    for name, type_ in types.items():
        if name in frame:
            pa.array(frame[name]).cast(type_)


def _in_turns(readers: dict[str, Callable[[], int]]) -> dict[str, float]:
    """The median seconds of each reader, as one comes after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for name, read in [*readers.items()] * TURNS:
        started = time.perf_counter()
        read()
        seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}


def _read_plainly(file: Path) -> int:
    texts = pc_csv.ConvertOptions(column_types={name: pa.string() for name in SCHEMA.names}, strings_can_be_null=True)
    with pc_csv.open_csv(file, convert_options=texts) as reader:
        return _rows_of(reader)


def _rows_of(pieces: Iterable[Any]) -> int:
    return sum(piece.num_rows for piece in pieces)


if __name__ == "__main__":
    main()
