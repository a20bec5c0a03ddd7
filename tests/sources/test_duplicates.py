import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restock.errors import SourceError
from sources.chunks.framing import TEXT, cells_of, chunked, with_spool_columns
from sources.chunks.scratch import Scratch
from sources.duplicates import winners as duplicates
from sources.duplicates.key_hashes import hashes_of
from sources.duplicates.losers import LOSER, FileRows, Losers
from sources.duplicates.winners import Duplicates

KEY = st.one_of(st.none(), st.sampled_from(["a", "b", "A", "a ", "", "é"]))
ROWS = st.lists(st.tuples(KEY, st.one_of(st.none(), st.integers(0, 2)), st.one_of(st.none(), st.integers(0, 3))))
HASHES = {
    "as it is": hashes_of,
    "two values": lambda keys: hashes_of(keys) % 2,
    "one value": lambda keys: np.zeros(len(keys), np.uint64),
}


def settled(rule, table, key, cut=3, lines=None):
    """The losers of a table of cells, added in chunks of `cut` rows; `key` names the columns of the canonical key."""
    chunks = list(chunked([with_spool_columns(table, lines)], cut))
    return losers_of(chunks, rule, key)


def losers_of(chunks, rule, key, files=("a.csv",), first_rows=(1,)):
    with Scratch(Path(tempfile.gettempdir())) as scratch:
        settling = Duplicates(rule, lambda rows: rows[key], scratch, FileRows(list(files), list(first_rows)))
        for chunk in chunks:
            settling.add(settling.hashed(chunk, cells_of(chunk)[key]))
        losers = settling.losers(lambda number: chunks[number])
        found = np.concatenate([np.empty(0, LOSER), *(losers.of_chunk(place) for place in range(len(chunks)))])
        return Found(found["row"], found["other"], losers.twins, str(losers))


class Found(NamedTuple):
    """The losers of all chunks, in columns."""

    rows: np.ndarray
    others: np.ndarray
    twins: int
    told: str


def oracle(rule, rows):
    """Loser -> winner, and how many losers equal their winner."""
    by_key = {}
    for position, (text, number, version) in enumerate(rows, 1):
        if text is not None and number is not None:
            by_key.setdefault((text, number), []).append((-1 if version is None else version, position))
    losers = {}
    for versions in by_key.values():
        positions = [position for _, position in versions]
        winner = {"first": positions[0], "last": positions[-1], "newest": max(versions)[1]}.get(rule)
        for position in positions:
            if rule == "reject" and len(positions) > 1:
                losers[position] = next(other for other in positions if other != position)
            elif rule != "reject" and position != winner:
                losers[position] = winner
    return losers


@settings(max_examples=300)
@given(
    rows=ROWS,
    rule=st.sampled_from(["last", "first", "newest", "reject"]),
    cut=st.integers(1, 5),
    part=st.sampled_from([1, 100, duplicates.PART_BYTES]),
    hashes=st.sampled_from(list(HASHES)),
)
def test_the_losers_are_those_of_a_dict_whatever_the_chunks_the_parts_and_the_hash(rows, rule, cut, part, hashes):
    text, number, version = zip(*rows, strict=True) if rows else ((), (), ())
    table = pa.table({"text": pa.array(text, TEXT), "number": pa.array(number, pa.int64())})
    table = table.append_column("version", pa.array(version, pa.int64()))
    key = ["text", "number", "version"] if rule == "newest" else ["text", "number"]

    with mock.patch.multiple(duplicates, PART_BYTES=part, hashes_of=HASHES[hashes]):
        found = settled(rule, table, key, cut)

    ours, theirs = dict(zip(found.rows.tolist(), found.others.tolist(), strict=True)), oracle(rule, rows)
    assert found.rows.tolist() == sorted(theirs)
    assert found.twins == sum(rows[loser - 1] == rows[other - 1] for loser, other in ours.items())
    if rule == "reject":
        assert all(other in theirs and theirs.get(loser) is not None for loser, other in ours.items())
        assert all(rows[loser - 1][:2] == rows[other - 1][:2] and loser != other for loser, other in ours.items())
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "values",
    [
        pa.array([Decimal("1.10"), Decimal("1.20"), Decimal("1.10")], pa.decimal128(5, 2)),
        pa.array([b"x", b"y", b"x"]),
        pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 1)]),
        pa.array([2**63 - 1, 2**63 - 2, 2**63 - 1]),
        pa.array([-1, -2, -1]),
        pa.array([0.0, 1.0, -0.0]),
        pa.array([dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2, 1)], pa.timestamp("us", "UTC")),
        pa.array([True, False, True]),
    ],
    ids=lambda values: str(values.type),
)
@pytest.mark.parametrize("cut", [1, 3])
def test_keys_of_any_type_are_compared_exactly(values, cut):
    found = settled("last", pa.table({"key": values}), ["key"], cut)

    assert (found.rows.tolist(), found.others.tolist()) == ([1], [3])


