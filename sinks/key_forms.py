"""Rows of the table whose key is that of a record in the feed's form of keys, though not in the table's own text."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pandas as pd
import sqlalchemy as sa

from restock.contract import Kind
from restock.key_form import KeyForm
from sinks.changes import Key, RowFault
from sinks.db_errors import DataFault
from sinks.rows import Rows
from sinks.target import Target

# Regular expressions that are blind to case would take every key for one that may be written otherwise.
_SEES_CASE = {"mysql": "(?-i)", "mariadb": "(?-i)"}
KEYS_PER_STATEMENT = 1_000


def as_the_table_writes(connection: sa.Connection, rows: Rows, form: KeyForm) -> tuple[Rows, list[RowFault]]:
    """The same rows, their keys written as the table writes them where it has them in another form.

    A key that the table has in the feed's form as well is left as it is. The table is searched once, without an index,
    for keys that are not in the feed's form: best are few of them.

    Returns:
        The rows, and the faults of those whose key the table has in several other forms: these are left out.
    """
    if not form.changes_keys or not set(rows.target.key) <= set(rows.attributes):
        return rows, []
    otherwise = _written_otherwise(connection, rows.target, form)
    sent = _keys_of(rows)
    candidates = {position: key for position, key in sent.items() if key in otherwise}
    there = _exactly_there(connection, rows.target, list(candidates.values()))
    faults, written = [], {}
    for position, key in candidates.items():
        if key in there:
            continue
        if len(otherwise[key]) > 1:
            faults.append(RowFault(position, DataFault("key_twice", rows.target.key[0])))
        else:
            written[position] = otherwise[key][0]
    if not faults and not written:
        return rows, []
    return _with_keys(rows, written, [fault.row for fault in faults]), faults


def _written_otherwise(connection: sa.Connection, target: Target, form: KeyForm) -> dict[Key, list[Key]]:
    """The table's keys that are not in the feed's form, by what they are in it."""
    text = [name for name in target.key if target.contract.fields[name].kind is Kind.TEXT]
    pattern = _SEES_CASE.get(connection.dialect.name, "") + f"(?:{form.suspects()})"
    suspect = sa.or_(sa.false(), *(target.columns[name].regexp_match(pattern) for name in text))
    columns = [target.columns[name] for name in target.key]
    found: dict[Key, list[Key]] = defaultdict(list)
    for row in connection.execute(sa.select(*columns).where(suspect)):
        stored = tuple(row)
        normal = tuple(
            form.of(value) if name in text and isinstance(value, str) else value
            for name, value in zip(target.key, stored, strict=True)
        )
        if normal != stored:
            found[normal].append(stored)
    return found


def _exactly_there(connection: sa.Connection, target: Target, keys: list[Key]) -> set[Key]:
    columns = [target.columns[name] for name in target.key]
    there: set[Key] = set()
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        some = keys[start : start + KEYS_PER_STATEMENT]
        wanted = columns[0].in_([key[0] for key in some]) if len(columns) == 1 else sa.tuple_(*columns).in_(some)
        there |= {tuple(row) for row in connection.execute(sa.select(*columns).where(wanted))}
    return there


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
