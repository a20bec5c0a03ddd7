"""Cast values in types that pandas expressions are written for: not all arithmetic works on Arrow's whole numbers."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa


def plain_types(values: pd.DataFrame, decimals: Collection[str] = ()) -> pd.DataFrame:
    """The same values, whole numbers in pandas' own type that knows missing ones. Decimals are Arrow's, and exact.

    Args:
        decimals: the columns that hold decimals, if only missing ones; others are known by their values.
    """
    plain = {name: _plain(values[name]) for name in values.columns if _is_whole(values[name].dtype)}
    objects = [name for name in values.columns if values[name].dtype == object]
    plain |= {name: _as_arrow(values[name]) for name in objects if name in decimals or _is_decimal(values[name])}
    return values.assign(**plain) if plain else values


def decimal_columns(values: pd.DataFrame) -> frozenset[str]:
    """The columns of exact numbers, which are to be compared with exact numbers: 19.99 as a float is not 19.99."""
    return frozenset(str(name) for name in values.columns if _is_decimal(values[name]))


def exact(value: Any) -> Any:
    """A number as a Decimal of its shortest text, the numbers of a list likewise; anything else as it is."""
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(exact(each) for each in value)
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def is_moment(type_: pa.DataType) -> bool:
    """Whether values of a type are dates, times of day, or both."""
    return bool(pa.types.is_date(type_) or pa.types.is_timestamp(type_) or pa.types.is_time(type_))


def _is_decimal(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.ArrowDtype):
        return pa.types.is_decimal(column.dtype.pyarrow_dtype)
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "decimal"


def _as_arrow(column: pd.Series) -> pd.Series:
    """Decimals of any number of digits as Arrow's, which can be missing; those of too many as they are."""
    try:
        # Of one type, whatever digits a chunk happens to have, and with room to count in.
        values = pa.array(column, pa.decimal256(50, 19), from_pandas=True)
    except pa.ArrowException:
        return column
    return pd.Series(pd.arrays.ArrowExtensionArray(values), index=column.index)


def _plain(column: pd.Series) -> pd.Series:
    dtype: Any = pd.Int64Dtype()  # the stubs do not know __from_arrow__, which is ten times as fast as astype
    return pd.Series(dtype.__from_arrow__(pa.array(column)), index=column.index)


def _is_whole(dtype: object) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and pa.types.is_integer(dtype.pyarrow_dtype)
