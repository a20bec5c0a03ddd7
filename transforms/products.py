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
    texts = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.StringDtype) and name not in key]
    tidied = {str(name): tidied for name in texts if (tidied := _tidied(frame[name])) is not None}
    return frame.assign(**tidied)


def _tidied(column: pd.Series) -> pd.Series | None:
    """The column where something in it was not tidy."""
    cells = pa.array(column, pa.large_string(), from_pandas=True)
    if isinstance(cells, pa.ChunkedArray):  # of a frame that was put together from others
        cells = cells.combine_chunks()
    texts = tidy_texts(cells)
    dtype: Any = column.dtype  # the stubs do not know __from_arrow__
    return None if texts is cells else pd.Series(dtype.__from_arrow__(texts), index=column.index)
