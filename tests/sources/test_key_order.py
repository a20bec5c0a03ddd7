"""A source in no order of its keys is spooled in that order: rows are moved, and nothing else happens to any."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restock.chunks import FAULT, LINE, ROW, PlannedChunk
from restock.errors import RunInterrupted
from sources import key_order
from sources.chunks.framing import TEXT, cells_of, chunked, with_spool_columns
from sources.chunks.spool import Spool
from sources.key_order import KeyOrder

Spooled = Callable[..., list[PlannedChunk]]


@pytest.fixture(autouse=True)
def in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows are enough."""
    monkeypatch.setattr(key_order, "LEAST_ROWS", 20)


def table_of(cells: pa.Table, faults: list[str | None] | None = None) -> pa.Table:
    lines = np.arange(2, cells.num_rows + 2)
    return with_spool_columns(cells, lines, faults)


def settle(
    folder: Path,
    tables: list[pa.Table],
    chunk_rows: int,
    key: tuple[str, ...] = ("id",),
    on_chunk: Callable[[], None] = lambda: None,
) -> tuple[list[PlannedChunk], list[pa.Table], list[PlannedChunk], list[pa.Table]]:
    """Spool tables and put them in order: the chunks and their rows, before and afterwards."""
    spool = Spool(folder).of("run-1")
    order = KeyOrder(lambda rows: rows[list(key)], key, spool)
    pieces = list(chunked(tables, chunk_rows))
    before = [spool.write(number, piece) for number, piece in enumerate(pieces, 1)]
    after = order.settled(before, [order.sample(piece, cells_of(piece)[list(key)]) for piece in pieces], on_chunk)
    return before, pieces, after, [spool.read(chunk) for chunk in after]


def scattered(rows: int, seed: int = 1) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).permutation(rows)]


def as_rows(tables: list[pa.Table]) -> list[tuple[Any, ...]]:
    """All rows with all their columns, by their position in the source."""
    rows = [tuple(row.items()) for table in tables for row in table.to_pylist()]
    return sorted(rows, key=lambda row: dict(row)[ROW])


def spans(tables: list[pa.Table], name: str = "id") -> list[tuple[Any, Any]]:
    found = [[cell for cell in table[name].to_pylist() if cell is not None] for table in tables]
    return [(min(cells), max(cells)) for cells in found if cells]


def test_scattered_rows_come_in_the_order_of_their_keys(tmp_path: Path) -> None:
    keys = scattered(1000)
    cells = pa.table({"id": keys, "name": [f"n{key}" for key in keys]})

    before, old, after, new = settle(tmp_path, [table_of(cells)], 100)

    assert as_rows(new) == as_rows(old)
    assert [(c.number, c.spool_file, c.first_row, c.rows) for c in after] == [
        (c.number, c.spool_file, c.first_row, c.rows) for c in before
    ]
    assert [chunk.unmoved for chunk in after] == [()] * 10
    # Blocks of three rows: each chunk holds its tenth of the keys, and a few of its neighbours'.
    assert all(first >= 100 * place - 50 and last < 100 * place + 150 for place, (first, last) in enumerate(spans(new)))
    assert sorted(place.name for place in (tmp_path / "run-1").iterdir()) == [f"{n:05}.arrows" for n in range(1, 11)]
    assert [path.name for path in tmp_path.iterdir()] == ["run-1"]


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(list(range(400)), id="ascending"),
        pytest.param(list(range(400, 0, -1)), id="descending"),
        pytest.param([*range(50, 400), *scattered(50)], id="ascending, with strays at the end"),
        pytest.param([each ^ 3 for each in range(400)], id="neighbours change places"),
        pytest.param([None] * 400, id="without keys"),
    ],
)
def test_a_source_whose_chunks_hold_neighbours_is_left_alone(tmp_path: Path, keys: list[int | None]) -> None:
    before, old, after, new = settle(tmp_path, [table_of(pa.table({"id": pa.array(keys, pa.int64())}))], 50)

    assert after == before
    assert [table.to_pylist() for table in new] == [table.to_pylist() for table in old]


