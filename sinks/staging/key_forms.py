"""Rows of the table whose key is that of a record in the feed's form of keys, though not in the table's own text."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from restock.contract import Kind
from restock.key_form import KeyForm
from sinks.database.app_database import AppDatabase
from sinks.database.data_faults import DataFault
from sinks.model.target import Target
from sinks.rows.changes import Key, RowFault
from sinks.rows.columnar import Rows
from sinks.staging.found_by_key import having

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
# Regular expressions that are blind to case would take every key for one that may be written otherwise.
_SEES_CASE = {"mysql": "(?-i)", "mariadb": "(?-i)"}
KEYS_PER_READ = 10_000


@dataclass
class _Search:
    """What an execution, known by its lease's token, found in a table: keys, and in order the hashes they have in form.

    Chunks of a process share it.
    """

    busy: threading.Lock = field(default_factory=threading.Lock)
    token: int | None = None
    hashes: Numbers = field(default_factory=lambda: np.empty(0, np.int64))
    keys: pd.DataFrame = field(default_factory=pd.DataFrame)


@cache
def _search_of(_database: AppDatabase, _table: str, _key: tuple[str, ...], _form: KeyForm) -> _Search:
    return _Search()


class OtherForms:
    """The keys of a table that are not in the feed's form.

    The table is searched for them past its index, once in an execution; each use asks whether those that matter are
    there still. A hash and the text of each are kept.
    """

    def __init__(self, database: AppDatabase, target: Target, form: KeyForm) -> None:
        """Nothing is searched before rows come."""
        self._target, self._form = target, form
        self._text = [target.contract.fields[name].kind is Kind.TEXT for name in target.key]
        self._found = _search_of(database, target.name, target.key, form)

    def as_the_table_writes(self, connection: sa.Connection, rows: Rows, token: int) -> tuple[Rows, list[RowFault]]:
        """The same rows, their keys written as the table writes them where it has them in another form.

        A key that the table has in the feed's form as well is left as it is.

        Args:
            connection: the one of the rows' transaction.
            rows: the rows of a chunk.
            token: that of the execution's lease.

        Returns:
            The rows, and the faults of those whose key the table has in several other forms: these are left out.
        """
        if not self._form.changes_keys or not set(rows.target.key) <= set(rows.attributes):
            return rows, []
        with self._found.busy:
            if token != self._found.token:
                self._search(connection)
                self._found.token = token
        otherwise = self._otherwise(_keys_of(rows))
        asked = {each for _, key, stored in otherwise for each in (key, *stored)}
        there = _exactly_there(connection, rows.target, list(asked))
        faults, written = [], {}
        for position, key, stored in otherwise:
            present = [each for each in stored if each in there]
            if key in there or not present:
                continue
            if len(present) > 1:
                faults.append(RowFault(position, DataFault("key_twice", rows.target.key[0])))
            else:
                written[position] = present[0]
        if not faults and not written:
            return rows, []
        return _with_keys(rows, written, [fault.row for fault in faults]), faults

    def _search(self, connection: sa.Connection) -> None:
        target = self._target
        columns = [target.columns[name] for name in target.key]
        pattern = _SEES_CASE.get(connection.dialect.name, "") + f"(?:{self._form.suspects()})"
        texts = (column for column, is_text in zip(columns, self._text, strict=True) if is_text)
        suspect = sa.or_(sa.false(), *(column.regexp_match(pattern) for column in texts))
        asked = sa.select(*columns).where(suspect).execution_options(yield_per=KEYS_PER_READ)
        hashes, parts = [np.empty(0, np.int64)], list[pd.DataFrame]()
        for some in connection.execute(asked).partitions():
            found = [(normal, key) for key in map(tuple, some) if (normal := self._normal(key)) != key]
            hashes.append(np.fromiter((hash(normal) for normal, _ in found), np.int64, len(found)))
            parts.append(self._frame([key for _, key in found]))
        unordered = np.concatenate(hashes)
        order = np.argsort(unordered, kind="stable")
        self._found.hashes = unordered[order]
        self._found.keys = pd.concat([self._frame([]), *parts], ignore_index=True).take(order)

    def _normal(self, key: Key) -> Key:
        return tuple(
            self._form.of(value) if is_text and isinstance(value, str) else value
            for value, is_text in zip(key, self._text, strict=True)
        )

    def _frame(self, keys: list[Key]) -> pd.DataFrame:
        """Keys by their parts; text as Arrow has it, which takes a tenth of the memory."""
        kinds = ["str" if is_text else "object" for is_text in self._text]
        parts = {place: pd.Series([key[place] for key in keys], dtype=kind) for place, kind in enumerate(kinds)}
        return pd.DataFrame(parts)

    def _otherwise(self, sent: dict[int, Key]) -> list[tuple[int, Key, list[Key]]]:
        """Position and key of each row whose key the table had in other forms, and these."""
        positions, keys = list(sent), list(sent.values())
        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))
        starts = np.searchsorted(self._found.hashes, hashes, "left")
        many = np.searchsorted(self._found.hashes, hashes, "right") - starts
        owners = np.repeat(np.arange(len(keys)), many)
        places = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + np.repeat(starts, many)
        found: dict[int, list[Key]] = {}
        for owner, stored in zip(
            owners.tolist(), self._found.keys.take(places).itertuples(index=False, name=None), strict=True
        ):
            if self._normal(stored) == keys[owner]:
                found.setdefault(owner, []).append(stored)
        return [(positions[owner], keys[owner], stored) for owner, stored in found.items()]


def _exactly_there(connection: sa.Connection, target: Target, keys: list[Key]) -> set[Key]:
    columns = [target.columns[name] for name in target.key]
    asked = sa.select(*columns)
    return {tuple(row) for condition in having(columns, keys) for row in connection.execute(asked.where(condition))}


def _keys_of(rows: Rows) -> dict[int, tuple[Any, ...]]:
    keys = rows.frame[list(rows.target.key)].astype(object)
    return dict(zip(rows.positions, keys.itertuples(index=False, name=None), strict=True))


def _with_keys(rows: Rows, written: dict[int, Key], left_out: list[int]) -> Rows:
    frame = rows.frame.copy(deep=False)
    for place, name in enumerate(rows.target.key):
        if isinstance(frame[name].dtype, pd.StringDtype) or frame[name].dtype == object:
            cells = frame[name].astype(object)
            cells.loc[list(written)] = [key[place] for key in written.values()]
            frame[name] = cells.astype(rows.frame[name].dtype)
    return Rows(frame.drop(index=left_out), rows.target, rows.dialect)
