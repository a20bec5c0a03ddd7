"""The values of a column on their way to the driver, in whichever form saves work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from restock.records import plain_values

# A column as the frame holds it, where the driver takes its values as they are; else what the driver takes.
Values = pd.Series | np.ndarray | list[Any]


def are_stored_as_sent(types: Iterable[sa.types.TypeEngine[Any]], dialect: sa.Dialect) -> bool:
    """Whether the database stores the bound values of such columns; else SQL of a type makes of them what is stored."""
    sent: sa.BindParameter[Any] = sa.bindparam("value")
    return all(type_.dialect_impl(dialect).bind_expression(sent) is None for type_ in types)


def as_list(values: Values) -> list[Any]:
    """The values of a column as plain Python objects."""
    if isinstance(values, np.ndarray):
        return values.tolist()
    return plain_values(values) if isinstance(values, pd.Series) else values


def as_arrow(values: Values) -> pa.Array:
    """The values of a column as Arrow has them, what is missing in pandas as a null.

    Raises:
        TypeError, ValueError, ArrowException: Arrow has no type for them all.
    """
    if isinstance(values, pd.Series) and values.dtype == object:
        values = as_list(values)
    array = pa.array(values, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)  # a float that is missing, in pandas
    return array


def take(values: Values, places: np.ndarray) -> Values:
    """Those at some places, in the order of the places."""
    if isinstance(values, list):
        return [values[place] for place in places.tolist()]
    return values.iloc[places] if isinstance(values, pd.Series) else values[places]
