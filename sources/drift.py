"""How the later files of a source differ from its first one, and what the feed wants made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.types as types

from restock.chunks import FAULT, RAW, SPOOL_COLUMNS
from restock.contract import Contract, Kind
from restock.errors import SourceError
from sources.chunks.columns import check_columns, ignores_unknown
from sources.chunks.framing import TEXT, with_column

if TYPE_CHECKING:
    from restock.feeds import Feed
    from sources.csv_files.source import CsvSource
    from sources.parquet_files.source import ParquetSource

    Opened = CsvSource | ParquetSource

# Families of types whose values a kind of column reads alike: one for the other loses nothing. Text is read by rules.
_ALIKE: dict[Kind, set[str]] = {
    Kind.INTEGER: {"number", "text"},
    Kind.DECIMAL: {"number", "text"},
    Kind.FLOAT: {"number", "float", "text"},
    Kind.BOOLEAN: {"flag", "number", "text"},
    Kind.DATE: {"date", "timestamp without zone", "text"},
    Kind.DATETIME: {"date", "timestamp without zone", "text"},
    Kind.TIME: {"time", "text"},
    Kind.INTERVAL: {"interval", "text"},
    Kind.UUID: {"UUID", "text"},
    Kind.JSON: {"nested", "text"},
}

# What a sentence calls a family that is no noun as it stands.
_WORDS = {"number": "an exact number", "interval": "a span of time", "text": "text", "nested": "nested"}


@dataclass(frozen=True)
class Drift:
    """One column by which a file differs from the first of its source."""

    file: str
    column: str
    difference: str
    is_new: bool = False

    def __str__(self) -> str:
        return f"the column {self.column!r} of {self.file} {self.difference}"


@dataclass
class Settlement:
    """What is made of the files of a source, by their place: which columns are read, and whose rows are rejects.

    `ignored` are the columns that the feed ignores, of any file.
    """

    columns: list[list[str]]
    ignored: list[str]
    rejected: dict[int, Drift] = field(default_factory=dict)

    def settled(self, place: int, table: pa.Table) -> pa.Table:
        """A table of the file at a place with its columns in order, its rows at fault if they are rejects."""
        names = [name for name in self.columns[place] if name in table.column_names]
        table = table.select([*names, *SPOOL_COLUMNS])
        if place not in self.rejected:
            return table
        rows, drift = table.num_rows, str(self.rejected[place])
        table = with_column(table, FAULT, pa.repeat(pa.scalar("drift", TEXT), rows))
        return with_column(table, RAW, pa.repeat(pa.scalar(drift, TEXT), rows))


def settle(opened: list[Opened], feed: Feed, contract: Contract) -> Settlement:
    """Compare the files of a source with what the feed takes, and with the first of them.

    Raises:
        SourceError: the first lacks a column or has an unknown one, or another differs and the feed says `fail`.
    """
    first = opened[0]
    ignored = check_columns(first.columns, feed, set(contract.fields), first.file.name)
    done = Settlement([list(first.columns)], ignored)
    for place, other in enumerate(opened[1:], 1):
        drifts = _drifts(first, other, feed, contract)
        new = {drift.column for drift in drifts if drift.is_new}
        if feed.on_drift == "ignore_new":
            drifts = [drift for drift in drifts if not drift.is_new]
        if drifts and feed.on_drift == "reject":
            done.rejected[place], new = drifts[0], set()
        elif drifts:
            more = f" (and {len(drifts) - 1} more differences)" if drifts[1:] else ""
            raise SourceError(
                f"{other.file.name} differs from {first.file.name}: {drifts[0]}{more}; have the files exported alike, "
                f"or say under `on_drift` of the feed {feed.name!r} what to do with them."
            )
        unused = [name for name in other.columns if name in new or not _takes(name, feed, contract)]
        done.ignored += [name for name in unused if name not in done.ignored]
        others = [name for name in other.columns if name not in first.columns and name not in unused]
        done.columns.append([*first.columns, *others])
    return done


def _drifts(first: Opened, other: Opened, feed: Feed, contract: Contract) -> list[Drift]:
    name_of, named = other.file.name, feed.taken_columns
    found = []
    for name in other.columns:
        if name in first.columns:
            continue
        if not (ignores_unknown(feed) if not _takes(name, feed, contract) else named is not None):
            found.append(Drift(name_of, name, f"is new: {first.file.name} does not have it", is_new=True))
    for name in first.columns:
        if not _takes(name, feed, contract):
            continue
        if name not in other.columns:
            if not (named or {}).get(name, False):
                found.append(Drift(name_of, name, "is missing"))
        elif not _is_alike(name, first.types[name], other.types[name], feed, contract):
            found.append(
                Drift(name_of, name, f"is {_told(other.types[name])} and was {_told(first.types[name])} before")
            )
    return found


def _takes(name: str, feed: Feed, contract: Contract) -> bool:
    return name in contract.fields if feed.taken_columns is None else name in feed.taken_columns


def _is_alike(name: str, was: pa.DataType, now: pa.DataType, feed: Feed, contract: Contract) -> bool:
    families = {_family(was), _family(now)} - {"null"}
    spec = contract.fields.get(feed.attribute_of(name) or "")
    return len(families) < 2 or (spec is not None and families <= _ALIKE.get(spec.kind, set()))


def _told(kind: pa.DataType) -> str:
    """A type in words, with Arrow's name where that says more."""
    family = _family(kind)
    word = _WORDS.get(family, f"a {family}")
    return word if family in ("text", "nested") else f"{word} ({kind})"


def _family(kind: pa.DataType) -> str:
    if types.is_nested(kind):
        return "nested"
    if types.is_integer(kind) or types.is_decimal(kind):
        return "number"
    if types.is_timestamp(kind):
        return "timestamp without zone" if kind.tz is None else "timestamp with zone"
    if isinstance(kind, pa.UuidType):
        return "UUID"
    for family, is_one in (
        ("null", types.is_null),
        ("float", types.is_floating),
        ("flag", types.is_boolean),
        ("date", types.is_date),
        ("time", types.is_time),
        ("interval", types.is_duration),
    ):
        if is_one(kind):
            return family
    return "text"  # bytes too: they are read as text, or as the same bytes
