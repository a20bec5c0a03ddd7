"""Which keys are present, and what therefore becomes of each record. The only module that decides it."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from restock.contract import Kind
from restock.records import Record
from sinks.db_errors import DataFault
from sinks.target import Target

Mode = Literal["sync", "insert_only", "update_only"]
Key = tuple[Any, ...]

# Keys looked up by one statement. SQLite's smallest limit in use is 32,766 parameters.
KEYS_PER_STATEMENT = 5_000
# The kinds of columns whose stored values may have another form than sent ones; the others are compared as they come.
_TRANSLATED = (Kind.DATETIME, Kind.ENUM, Kind.BINARY, Kind.OTHER)
# SQLite takes at most 500 SELECTs in one UNION.
SELECTS_PER_UNION = 400


@dataclass(frozen=True)
class RowFault:
    """A row that only the database could find fault with, by its position."""

    row: int
    fault: DataFault


@dataclass
class Changes:
    """What has to be written for a chunk, and what does not. Rows are named by their position.

    `inserts` and `updates` hold the mappings to write; those of an update carry the primary key of the row they meet.
    """

    inserts: list[tuple[int, Record]] = field(default_factory=list)
    updates: list[tuple[int, Record]] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)
    unchanged: int = 0
    stale: int = 0
    skipped: int = 0

    def without(self, refused: list[RowFault]) -> Changes:
        """The same changes but for rows that the database refused: these join the faults."""
        if not refused:
            return self
        gone = {each.row for each in refused}
        return replace(
            self,
            inserts=[write for write in self.inserts if write[0] not in gone],
            updates=[write for write in self.updates if write[0] not in gone],
            faults=self.faults + refused,
        )


def compare(
    connection: sa.Connection,
    target: Target,
    mode: Mode,
    rows: Sequence[tuple[int, Record]],
    is_loaded_before: Callable[[int], bool],
) -> Changes:
    """Meet the records of a chunk with the rows of the table.

    Args:
        rows: position and record; every record has the same attributes.
        is_loaded_before: whether a row without a key, at that position, was inserted by an earlier run of the same
            content: it has nothing else to be recognised by.

    Returns:
        The changes. Nothing is written and no lock is held.
    """
    changes = Changes()
    if not rows:
        return changes
    keyed, keyless = _split_by_key(rows, target.key)
    for position, record in keyless:
        if mode == "update_only" or is_loaded_before(position):
            changes.skipped += 1
        else:
            _insert(changes, target, position, record)
    attributes = list(rows[0][1])
    present = _present_rows(connection, target, [key for key, _, _ in keyed], attributes)
    names = [name for name in attributes if name not in target.key and name not in target.primary_key]
    met: set[Key] = set()
    for key, position, record in keyed:
        row = present.get(key)
        if row is None:
            if mode == "update_only":
                changes.skipped += 1
            else:
                _insert(changes, target, position, record)
            continue
        identity = tuple(row[name] for name in target.primary_key)
        if identity in met:
            # Two keys of the feed that are one for the database (its collation folds case, say).
            changes.faults.append(RowFault(position, DataFault("duplicate_key", target.key[0])))
        elif mode == "insert_only":
            changes.skipped += 1
        else:
            _meet(changes, target, position, record, row, names)
        met.add(identity)
    return changes


def _split_by_key(
    rows: Sequence[tuple[int, Record]], key: tuple[str, ...]
) -> tuple[list[tuple[Key, int, Record]], list[tuple[int, Record]]]:
    keyed: list[tuple[Key, int, Record]] = []
    keyless: list[tuple[int, Record]] = []
    for position, record in rows:
        values = tuple(record.get(name) for name in key)
        if None in values:
            keyless.append((position, record))
        else:
            keyed.append((values, position, record))
    return keyed, keyless


def _insert(changes: Changes, target: Target, position: int, record: Record) -> None:
    for name in target.required:
        if record.get(name) is None:
            changes.faults.append(RowFault(position, DataFault("null", name)))
            return
    # An explicit NULL would be sent as the key; left out, the database makes one.
    record = {n: v for n, v in record.items() if v is not None or n not in target.primary_key}
    changes.inserts.append((position, record))


def _meet(changes: Changes, target: Target, position: int, record: Record, row: Record, names: Sequence[str]) -> None:
    if target.discriminator is not None and row[target.discriminator] not in target.identities:
        # A row of another model that shares the table.
        changes.faults.append(RowFault(position, DataFault("key_conflict", target.key[0])))
        return
    version = target.version
    if version is not None and _is_older(record.get(version), row[version]):
        changes.stale += 1
        return
    for name in target.primary_key:
        if name not in target.key and record.get(name) not in (None, row[name]):
            changes.faults.append(RowFault(position, DataFault("key_conflict", name)))
            return
    for name in names:
        if record[name] != row[name] and not _is_same_once_stored(target, name, record[name], row[name]):
            changes.updates.append((position, {n: row[n] for n in target.primary_key} | {n: record[n] for n in names}))
            return
    changes.unchanged += 1


def _is_same_once_stored(target: Target, name: str, sent: Any, stored: Any) -> bool:
    form = target.stored_forms.get(name)
    return form is not None and sent is not None and stored is not None and form(sent) == form(stored)


def _is_older(sent: Any, stored: Any) -> bool:
    return stored is not None and (sent is None or sent < stored)


def _present_rows(
    connection: sa.Connection, target: Target, keys: list[Key], attributes: list[str]
) -> dict[Key, Record]:
    """The rows that the keys meet, by the key as the feed wrote it."""
    telling = () if target.discriminator is None else (target.discriminator,)
    wanted = dict.fromkeys((*target.primary_key, *target.key, *telling, *attributes))
    columns = {name: _readable(target, name) for name in wanted}
    translated = [name for name in columns if _may_be_translated(target, name)]
    stored: dict[Key, Record] = {}
    for some in slices(keys, KEYS_PER_STATEMENT // len(target.key)):
        statement = sa.select(*(column.label(f"c{place}") for place, column in enumerate(columns.values())))
        for values in connection.execute(statement.where(_has_key(target, some))):
            row = dict(zip(columns, values, strict=True))
            for name in translated:
                row[name] = _as_sent(target, name, row[name])
            stored[tuple(row[name] for name in target.key)] = row
    present = {key: stored[key] for key in keys if key in stored}
    if not target.key_is_exact:
        present |= _equal_for_the_database(connection, target, [key for key in keys if key not in present], stored)
    return present


def _may_be_translated(target: Target, name: str) -> bool:
    is_decorated = isinstance(target.columns[name].type, sa.types.TypeDecorator)
    return is_decorated or target.contract.fields[name].kind in _TRANSLATED


def _readable(target: Target, name: str) -> sa.ColumnElement[Any]:
    column = target.columns[name]
    kind = target.contract.fields[name].kind
    if kind is Kind.ENUM:
        return sa.type_coerce(column, sa.String())  # the stored word, not the member that the app makes of it
    if kind is Kind.FLOAT and name in target.stored_forms:
        return column + sa.literal_column("0e0")  # MariaDB shows six digits of a FLOAT, unless it is computed with
    return column


def _as_sent(target: Target, name: str, value: Any) -> Any:
    """A stored value in the form in which the contract sends it, so that equal values are equal."""
    if isinstance(value, datetime):
        if target.contract.fields[name].timezone:
            return value.astimezone(UTC)
        return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, enum.Enum):
        return value.name
    return bytes(value) if isinstance(value, memoryview) else value


def _has_key(target: Target, keys: Sequence[Key]) -> sa.ColumnElement[bool]:
    columns = [target.columns[name] for name in target.key]
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return sa.tuple_(*columns).in_(keys)


def _equal_for_the_database(
    connection: sa.Connection, target: Target, keys: list[Key], stored: dict[Key, Record]
) -> dict[Key, Record]:
    """Those keys that the database finds equal to a stored one although their text differs."""
    loose = {_loosely(key) for key in stored}
    doubtful = [key for key in keys if _loosely(key) in loose]
    found: dict[Key, Record] = {}
    for some in slices(doubtful, SELECTS_PER_UNION):
        selects = [
            sa.select(sa.literal(place).label("place"), *(_readable(target, name) for name in target.key)).where(
                *(target.columns[name] == value for name, value in zip(target.key, key, strict=True))
            )
            for place, key in enumerate(some)
        ]
        for place, *values in connection.execute(sa.union_all(*selects)):
            as_stored = tuple(_as_sent(target, n, v) for n, v in zip(target.key, values, strict=True))
            if as_stored in stored:
                found[some[place]] = stored[as_stored]
    return found


def _loosely(key: Key) -> Key:
    """A key without what collations ignore (case, accents, blanks at the end): where asking the database is worth it.

    A key that a collation folds in another way is inserted, clashes, and is rejected with its reason.
    """
    return tuple(
        "".join(c for c in unicodedata.normalize("NFKD", part).casefold() if not unicodedata.combining(c)).rstrip()
        if isinstance(part, str)
        else part
        for part in key
    )


def slices(keys: list[Key], size: int) -> Iterator[list[Key]]:
    """The keys in lists of at most `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
