"""Rows packed as a small SQLite database, written by Arrow's driver for SQLite without the interpreter.

That driver has an SQLite of its own, and two of them in one process undo each other's locks on a file: so it never
meets the app's file, nor does the app's SQLite meet the one it writes.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow as pa

from sinks.model.values import Values, as_list

log = logging.getLogger("restock")

PACKED = "restock_stage"  # the table in such a database, and the name that an app's connection has for that

# SQLite's own rules: the first that meets a declared type counts.
_AFFINITIES = {
    "INT": ("INT",),
    "TEXT": ("CHAR", "CLOB", "TEXT"),
    "": ("BLOB",),
    "REAL": ("REAL", "FLOA", "DOUB"),
}

# What SQLite's own driver binds as it is. A list that mixes them would be made alike by Arrow.
_PLAIN = (bool, int, float, str, bytes)


def affinity(declared: str) -> str:
    """What SQLite makes of values in a column that is declared so, by the word that it uses for that itself."""
    for word, fragments in _AFFINITIES.items():
        if any(fragment in declared.upper() for fragment in fragments):
            return word
    return "NUM" if declared else ""


def pack(columns: Mapping[str, Values], affinities: Sequence[str] | None = None) -> bytes | None:
    """The rows as an SQLite database, its columns with these affinities or none; None where rows go one by one.

    They do so without the extra, with values that SQLite has no form for, and where no temporary file can be written.
    """
    if not is_driver_there():
        return None
    try:
        arrays = [_as_arrow(values) for values in columns.values()]
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None
    declared = affinities or [""] * len(columns)
    return _write(pa.table(arrays, names=list(columns)), declared)


@cache
def is_driver_there() -> bool:
    """Whether the extra is installed; said once if it is not."""
    is_there = find_spec("adbc_driver_sqlite") is not None
    if not is_there:
        log.info("Rows are made ready for SQLite one by one, which takes longer; install `restock[sqlite]`.")
    return is_there


def _write(rows: pa.Table, affinities: Sequence[str]) -> bytes | None:
    from adbc_driver_sqlite import dbapi  # comes with an extra, which users of other databases do without

    quoted = ('"' + name.replace('"', '""') + '"' for name in rows.column_names)
    listed = ", ".join(f"{name} {word}" for name, word in zip(quoted, affinities, strict=True))
    try:
        with tempfile.TemporaryDirectory(prefix="restock-", ignore_cleanup_errors=True) as folder:
            file = Path(folder, PACKED)
            with dbapi.connect(str(file), autocommit=True) as connection, connection.cursor() as cursor:
                for name in ("journal_mode", "synchronous"):
                    cursor.execute(f"PRAGMA {name} = OFF")
                    cursor.fetchall()
                cursor.execute(f"CREATE TABLE {PACKED} ({listed})")
                with file.open("rb") as written:
                    if os.name == "posix":
                        file.unlink()  # already now: whatever becomes of this process, no rows are left lying about
                    cursor.adbc_ingest(PACKED, rows, mode="append")
                    return written.read()
    except (dbapi.Error, OSError) as error:
        log.info("Rows could not be packed for SQLite (%s); they go one by one.", type(error).__name__)
        return None


def _as_arrow(values: Values) -> pa.Array:
    """The values as they are bound one by one.

    Raises:
        TypeError, ValueError, OverflowError, ArrowException: SQLite has no such values, or Arrow would change some.
    """
    if isinstance(values, pd.Series) and values.dtype == object:
        values = as_list(values)
    if isinstance(values, list):
        kinds = set(map(type, values)) - {type(None)}
        if len(kinds) > 1 or not kinds.issubset(_PLAIN):
            raise TypeError(kinds)
    array = pa.array(values, from_pandas=True)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return array.cast(pa.int64())
    if pa.types.is_floating(array.type):
        return array.cast(pa.float64())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_null(array.type):
        return array.cast(pa.string())
    if pa.types.is_binary(array.type):
        return array
    raise TypeError(array.type)
