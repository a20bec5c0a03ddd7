"""Files with changed bytes through the readers: what is read is what the file says, or it is refused."""

from __future__ import annotations

import csv
import io
import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from restock.chunks import FAULT, RAW, ROW, SPOOL_COLUMNS
from restock.contract import Contract
from restock.errors import SourceError
from restock.feeds import Feed
from restock.settings import Settings
from sources.chunks.framing import as_frame, chunked
from sources.extract import open_source
from sources.places.locations import find_source

ROWS = 40
CELLS = ("plain", "with, comma", 'with "quotes"', "two\nlines", "", "Ünïcödé 名", "00123", "NA", " blank ", "x" * 300)
TELLING = b'",;\t|\r\n\x00\xff\xc3\xef\xbb'
DELIMITERS = [",", ",", ";", "\t", "|"]


@dataclass
class Tally:
    """What became of the files."""

    files: int = 0
    refused: int = 0
    found: list[str] = field(default_factory=list)


def mutate(kind: str, seed: str, files: int) -> Tally:
    """Read so many changed files of a kind, `csv` or `parquet`."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(files):
            chance = random.Random(f"{seed}/{number}")
            _try_one(kind, folder, chance, tally, f"{seed}/{number}")
    return tally


def _try_one(kind: str, folder: Path, chance: random.Random, tally: Tally, name: str) -> None:
    table = _table(chance)
    delimiter = chance.choice(DELIMITERS)
    sound = _written(kind, table, delimiter, chance)
    changed = _changed(sound, chance)
    (folder / f"feed.{kind}").write_bytes(changed)
    tally.files += 1
    try:
        frames = _read(kind, folder, delimiter)
    except SourceError:
        tally.refused += 1
        return
    except Exception as error:
        tally.found.append(f"{name}: {type(error).__name__} in place of a refusal")
        return
    wrong = _wrong_csv(frames, changed, delimiter) if kind == "csv" else _wrong_parquet(frames, table)
    if wrong:
        tally.found.append(f"{name}: {wrong}")


def _table(chance: random.Random) -> list[list[str]]:
    return [[f"S-{n}", chance.choice(CELLS), chance.choice(CELLS)] for n in range(chance.randint(1, ROWS))]


def _written(kind: str, table: list[list[str]], delimiter: str, chance: random.Random) -> bytes:
    names = ["sku", "name", "note"]
    if kind == "parquet":
        columns = {name: [row[place] for row in table] for place, name in enumerate(names)}
        columns["stock"] = list(range(len(table)))
        file = io.BytesIO()
        options: dict[str, Any] = {
            "compression": chance.choice(["none", "snappy", "gzip", "zstd"]),
            "use_dictionary": chance.random() < 0.5,
            "row_group_size": chance.choice([5, 100]),
            "data_page_version": chance.choice(["1.0", "2.0"]),
        }
        pq.write_table(pa.table(columns), file, write_page_checksum=True, **options)
        return file.getvalue()
    text = io.StringIO()
    ends, quoting = chance.choice(["\n", "\r\n"]), chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ends, quoting=quoting)
    writer.writerow(names)
    writer.writerows(table)
    return text.getvalue().encode()


def _changed(sound: bytes, chance: random.Random) -> bytes:
    content = bytearray(sound)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(content) + 1)
        byte = chance.choice(TELLING) if chance.random() < 0.6 else chance.randrange(256)
        deed = chance.randrange(5)
        if deed == 0:
            content[at : at + 1] = bytes([byte])
        elif deed == 1:
            content[at:at] = bytes([byte])
        elif deed == 2:
            del content[at : at + chance.randint(1, 20)]
        elif deed == 3:
            content[at:at] = content[at : at + chance.randint(1, 60)]
        else:
            content = content[: max(1, at)] if chance.random() < 0.3 else content
    return bytes(content) or b"\n"


def _read(kind: str, folder: Path, delimiter: str) -> pd.DataFrame:
    settings = Settings(folder / "feeds.yaml", folder / "spool", (folder,))
    names = {"name": "f", "source": f"feed.{kind}", "app": "a:b", "model": "a:B"}
    rules = {"csv": {"null_values": [], "delimiter": delimiter}} if kind == "csv" else {}
    feed = Feed.model_validate({**names, **rules})
    [file] = find_source(feed, settings, None)
    tables = open_source(file, feed, Contract({}, ())).tables()
    return pd.concat(map(as_frame, chunked(tables, 7)), ignore_index=True)


def _wrong_csv(frame: pd.DataFrame, content: bytes, delimiter: str) -> str | None:
    """Compare with the strict reader of the standard library, as far as it can tell rows apart."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    rows, is_whole = _strict_rows(text, delimiter)
    if not rows:
        return None
    names = [name for name in frame.columns if name not in SPOOL_COLUMNS]
    if names != rows[0]:
        return "it has another header"
    for place, (_, ours) in enumerate(frame.iterrows(), start=1):
        if place >= len(rows):
            return None if not is_whole else "a row was made up"
        if ours[ROW] != place:
            return "the rows are not counted through"
        fault = None if pd.isna(ours[FAULT]) else ours[FAULT]
        if fault == "quote" or (fault == "encoding" and '"' in ours[RAW]):
            return None  # the standard library takes such rows, and may go on elsewhere
        if fault is None and list(ours[names]) != rows[place]:
            return "a row holds something else than the file"
        if fault in ("too_few_fields", "too_many_fields") and len(rows[place]) == len(names):
            return "a sound row is at fault"
    return "rows were lost" if is_whole and len(frame) != len(rows) - 1 else None


def _strict_rows(text: str, delimiter: str) -> tuple[list[list[str]], bool]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if row:
                rows.append(row)
    except csv.Error:
        return rows, False
    return rows, True


def _wrong_parquet(frame: pd.DataFrame, table: list[list[str]]) -> str | None:
    """Every cell that is read stands in the table that was written, in its row, under whatever name.

    The schema in the footer has no checksum: a column may come back under another type, which the contract then judges.
    """
    if len(frame) != len(table):
        return "rows were lost or made up"
    whole = [[*row, number] for number, row in enumerate(table)]
    for name in (name for name in frame.columns if name not in SPOOL_COLUMNS):
        values = frame[name].tolist()
        if {type(value) for value in values} not in ({str}, {int}):
            continue
        if not any(values == [row[place] for row in whole] for place in range(4)):
            return "a column holds something else than the file"
    return None
