"""Rows that only the database could refuse, as rejects like any other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from restock.chunks import LINE, SPOOL_COLUMNS, Chunk, Reject
from restock.feeds import Feed
from sinks.changes import RowFault


def as_rejects(chunk: Chunk, feed: Feed, faults: list[RowFault]) -> list[Reject]:
    """One reject per fault, with the row as its source wrote it."""
    return [_as_reject(chunk, feed, fault) for fault in faults]


def _as_reject(chunk: Chunk, feed: Feed, fault: RowFault) -> Reject:
    raw: dict[Any, Any] = chunk.raw.loc[fault.row].to_dict()
    original = {str(name): _as_text(value) for name, value in raw.items() if name not in SPOOL_COLUMNS}
    line = raw[LINE]
    column = fault.fault.column
    source_column = None if column is None else feed.source_column_of(column)
    return Reject(
        row=int(fault.row),
        line=None if _is_missing(line) else int(line),
        code=fault.fault.code,
        column=column,
        value=original.get(source_column) if source_column is not None else None,
        original=original,
    )


def _as_text(value: Any) -> str | None:
    return None if _is_missing(value) else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value != value
