"""Cast values in types that pandas expressions are written for: not all arithmetic works on Arrow's whole numbers."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa


def plain_types(values: pd.DataFrame) -> pd.DataFrame:
    """The same values, whole numbers in pandas' own type that knows missing ones. Decimals stay Arrow's, and exact."""
    whole = [name for name in values.columns if _is_whole(values[name].dtype)]
    return values.astype(dict.fromkeys(whole, "Int64")) if whole else values


def _is_whole(dtype: object) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and pa.types.is_integer(dtype.pyarrow_dtype)
