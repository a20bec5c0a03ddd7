"""The rules for product catalogues, read from the top down. A feed names them as `transforms.products:clean`."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from transforms.columns import tidy_texts


def clean(frame: pd.DataFrame) -> pd.DataFrame:
    """Tidy every text column that is not part of the key; other columns stay as they are.

    `transforms.columns.tidy` says what tidy means. A text that is empty afterwards is missing.
    """
    key = frame.attrs.get("key", ())
    tidied = {name: _tidied(frame[name]) for name in frame.columns if name not in key and _is_text(frame[name])}
    return frame.assign(**tidied)


def _is_text(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.StringDtype)


def _tidied(column: pd.Series) -> pd.Series:
    cells = pa.array(column, pa.large_string(), from_pandas=True)
    if isinstance(cells, pa.ChunkedArray):  # of a frame that was put together from others
        cells = cells.combine_chunks()
    texts = tidy_texts(cells)
    dtype: Any = column.dtype  # the stubs do not know __from_arrow__
    return column if texts is cells else pd.Series(dtype.__from_arrow__(texts), index=column.index)
