"""A spooled chunk becomes a chunk that can be loaded: the feed's transforms, then the cast to the contract."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SUPERSEDED, Chunk, ChunkRef, Fault, Reject
from restock.contract import Contract
from restock.errors import ChunkFailed
from restock.feeds import Feed
from restock.originals import presentable, texts_of
from restock.rejecting import RejectedRows
from restock.row_filter import columns_of
from restock.source_texts import originals
from transforms.attributes import attributes, check_columns
from transforms.contract_check import Faults, cast, describe, fitting
from transforms.feed_transforms import check_transforms, code_digest, run_transforms
from transforms.filtering import check_filter, left_out
from transforms.keys import shortened_keys
from transforms.schema_check import check_schema, schema_faults

__all__ = ["canonical_keys", "check_rules", "code_digest", "transform_chunk"]

WHOLE_ROW_FAULTS = ("duplicate_key", "drift")  # faults of rows that were split into cells all the same


def transform_chunk(raw: pd.DataFrame, ref: ChunkRef, feed: Feed, contract: Contract) -> Chunk:
    """Turn a spooled chunk into one that can be loaded, with what was decided about each of its other rows.

    Raises:
        ChunkFailed: a transform raised or broke a rule, the frame has a column that the model does not have, or it has
            not the column that orders versions.
    """
    rows = raw.set_axis(pd.Index(raw[ROW].astype("int64").to_numpy()), axis="index")
    superseded = rows[SUPERSEDED].astype("boolean").fillna(False).to_numpy(dtype=bool)
    faulty = rows[FAULT].notna().to_numpy() & ~superseded
    good = rows[~(superseded | faulty)] if superseded.any() or faulty.any() else rows
    frame, set_aside = run_transforms(attributes(good, feed, contract), feed, contract, str(ref))
    values, faults = _judged(frame, ref, feed, contract)
    rejects = _rejects(good, _set_aside(set_aside) | faults, feed, contract)
    rejects += _unread(rows[faulty], feed, contract) if faulty.any() else []
    loadable = fitting(values, faults)
    skipped = int(len(rows) - superseded.sum() - len(loadable) - len(rejects))
    return Chunk(
        ref=ref,
        frame=loadable,
        raw=rows,
        rejects=sorted(rejects, key=lambda reject: reject.row),
        skipped=skipped,
        superseded=int(superseded.sum()),
        left_out=_left_out(good, loadable, rejects, feed, contract) if skipped else [],
    )


def check_rules(feed: Feed, contract: Contract) -> None:
    """Find what is wrong with the feed's transforms, constants, defaults, filter and schema before a source is read.

    Raises:
        ConfigurationError: something is.
    """
    check_transforms(feed)
    check_columns(feed, contract)
    check_filter(feed, contract)
    check_schema(feed, contract)


def _judged(frame: pd.DataFrame, ref: ChunkRef, feed: Feed, contract: Contract) -> tuple[pd.DataFrame, Faults]:
    """The rows that the feed takes, cast, and what is wrong with some of them. What is never written is gone."""
    unknown = [str(name) for name in frame.columns if name not in contract.fields and name not in feed.unwritten]
    if unknown:
        raise ChunkFailed(f"{ref} has the column {', '.join(unknown)}, which the model does not have; map or drop it.")
    if contract.version is not None and contract.version not in frame and len(frame):
        raise ChunkFailed(
            f"{ref} does not have {contract.version}, by which feed {feed.name!r} tells newer rows from older ones "
            "(version_column); have the source exported with it, and let transforms keep it."
        )
    values, faults = _cast_what_is_read(frame, feed, contract)
    unwritten = [name for name in feed.unwritten if name in frame]
    if unwritten:
        values = values.assign(**{name: frame[name] for name in unwritten if name not in values})
    gone = left_out(values, faults, feed, contract, str(ref))
    if len(gone):
        values = values.drop(index=gone)
        faults = {row: found for row, found in faults.items() if row not in gone}
    for row, found in schema_faults(values, faults, feed, str(ref)).items():
        faults.setdefault(row, []).extend(found)
    return values.drop(columns=unwritten) if unwritten else values, faults


def _cast_what_is_read(frame: pd.DataFrame, feed: Feed, contract: Contract) -> tuple[pd.DataFrame, Faults]:
    """The cast, which demands of columns that are never written only what filter and schema need to judge them."""
    only_read = {n: replace(contract.fields[n], nullable=True) for n in feed.unwritten if n in contract.fields}
    if not only_read:
        return _cast(frame, feed, contract)
    values, faults = _cast(frame, feed, replace(contract, fields=contract.fields | only_read))
    judged = only_read if feed.row_schema else columns_of(feed.where) if feed.where else ()
    idle = only_read.keys() - set(judged)
    kept = {row: [fault for fault in found if fault.column not in idle] for row, found in faults.items()}
    return values, {row: found for row, found in kept.items() if found}


def _cast(frame: pd.DataFrame, feed: Feed, contract: Contract) -> tuple[pd.DataFrame, Faults]:
    values, faults = cast(frame, contract, feed.csv)
    for row, found in describe(shortened_keys(frame, feed, contract), frame).items():
        faults.setdefault(row, []).extend(found)
    return values, faults


def canonical_keys(raw: pd.DataFrame, feed: Feed, contract: Contract) -> pd.DataFrame:
    """The keys of a raw frame as the contract demands them, so that `7` and `007` are one integer key.

    Returns:
        One column per part of the key, all missing in a row whose key is incomplete or does not fit, and in every row
        if the feed does not fill the whole key. Where the newest row of a key counts, the version comes as the last
        column. The index is that of `raw`.
    """
    frame = attributes(raw, feed, contract).set_axis(pd.RangeIndex(len(raw)), axis="index")
    columns = [_cast_alone(frame, contract, contract.key, feed)]
    if feed.duplicate_rule == "newest" and contract.version is not None:
        columns.append(_cast_alone(frame, contract, (contract.version,), feed))
    return pd.concat(columns, axis="columns").set_axis(raw.index, axis="index")


def _cast_alone(frame: pd.DataFrame, contract: Contract, names: tuple[str, ...], feed: Feed) -> pd.DataFrame:
    """Some columns cast together; missing in the rows where one of them is missing or does not fit."""
    if not set(names) <= set(frame.columns):
        return pd.DataFrame(None, index=frame.index, columns=list(names), dtype=object)
    return fitting(*_cast(frame, feed, contract.only(names)))[list(names)].dropna().reindex(frame.index)


def _left_out(
    good: pd.DataFrame, loadable: pd.DataFrame, rejects: list[Reject], feed: Feed, contract: Contract
) -> list[int]:
    """The skipped rows without a key, by their position, where the database makes one for them."""
    if not contract.takes_keyless:
        return []
    skipped = good.loc[good.index.difference(loadable.index).difference([reject.row for reject in rejects])]
    keys = canonical_keys(skipped, feed, contract)[list(contract.key)]
    return [int(row) for row in skipped.index[keys.isna().any(axis="columns")]]


def _set_aside(rejected: Iterable[RejectedRows]) -> Faults:
    """What transforms rejected."""
    faults: Faults = {}
    for each in rejected:
        texts = texts_of(pd.Series(each.values, dtype=object))
        for row, text in zip(each.rows, texts, strict=True):
            faults.setdefault(int(row), []).append(Fault(each.code, each.column, presentable(text)))
    return faults


def _rejects(rows: pd.DataFrame, faults: Faults, feed: Feed, contract: Contract) -> list[Reject]:
    if not faults:
        return []
    cells, lines = originals(rows, faults, feed, contract), _numbers(rows.loc[list(faults)], LINE)
    return [
        Reject(row, line, first.code, first.column, first.value, cells[row], further=tuple(others))
        for (row, (first, *others)), line in zip(faults.items(), lines, strict=True)
    ]


def _unread(rows: pd.DataFrame, feed: Feed, contract: Contract) -> list[Reject]:
    """Rows that were at fault already when they were read."""
    cells = originals(rows, rows.index, feed, contract)
    lines, places, texts = _numbers(rows, LINE), _numbers(rows, BYTE), texts_of(rows[RAW])
    found = zip(rows.index, lines, places, rows[FAULT], texts, strict=True)
    return [
        Reject(
            row=int(row),
            line=line,
            code=str(code),
            column=None,
            value=presentable(text) if code in WHOLE_ROW_FAULTS else None,
            original=cells[row] if code in WHOLE_ROW_FAULTS else {**cells[row], RAW: text},
            byte=byte,
        )
        for row, line, byte, code, text in found
    ]


def _numbers(rows: pd.DataFrame, column: str) -> list[int | None]:
    """The values of a spool column of places, None for missing."""
    return [None if pd.isna(place) else int(place) for place in rows[column]]
