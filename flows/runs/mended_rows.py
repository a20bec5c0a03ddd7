"""The rows that a person has changed, and what their keys allow: a correction must not replace a good row unseen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import pandas as pd

from restock.chunks import BYTE, FAULT, LINE, RAW, ROW, SUPERSEDED
from restock.contract import Contract, Kind
from restock.feeds import Feed
from sinks.ledger.entries import RejectEntry
from transforms.apply import canonical_keys

Cells = dict[str, str | None]

# Bytes of a binary cell that are no text, as a reject's original shows them.
_SHOWN_BYTES = re.compile(r"\\x[89a-f][0-9a-f]")

# Around a field of a row that could not be split, which may have another delimiter than its feed.
_FIELD_ENDS = ',;|\t"'


@dataclass(frozen=True)
class MendedRow:
    """A row that a person has changed: its reject, and its cells as they are now.

    `has_new_key` says that its key is not the one its source gave it, so that another row of the source may have it. Of
    a row that could not be split, the source gave it what stands in its text.
    """

    reject: RejectEntry
    cells: Cells
    has_new_key: bool = False
    fault: str | None = None


def with_keys_compared(mended: list[MendedRow], feed: Feed, contract: Contract) -> list[MendedRow]:
    """The rows with their keys compared: with those of their source, and with each other.

    Rows that share a key are at fault, all of them: which one counts nobody has said. So is a row with bytes that a
    text file cannot hold.
    """
    before = _keys([each.reject.original for each in mended], feed, contract)
    now = _keys([each.cells for each in mended], feed, contract)
    times = Counter(now)
    return [
        replace(
            each,
            has_new_key=key != old and not _stands_in_text(each, feed, contract),
            fault="duplicate_key" if key is not None and times[key] > 1 else _bytes_fault(each.cells, feed, contract),
        )
        for each, old, key in zip(mended, before, now, strict=True)
    ]


def loaded_together(mended: list[MendedRow]) -> Iterator[list[MendedRow]]:
    """The rows by what one transaction can take: of one chunk, which has the same columns all along, with new keys or
    without; in the order of their source, however a person has sorted them.
    """

    def kind(each: MendedRow) -> tuple[int, bool]:
        return each.reject.chunk, each.has_new_key

    for _, rows in groupby(sorted(mended, key=lambda each: (*kind(each), each.reject.row)), key=kind):
        yield list(rows)


def as_spooled(mended: list[MendedRow]) -> pd.DataFrame:
    """The rows as a chunk of them would come from the spool."""
    raw = pd.DataFrame([each.cells for each in mended], dtype="str")
    raw[ROW] = [each.reject.row for each in mended]
    raw[LINE] = pd.array([each.reject.line for each in mended], dtype="Int64")
    raw[BYTE] = pd.array([None] * len(mended), dtype="Int64")
    raw[FAULT] = pd.Series([each.fault for each in mended], dtype="str")
    raw[RAW] = pd.Series([None] * len(mended), dtype="str")
    raw[SUPERSEDED] = False
    return raw


def _stands_in_text(mended: MendedRow, feed: Feed, contract: Contract) -> bool:
    """Whether a row that could not be split has its key from its own text: as a field, not as a part of another key."""
    text = mended.reject.original.get(RAW)
    parts = [mended.cells.get(feed.source_column_of(name) or "") for name in contract.key]
    end = "|".join(map(re.escape, (*_FIELD_ENDS, feed.csv.delimiter, feed.csv.quote or '"')))
    return text is not None and all(
        part and re.search(rf"(?:^|{end})\s*{re.escape(part)}\s*(?:$|{end})", text, re.MULTILINE) for part in parts
    )


def _bytes_fault(cells: Cells, feed: Feed, contract: Contract) -> str | None:
    binary = {feed.source_column_of(name) for name, field in contract.fields.items() if field.kind is Kind.BINARY}
    return "encoding" if any(_SHOWN_BYTES.search(cells.get(name or "") or "") for name in binary) else None


def _keys(rows: list[Cells], feed: Feed, contract: Contract) -> list[tuple[str, ...] | None]:
    """The keys of some rows as they are compared; None where one is incomplete or does not fit."""
    keys = canonical_keys(pd.DataFrame(rows, dtype="str"), feed, contract)[list(contract.key)]
    return [None if any(pd.isna(part) for part in key) else tuple(map(str, key)) for key in keys.to_numpy(object)]