def test_few_rows_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "LEAST_ROWS", 101)

    before, _, after, _ = settle(tmp_path, [table_of(pa.table({"id": scattered(100)}))], 10)

    assert after == before


def test_a_sorted_source_by_another_column_is_scattered(tmp_path: Path) -> None:
    """Every chunk runs through all keys in their order."""
    keys = [each % 40 * 10 + each // 40 for each in range(400)]

    _, _, after, new = settle(tmp_path, [table_of(pa.table({"id": keys}))], 40)

    assert all(chunk.unmoved == () for chunk in after)
    assert all(last - first < 100 for first, last in spans(new))


def test_rows_that_only_their_place_tells_stay_there(tmp_path: Path) -> None:
    keys: list[int | None] = [*scattered(100)]
    keys[7] = keys[43] = None
    faults: list[str | None] = [None] * 100
    faults[12] = faults[99] = "short_row"

    _, old, after, new = settle(tmp_path, [table_of(pa.table({"id": pa.array(keys, pa.int64())}), faults)], 20)

    assert [chunk.unmoved for chunk in after] == [(8, 13), (), (44,), (), (100,)]
    assert [table.num_rows for table in new] == [20] * 5
    assert as_rows(new) == as_rows(old)
    for chunk, table in zip(after, new, strict=True):
        assert set(chunk.unmoved or ()) <= set(table[ROW].to_pylist())


def test_a_row_with_a_part_of_its_key_stays_too(tmp_path: Path) -> None:
    numbers = scattered(100)
    shops = [None if place == 43 else 1 for place in range(100)]
    cells = pa.table({"shop": pa.array(shops, pa.int64()), "number": numbers})

    _, old, after, new = settle(tmp_path, [table_of(cells)], 20, ("shop", "number"))

    assert [chunk.unmoved for chunk in after] == [(), (), (44,), (), ()]
    assert as_rows(new) == as_rows(old)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: f"S-{n:04}", id="text"),
        pytest.param(lambda n: uuid.UUID(int=n << 64), id="UUIDs"),
        pytest.param(lambda n: 2**70 + n, id="huge integers"),
        pytest.param(lambda n: Decimal(n) / 4, id="decimals"),
        pytest.param(lambda n: dt.date(2020, 1, 1) + dt.timedelta(n), id="dates"),
        pytest.param(lambda n: f"{n:04}".encode(), id="bytes"),
    ],
)
def test_keys_of_any_kind_have_an_order(tmp_path: Path, make: Callable[[int], Any]) -> None:
    numbers = scattered(400)
    spool = Spool(tmp_path).of("run-1")

    def keys_of(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"key": pd.Series([make(int(n)) for n in rows["n"]], index=rows.index)})

    order = KeyOrder(keys_of, ("key",), spool)
    pieces = list(chunked([table_of(pa.table({"n": numbers}))], 50))
    planned = [spool.write(number, piece) for number, piece in enumerate(pieces, 1)]

    done = order.settled(planned, [order.sample(piece, keys_of(cells_of(piece))) for piece in pieces], lambda: None)

    assert all(last - first < 100 for first, last in spans([spool.read(chunk) for chunk in done], "n"))


