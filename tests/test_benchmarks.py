"""What the speed claims rest on: every cell of a table is compared before a result counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.catalogue import SCHEMA, Catalogue
from benchmarks.digests import digest_of
from benchmarks.grounds import SQLite
from benchmarks.references import sqlite_executemany
from benchmarks.works import prepare_works

NIGHT = pa.concat_tables(Catalogue(40, seed=1).first_night())
OTHER = pa.concat_tables(Catalogue(40, seed=2).first_night())


def with_cell(table: pa.Table, row: int, name: str, value: Any) -> pa.Table:
    values = table[name].to_pylist()
    values[row] = value
    field = SCHEMA.field(name)
    return table.set_column(SCHEMA.get_field_index(name), field, pa.array(values, field.type))


@given(cut=st.integers(0, 40), row=st.integers(0, 39), name=st.sampled_from(SCHEMA.names), to_null=st.booleans())
def test_a_digest_tells_every_cell_and_not_where_the_table_was_cut(
    cut: int, row: int, name: str, to_null: bool
) -> None:
    value = None if to_null else OTHER[name][row].as_py()
    changed = with_cell(NIGHT, row, name, value)

    assert digest_of([NIGHT.slice(0, cut), NIGHT.slice(cut)]) == digest_of([NIGHT])
    assert (digest_of([changed]) == digest_of([NIGHT])) == (value == NIGHT[name][row].as_py())


def test_an_empty_text_is_not_null_and_no_part_of_its_neighbour() -> None:
    texts = [["", None], [None, ""], ["ab", "c"], ["a", "bc"]]
    digests = {digest_of([with_cell(with_cell(NIGHT, 0, "name", a), 1, "name", b)]) for a, b in texts}

    assert len(digests) == len(texts)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_work_done_right_is_what_is_expected(number: int, tmp_path: Path) -> None:
    works = prepare_works(Catalogue(300, seed=3), tmp_path)
    work, ground = works[number], SQLite(tmp_path)
    url = ground.fresh(None if work.is_first else works[0])

    before = digest_of(ground.dump(url, tmp_path))
    sqlite_executemany(url, work.files["parquet"])

    assert before != work.expected
    assert digest_of(ground.dump(url, tmp_path)) == work.expected


def test_the_files_of_a_work_hold_the_same_rows(tmp_path: Path) -> None:
    [work] = prepare_works(Catalogue(300, seed=3), tmp_path, ["W3"])

    rows = pq.read_table(work.files["parquet"]).sort_by("id")

    assert rows.num_rows == work.rows == len(work.files["text"].read_text(encoding="utf-8").splitlines())
    assert rows.to_pylist() != pq.read_table(work.files["parquet"]).to_pylist()


def test_the_table_of_the_first_night_holds_each_price_as_sqlalchemy_stores_it(tmp_path: Path) -> None:
    """Else the second night changes more rows than it says, which costs whoever looks for them."""
    [work] = prepare_works(Catalogue(300, seed=3), tmp_path, ["W1"])
    url = SQLite(tmp_path).fresh(work)

    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        stored = [price for (price,) in connection.execute("SELECT price FROM product ORDER BY id")]

    sent = pq.read_table(work.files["parquet"]).sort_by("id")["price"].to_pylist()
    assert stored == [None if price is None else float(price) for price in sent]
