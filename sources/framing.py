"""Frames of the right size out of frames of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd


def resized(frames: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of `rows`; smaller ones only at the end and where the types of the columns change."""
    waiting: list[pd.DataFrame] = []
    count = 0
    for frame in frames:
        if waiting and not waiting[0].dtypes.equals(frame.dtypes):
            yield _joined(waiting)
            waiting, count = [], 0
        waiting.append(frame)
        count += len(frame)
        if count < rows:
            continue
        whole = _joined(waiting)
        full = count - count % rows
        for start in range(0, full, rows):
            yield whole.iloc[start : start + rows].reset_index(drop=True)
        waiting, count = [whole.iloc[full:]] if full < count else [], count - full
    if waiting:
        yield _joined(waiting)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)
