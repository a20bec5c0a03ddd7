"""The rows of a chunk on their way into the table: columnar until somebody asks for records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from restock.records import Record, plain_values, to_records
from sinks.model.column_specs import members_of, variant_of, words_of
from sinks.model.target import Target
from sinks.model.values import Values, are_stored_as_sent, take
from sinks.rows.encoding import AsText, EncodedRows, encode, is_encoder_there
from sinks.rows.packing import affinity, pack

POSITION = "restock_row"  # of a row in its source; no column of an app is called so


class Rows:
    """The rows of a chunk, by their position in the source."""

    def __init__(self, frame: pd.DataFrame, target: Target, dialect: sa.Dialect) -> None:
        self.frame = frame
        self.target = target
        self.dialect = dialect
        self._records: dict[int, Record] = {}
        self._lacking: dict[tuple[str, ...], np.ndarray] = {}
        self._encoded: EncodedRows | None = None

    def make_ready(self, types: Mapping[str, str]) -> None:
        """Do now what the first who asks for bound, packed or encoded rows would wait for.

        Args:
            types: of the table's columns, as far as the database has told them by now.
        """
        _ = self.bound, self.packed
        if types and is_encoder_there():
            self.encoded({name: types.get(name, "") for name in self.keyed.columns}, None)

    @property
    def attributes(self) -> list[str]:
        """The mapped attributes that the chunk fills, in the order of the frame."""
        return [str(name) for name in self.frame.columns]

    @cached_property
    def positions(self) -> list[int]:
        """The position of every row, in the order of the frame."""
        return self.frame.index.tolist()

    def records(self, positions: Sequence[int]) -> list[Record]:
        """The records of some rows, in the order asked for. Each is made once."""
        missing = [position for position in positions if position not in self._records]
        if missing:
            frame = self.frame if missing == self.positions else self.frame.loc[missing]
            self._records.update(zip(missing, to_records(frame), strict=True))
        return [self._records[position] for position in positions]

    def lacks(self, names: Sequence[str]) -> np.ndarray:
        """For each row whether it lacks one of these attributes; looked up once, however few are written at a time."""
        asked = tuple(names)
        if asked not in self._lacking:
            self._lacking[asked] = self._looked_for(asked)
        return self._lacking[asked]

    def _looked_for(self, names: tuple[str, ...]) -> np.ndarray:
        if not set(names) <= set(self.attributes):
            return np.ones(len(self.frame), dtype=bool)
        missing = [self.frame[name].isna().to_numpy(dtype=bool) for name in names]
        return np.logical_or.reduce(missing)

    def in_key_order(self, places: np.ndarray) -> np.ndarray:
        """Places of rows in the order of their keys, as far as these have one that is cheap: so an index is walked."""
        names = [name for name in self.target.key if name in self.attributes]
        try:
            keys = pa.table({name: pa.array(self.frame[name].iloc[places], from_pandas=True) for name in names})
            order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names])
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return places
        return places[order.to_numpy()]

    @cached_property
    def bound(self) -> BoundRows:
        """All rows as the driver takes them."""
        found: dict[str, Values] = {}
        refused: dict[int, str] = {}
        for name in self.attributes:
            column = self.target.columns[name]
            found[column.name], places = _bind(self.frame[name], column.type, self.dialect, name in self.target.json)
            refused |= {place: name for place in places if place not in refused}
        return BoundRows(np.asarray(self.frame.index, dtype="int64"), found, refused)

    @cached_property
    def keyed(self) -> BoundRows:
        """The rows that bring their key, but for refused ones, in its order: those that the table is asked for."""
        places = np.flatnonzero(~self.lacks(self.target.key) & self.bound.is_accepted)
        return self.bound.at(self.in_key_order(places))

    @cached_property
    def packed(self) -> bytes | None:
        """The keyed rows as an SQLite database, for an app on SQLite; None if they go another way."""
        if self.dialect.driver != "pysqlite" or not len(self.keyed):
            return None
        types = [self.target.columns[name].type for name in self.attributes]
        if not are_stored_as_sent(types, self.dialect):
            return None
        declared = ["INTEGER", *(type_.compile(self.dialect) for type_ in types)]
        columns = {POSITION: self.keyed.positions, **self.keyed.columns}
        return pack(columns, [affinity(each) for each in declared])

    def encoded(self, types: Mapping[str, str], as_text: AsText | None) -> EncodedRows | None:
        """The keyed rows as PostgreSQL takes them into columns of these types; see `sinks.rows.encoding.encode`."""
        if self._encoded is None or self._encoded.types != types:
            self._encoded = encode(self.keyed.columns, types, as_text)
        return self._encoded


@dataclass(frozen=True)
class BoundRows:
    """Rows as the driver takes them: the values of each column by the name that the database has for it.

    `refused` names, by place, the rows that a column's own type would not bind, with the attribute at fault.
    """

    positions: np.ndarray
    columns: dict[str, Values]
    refused: dict[int, str]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def is_accepted(self) -> np.ndarray:
        """For each row whether it was not refused."""
        accepted = np.ones(len(self), dtype=bool)
        accepted[list(self.refused)] = False
        return accepted

    def places_of(self, positions: np.ndarray) -> np.ndarray:
        """The places of the rows that have these positions, in the order of the positions."""
        order = np.argsort(self.positions)
        return order[np.searchsorted(self.positions, positions, sorter=order)]

    def at(self, places: np.ndarray) -> BoundRows:
        """Some of the rows, in the order of the places."""
        if len(places) == len(self) and not self.refused and (places == np.arange(len(self))).all():
            return self
        columns = {name: take(values, places) for name, values in self.columns.items()}
        return BoundRows(self.positions[places], columns, {})


def _bind(
    values: pd.Series, type_: sa.types.TypeEngine[Any], dialect: sa.Dialect, is_json: bool
) -> tuple[Values, list[int]]:
    """What the driver is given for the values, and the places of those that the type refuses."""
    processor = type_.dialect_impl(dialect).bind_processor(dialect)
    if processor is None:
        return values, []
    at_once = _bind_at_once(values, type_, dialect)
    if at_once is not None:
        return at_once, []
    bound: list[Any] = []
    refused: list[int] = []
    for place, value in enumerate(plain_values(values)):
        if value is None and is_json:
            bound.append(None)  # NULL, where the type would make the JSON value `null` of it
            continue
        try:
            bound.append(processor(value))
        except Exception:  # whatever the app's own type raises, it is its verdict on this value
            bound.append(None)
            refused.append(place)
    return bound, refused


def _bind_at_once(values: pd.Series, type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Values | None:
    """What the type would make of the values one by one, where that is known and Arrow can do it; else None."""
    type_ = variant_of(type_, dialect)
    if isinstance(type_, sa.types.TypeDecorator):
        return None
    if isinstance(type_, sa.Enum) and len(members_of(type_)) > len(words_of(type_)) + 1:
        return None  # a member with several names is stored under its first
    if isinstance(type_, sa.Enum | sa.Boolean):
        return values  # words and flags: the contract has checked them, and the driver knows them
    if dialect.name != "sqlite" or values.dtype == object or isinstance(type_, sqlite.DATETIME | sqlite.DATE):
        return None
    array = pa.array(values, from_pandas=True)
    if pa.types.is_floating(array.type) and isinstance(type_, sa.Float):
        return values
    if isinstance(type_, sa.Numeric) and pa.types.is_decimal128(array.type):
        # By way of the text, as Python does it: the nearest float, to the last bit.
        return _as_series(array.cast(pa.string()).cast(pa.float64()), values)
    if (isinstance(type_, sa.DateTime) and array.type == pa.timestamp("us")) or (
        isinstance(type_, sa.Date) and pa.types.is_date32(array.type)
    ):
        return _as_series(array.cast(pa.string()), values)
    return None


def _as_series(array: pa.Array, like: pd.Series) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(array), index=like.index)
