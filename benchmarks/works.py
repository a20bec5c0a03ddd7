"""The three works that are measured, their feeds as files, and what a table must hold after each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from benchmarks.catalogue import SCHEMA, Catalogue
from benchmarks.digests import digest_of

ROW_GROUP_ROWS = 100_000


@dataclass(frozen=True)
class Work:
    """A feed to bring in.

    Attributes:
        name: W1, W2 or W3.
        files: the feed by its format; `text` is what the databases' own clients read: tabs, and `\\N` for null.
        rows: the rows of the feed.
        expected: the digest of the table afterwards.
        is_first: whether the table is empty before; else it holds the first night.
    """

    name: str
    files: dict[str, Path]
    rows: int
    expected: str
    is_first: bool = False


TITLES = {
    "W1": "first load into an empty table",
    "W2": "nightly full feed: 5% changed, 1% new",
    "W3": "half changed, as many new, shuffled",
}


def prepare_works(catalogue: Catalogue, folder: Path, names: Iterable[str] = TITLES) -> list[Work]:
    """Write the feeds of the works into a folder."""
    return [_prepare(catalogue, folder, name) for name in names]


def _prepare(catalogue: Catalogue, folder: Path, name: str) -> Work:
    if name == "W1":
        rows = _save(catalogue.first_night(), folder, name)
        return Work(name, _files(folder, name), rows, digest_of(catalogue.first_night()), is_first=True)
    if name == "W2":
        rows = _save(catalogue.second_night(), folder, name)
        return Work(name, _files(folder, name), rows, digest_of(catalogue.second_night()))
    rows = _save([catalogue.shuffled_night()], folder, name)
    return Work(name, _files(folder, name), rows, digest_of(catalogue.after_shuffled_night()))


def _files(folder: Path, name: str) -> dict[str, Path]:
    return {format_: folder / f"{name}.{format_}" for format_ in ("parquet", "csv", "text")}


def _save(pieces: Iterable[pa.Table], folder: Path, name: str) -> int:
    files, rows = _files(folder, name), 0
    texts = pa.schema([(each, pa.string()) for each in SCHEMA.names])
    plain = pc_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with (
        pq.ParquetWriter(files["parquet"], SCHEMA) as parquet,
        pc_csv.CSVWriter(files["csv"], SCHEMA) as csv,
        pc_csv.CSVWriter(files["text"], texts, write_options=plain) as text,
    ):
        for piece in pieces:
            rows += piece.num_rows
            parquet.write_table(piece, row_group_size=ROW_GROUP_ROWS)
            csv.write_table(piece)
            text.write_table(pa.table([_as_text(column) for column in piece.columns], schema=texts))
    return rows


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())  # the words of MariaDB; PostgreSQL takes them as well
    return pc.fill_null(column.cast(pa.string()), "\\N")