@pytest.mark.parametrize(
    "first,second",
    [
        (pd.array([5, 6], dtype=pd.ArrowDtype(pa.int64())), [5, 2**70]),  # one huge number makes a chunk one of objects
        (pd.array([-1, 6], dtype=pd.ArrowDtype(pa.int64())), [-1, 2**70]),
        (pd.array([2**62, 6], dtype="Int64"), [2**62, 2**70]),
        (pd.array([-(2**63), 6], dtype="Int64"), [-(2**63), 2**70]),
        (pd.array([2**63 - 1, 6], dtype="Int64"), [2**63 - 1, 2**63]),
        ([Decimal("1.10"), Decimal(2)], [Decimal("1.1"), Decimal(3)]),
    ],
)
def test_keys_of_two_types_in_two_chunks_are_compared_by_value(first, second):
    keys = {1: pd.Series(first), 2: pd.Series(second, dtype=object)}

    hashes = [hashes_of(pd.DataFrame({"key": key})) for key in keys.values()]

    assert hashes[0][0] == hashes[1][0]
    assert hashes[0][1] != hashes[1][1]


@pytest.mark.parametrize(
    "versions",
    [
        pa.array([Decimal("2.5"), Decimal("10.5"), None], pa.decimal128(5, 1)),
        pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 10, 1, tzinfo=dt.UTC), None]),
        pa.array(["2024-01-01", "2024-10-01", None], TEXT),
    ],
    ids=lambda values: str(values.type),
)
def test_versions_of_any_type_are_put_in_order(versions):
    found = settled("newest", pa.table({"key": pa.array(["a"] * 3, TEXT), "version": versions}), ["key", "version"], 2)

    assert (found.rows.tolist(), found.others.tolist()) == ([1, 3], [2, 2])


@pytest.mark.parametrize(
    "cells,twins",
    [
        (pa.array([0.5, 0.5]), 1),
        (pa.array([float("nan"), float("nan")]), 1),
        (pa.array([None, None], pa.int64()), 1),
        (pa.array([None, 0]), 0),
        (pa.array([{"a": [1]}, {"a": [1]}]), 1),
        (pa.array([{"a": [1]}, {"a": [2]}]), 0),
        (pa.nulls(2), 1),
    ],
    ids=lambda values: str(values.type) if isinstance(values, pa.Array) else str(values),
)
def test_twins_are_equal_in_every_cell(cells, twins):
    assert settled("last", pa.table({"key": pa.array([1, 1]), "other": cells}), ["key"]).twins == twins


def test_the_files_of_a_source_may_differ_in_types():
    tables = [pa.table({"key": [1, 2], "x": ["a", "b"]}), pa.table({"key": [2, 3, 3], "x": [7, 8, 8]})]
    chunks = list(chunked([with_spool_columns(table) for table in tables], 10))
    found = losers_of(chunks, "last", ["key"])

    assert (found.rows.tolist(), found.others.tolist(), found.twins) == ([2, 4], [3, 5], 1)


def test_the_losers_are_told_by_their_lines():
    found = settled("last", pa.table({"key": ["a", "b", "a", "b", "a"]}), ["key"], 2, [2, 4, 5, 6, 9])

    assert found.told == (
        "Rows that do not count, because another row has their key: 3, of which 3 equal it in every column: "
        "line 2 (see line 9), line 4 (see line 6), line 5 (see line 9)."
    )


def test_losers_are_found_in_any_order_and_told_in_that_of_their_chunks(tmp_path):
    with Scratch(tmp_path / "spool") as scratch:
        losers = Losers(scratch, [1, 4], FileRows(["a.csv"], [1]))
        for found in ([(5, 0, 6, 0, True), (2, 0, 6, 0, False), (4, 0, 6, 0, True)], [(1, 0, 6, 0, True)]):
            losers.add(np.array(found, LOSER))

        assert (len(losers), losers.twins) == (4, 3)
        assert [losers.of_chunk(place)["row"].tolist() for place in range(3)] == [[1, 2], [4, 5], []]


@pytest.mark.parametrize("count, more", [(5, "."), (6, ", …."), (12, ", ….")])
def test_of_many_losers_the_first_are_told(count, more):
    found = settled("last", pa.table({"key": ["a"] * (count + 1)}), ["key"], 2)

    first = ", ".join(f"row {row} (see row {count + 1})" for row in range(1, 6))
    assert found.told.endswith(f": {count}, of which {count} equal it in every column: {first}{more}")


def test_the_losers_of_several_files_are_told_with_their_files():
    tables = [pa.table({"key": ["a", "b", "c"]}), pa.table({"key": ["b", "b"], "new": [1, 2]})]
    chunks = list(chunked([with_spool_columns(tables[0], [2, 3, 4]), with_spool_columns(tables[1])], 2))
    found = losers_of(chunks, "first", ["key"], ["a.csv", "b.parquet"], [1, 4])

    assert found.told == (
        "Rows that do not count, because another row has their key: 2, of which 0 equal it in every column: "
        "row 1 of b.parquet (see line 3 of a.csv), row 2 of b.parquet (see line 3 of a.csv)."
    )


def test_nothing_added_means_no_losers():
    assert len(losers_of([], "last", ["key"]).rows) == 0


def test_a_scratch_gives_back_what_was_set_down_and_leaves_no_file(tmp_path):
    contents = [b"abc", b"", b"x" * 100_000]
    with Scratch(tmp_path / "spool") as scratch:
        places = [scratch.set_down(content) for content in contents]

        assert [scratch.read(place) for place in reversed(places)] == contents[::-1]
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_scratch_that_cannot_be_written_gets_a_sentence(tmp_path):
    (tmp_path / "spool").write_text("a file where the folder should be")

    with pytest.raises(SourceError, match="RESTOCK_SPOOL"):
        Scratch(tmp_path / "spool")
