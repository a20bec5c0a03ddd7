"""A spooled chunk becomes a chunk that can be loaded: the feed's transforms, then the cast to the contract."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SPOOL_COLUMNS, SUPERSEDED, Chunk, ChunkRef, Reject
from restock.contract import Contract
from restock.errors import ChunkFailed
from restock.feeds import Feed
from restock.rejecting import RejectedRows
from transforms.contract_check import Fault, Faults, cast
from transforms.feed_transforms import check_transforms, code_digest, run_transforms
from transforms.originals import originals, shortened, texts_of

__all__ = ["canonical_keys", "check_transforms", "code_digest", "transform_chunk"]

WHOLE_ROW_FAULTS = ("duplicate_key",)  # faults of rows that were split into cells all the same


def transform_chunk(raw: pd.DataFrame, ref: ChunkRef, feed: Feed, contract: Contract) -> Chunk:
    """Turn a spooled chunk into one that can be loaded, with what was decided about each of its other rows.

    Raises:
        ChunkFailed: a transform raised or broke a rule, or the frame has a column that the model does not have.
    """
    rows = raw.set_axis(pd.Index(raw[ROW].astype("int64").to_numpy()), axis="index")
    superseded = rows[SUPERSEDED].astype("boolean").fillna(False).to_numpy(dtype=bool)
    faulty = rows[FAULT].notna().to_numpy() & ~superseded
    good = rows[~(superseded | faulty)]
    frame, set_aside = run_transforms(_attributes(good, feed), feed, contract, str(ref))
    unknown = [str(name) for name in frame.columns if name not in contract.fields]
    if unknown:
        raise ChunkFailed(f"{ref} has the column {', '.join(unknown)}, which the model does not have; map or drop it.")
    fitting, faults = cast(frame, contract, feed.csv)
    rejects = [*_unread(rows[faulty]), *_rejects(good, _set_aside(set_aside) | faults)]
    return Chunk(
        ref=ref,
        frame=fitting,
        raw=rows,
        rejects=sorted(rejects, key=lambda reject: reject.row),
        skipped=int(len(rows) - superseded.sum() - len(fitting) - len(rejects)),
        superseded=int(superseded.sum()),
    )


def canonical_keys(raw: pd.DataFrame, feed: Feed, contract: Contract) -> pd.DataFrame:
    """The keys of a raw frame as the contract demands them, so that `7` and `007` are one integer key.

    Returns:
        One column per part of the key, all missing in a row whose key is incomplete or does not fit, and in every row
        if the feed does not fill the whole key. Where the newest row of a key counts, the version comes as the last
        column. The index is that of `raw`.
    """
    frame = _attributes(raw, feed).set_axis(pd.RangeIndex(len(raw)), axis="index")
    columns = [_cast_alone(frame, contract, contract.key, feed)]
    if feed.duplicate_rule == "newest" and contract.version is not None:
        columns.append(_cast_alone(frame, contract, (contract.version,), feed))
    return pd.concat(columns, axis="columns").set_axis(raw.index, axis="index")


def _cast_alone(frame: pd.DataFrame, contract: Contract, names: tuple[str, ...], feed: Feed) -> pd.DataFrame:
    """Some columns cast together; missing in the rows where one of them is missing or does not fit."""
    if not set(names) <= set(frame.columns):
        return pd.DataFrame(None, index=frame.index, columns=list(names), dtype=object)
    fitting, _ = cast(frame, contract.only(names), feed.csv)
    return fitting[list(names)].dropna().reindex(frame.index)


def _attributes(raw: pd.DataFrame, feed: Feed) -> pd.DataFrame:
    """The columns that the feed takes, under the names of their attributes."""
    names = feed.renames([name for name in raw.columns if name not in SPOOL_COLUMNS])
    return raw[list(names)].rename(columns=names)


def _set_aside(rejected: Iterable[RejectedRows]) -> dict[int, Fault]:
    """What transforms rejected; the first reason of a row counts."""
    faults: dict[int, Fault] = {}
    for each in rejected:
        texts = texts_of(pd.Series(each.values, dtype=object))
        for row, text in zip(each.rows, texts, strict=True):
            faults.setdefault(int(row), Fault(each.code, each.column, shortened(text)))
    return faults


def _rejects(rows: pd.DataFrame, faults: Faults) -> list[Reject]:
    if not faults:
        return []
    cells, lines = originals(rows, faults), _numbers(rows.loc[list(faults)], LINE)
    return [
        Reject(row, line, fault.code, fault.column, fault.value, cells[row])
        for (row, fault), line in zip(faults.items(), lines, strict=True)
    ]


def _unread(rows: pd.DataFrame) -> list[Reject]:
    """Rows that were at fault already when they were read."""
    cells = originals(rows, rows.index)
    found = zip(rows.index, _numbers(rows, LINE), _numbers(rows, BYTE), rows[FAULT], rows[RAW], strict=True)
    return [
        Reject(
            row=int(row),
            line=line,
            code=str(code),
            column=None,
            value=None,
            original=cells[row] if code in WHOLE_ROW_FAULTS else {**cells[row], RAW: None if pd.isna(text) else text},
            byte=byte,
        )
        for row, line, byte, code, text in found
    ]


def _numbers(rows: pd.DataFrame, column: str) -> list[int | None]:
    """The values of a spool column of places; all missing in a chunk that an older restock spooled without it."""
    if column not in rows:
        return [None] * len(rows)
    return [None if pd.isna(place) else int(place) for place in rows[column]]
