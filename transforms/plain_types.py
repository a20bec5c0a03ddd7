"""Cast values in the types for which people write pandas expressions: Arrow's own cannot do all arithmetic."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa


def plain_types(values: pd.DataFrame) -> pd.DataFrame:
    """The same values; numbers, flags and moments in pandas' own types that know missing values.

    Decimals stay Arrow's, and exact.
    """
    return values.astype({str(name): kind for name in values.columns if (kind := _plain_type(values[name].dtype))})


def _plain_type(dtype: Any) -> str | None:
    if not isinstance(dtype, pd.ArrowDtype):
        return None
    kind = dtype.pyarrow_dtype
    if pa.types.is_integer(kind):
        return "Int64"
    if pa.types.is_floating(kind):
        return "Float64"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_timestamp(kind):
        return f"datetime64[us, {kind.tz}]" if kind.tz else "datetime64[us]"
    return None