def test_a_key_of_several_columns_is_ordered_by_all_of_them(tmp_path: Path) -> None:
    numbers = scattered(400)
    cells = pa.table({"shop": [n // 200 for n in numbers], "number": [n % 200 for n in numbers], "n": numbers})

    _, _, _, new = settle(tmp_path, [table_of(cells)], 50, ("shop", "number"))

    assert all(last - first < 100 for first, last in spans(new, "n"))


def test_what_is_no_part_of_the_key_keeps_no_row_where_it_is(tmp_path: Path) -> None:
    """Under `newest` the version comes with the keys, and may be missing."""
    spool = Spool(tmp_path).of("run-1")
    order = KeyOrder(lambda rows: rows, ("id",), spool)
    cells = pa.table({"id": scattered(100), "version": pa.nulls(100, pa.int64())})
    pieces = list(chunked([table_of(cells)], 20))
    planned = [spool.write(number, piece) for number, piece in enumerate(pieces, 1)]

    done = order.settled(planned, [order.sample(piece, cells_of(piece)) for piece in pieces], lambda: None)

    assert [chunk.unmoved for chunk in done] == [()] * 5


def test_files_with_other_types_are_put_in_order_each_by_itself(tmp_path: Path) -> None:
    first = table_of(pa.table({"id": scattered(100), "size": pa.array([1] * 100, pa.int32())}))
    second = table_of(pa.table({"id": scattered(100, 2), "size": pa.array([1.5] * 100, pa.float64())}))

    _, old, after, new = settle(tmp_path, [first, second], 30)

    assert [table.schema for table in new] == [table.schema for table in old]
    assert [table.num_rows for table in new] == [30, 30, 30, 10] * 2
    assert as_rows(new) == as_rows(old)
    assert all(chunk.unmoved == () for chunk in after)
    assert all(last - first < 60 for first, last in spans(new))


def test_many_chunks_are_put_in_order_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "TOGETHER", 4)

    _, old, _, new = settle(tmp_path, [table_of(pa.table({"id": scattered(1000)}))], 100)

    assert as_rows(new) == as_rows(old)
    for start in range(0, 10, 4):  # the rows of four chunks are still those of these four
        rows = {row for table in new[start : start + 4] for row in table[ROW].to_pylist()}
        assert rows == set(range(100 * start + 1, min(100 * start + 400, 1000) + 1))
    assert sum(last - first for first, last in spans(new)) < sum(last - first for first, last in spans(old)) / 2


def test_the_same_source_makes_the_same_chunks(tmp_path: Path) -> None:
    table = table_of(pa.table({"id": scattered(1000)}))

    first, second = (settle(tmp_path / name, [table], 100)[3] for name in ("one", "two"))

    assert [each.to_pylist() for each in first] == [each.to_pylist() for each in second]


@pytest.mark.parametrize("calls", [1, 9, 11, 20])
def test_whoever_stops_it_waits_for_what_is_being_written(tmp_path: Path, calls: int) -> None:
    called = 0

    def stop() -> None:
        nonlocal called
        called += 1
        if called == calls:
            raise RunInterrupted("It was asked to stop.")

    with pytest.raises(RunInterrupted) as stopped:
        settle(tmp_path, [table_of(pa.table({"id": scattered(1000)}))], 100, on_chunk=stop)

    assert stopped.tb is not None  # and with it the frames of what was stopped
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("restock-in-order")]
    assert not list((tmp_path / "run-1").glob(".*"))
    assert [path.name for path in tmp_path.iterdir()] == ["run-1"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.one_of(st.none(), st.integers(-50, 50)), st.booleans()), min_size=1, max_size=120),
    chunk_rows=st.integers(1, 40),
    together=st.integers(1, 6),
)
def test_no_row_is_lost_changed_or_there_twice(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[int | None, bool]],
    chunk_rows: int,
    together: int,
) -> None:
    monkeypatch.setattr(key_order, "TOGETHER", together)
    monkeypatch.setattr(key_order, "LEAST_ROWS", 0)
    cells = pa.table(
        {"id": pa.array([key for key, _ in rows], pa.int64()), "name": pa.array(map(str, range(len(rows))), TEXT)}
    )
    faults = ["short_row" if is_at_fault else None for _, is_at_fault in rows]

    before, old, after, new = settle(tmp_path_factory.mktemp("spool"), [table_of(cells, faults)], chunk_rows)

    assert as_rows(new) == as_rows(old)
    for was, then, chunk, table in zip(before, old, after, new, strict=True):
        assert (chunk.number, chunk.first_row, chunk.rows) == (was.number, was.first_row, table.num_rows)
        bound = {r[ROW] for r in then.to_pylist() if r["id"] is None or r[FAULT] is not None}
        assert chunk.unmoved is None or set(chunk.unmoved) == bound
        assert bound <= set(table[ROW].to_pylist())
        assert table[LINE].to_pylist() == [row + 1 for row in table[ROW].to_pylist()]
