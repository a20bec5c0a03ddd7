"""Whether a table has rows where the keys of a chunk lie: of new products they mostly follow all that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from sinks.model.values import as_arrow
from sinks.rows.columnar import Rows
from sinks.staging.newcomers import has_rows

# So many of the table's keys are looked at, for each that is sent: neighbouring chunks may reach into one another.
_STRAYS = 0.25


def may_meet(connection: sa.Connection, rows: Rows) -> bool:
    """Whether the table may have a row with the key of one of these; if not, only others can still bring it in.

    It takes a look at an index, by the first column of the key, and an answer that is certain: on the order of numbers
    everybody agrees, on that of other keys it depends.
    """
    target = rows.target
    column = target.columns[target.key[0]]
    sent = _numbers(rows, column)
    if sent is None:
        return has_rows(connection, target)
    first, last = (int(sent[len(sent) * quarters // 4]) for quarters in (1, 3))
    if has_rows(connection, target, column.between(first, last)):
        return True
    most = int(_STRAYS * len(sent))
    asked = sa.select(column).where(column.between(int(sent[0]), int(sent[-1]))).limit(most + 1)
    stored = connection.execute(asked).scalars().all()
    return len(stored) > most or bool(np.isin(np.asarray(stored, sent.dtype), sent).any())


def _numbers(rows: Rows, column: sa.Column[Any]) -> np.ndarray | None:
    """The first part of each key, in their order; None if these are no numbers, or there are none."""
    values = rows.keyed.columns.get(column.name)
    if values is None or not len(values) or not isinstance(column.type, sa.Integer):
        return None
    try:
        array = as_arrow(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None  # MariaDB's unsigned numbers can be larger than Arrow's
    return array.to_numpy() if pa.types.is_integer(array.type) else None
