"""Rows that only the database could refuse, as rejects like any other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from restock.chunks import LINE, Chunk, Reject
from restock.contract import Contract
from restock.feeds import Feed
from restock.originals import presentable
from restock.source_texts import originals
from sinks.rows.changes import RowFault


def as_rejects(chunk: Chunk, feed: Feed, contract: Contract, faults: list[RowFault]) -> list[Reject]:
    """One reject per fault, with the row as its source wrote it."""
    cells = originals(chunk.raw, [fault.row for fault in faults], feed, contract)
    return [_as_reject(chunk.raw.at[fault.row, LINE], cells[fault.row], feed, fault) for fault in faults]


def _as_reject(line: Any, original: dict[str, str | None], feed: Feed, fault: RowFault) -> Reject:
    column = fault.fault.column
    source_column = None if column is None else feed.source_column_of(column)
    return Reject(
        row=int(fault.row),
        line=None if pd.isna(line) else int(line),
        code=fault.fault.code,
        column=column,
        value=None if source_column is None else presentable(original.get(source_column)),
        original=original,
        further=fault.further,
    )
