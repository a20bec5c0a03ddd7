"""How a transform sets rows aside: `restock.reject(frame, mask, code, column)`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class WrongReject(ValueError):
    """A call that does not say which rows it means, or by what code they are told."""


@dataclass(frozen=True)
class RejectedRows:
    """Rows that a transform set aside: their positions, the reason, and the values that were at fault."""

    rows: list[int]
    code: str
    column: str | None
    values: list[Any]


_collected: ContextVar[list[RejectedRows] | None] = ContextVar("restock_rejected_rows", default=None)


def reject(frame: pd.DataFrame, mask: Any, code: str, column: str | None = None) -> pd.DataFrame:
    """Set rows of a frame aside with a reason, and go on with the others.

    Args:
        frame: the frame the transform was given, or what it made of it; the index is the rows' position.
        mask: true for each row to reject, missing counts as false: as long as the frame, or a Series, which is matched
            by its labels.
        code: a short stable reason, such as `price_too_low`.
        column: the attribute at fault, if it is one.

    Returns:
        The rows that stay. Outside a run (in a test of the transform) the others are only left out.

    Raises:
        WrongReject: the code is no text, or a Series has labels that the frame has not, and lacks some that it has.
    """
    if not (isinstance(code, str) and code):
        raise WrongReject("The code of restock.reject is no text; give a short one such as price_too_low.")
    at_fault = _as_booleans(frame, mask)
    gone = frame[at_fault]
    collected = _collected.get()
    if collected is not None and len(gone):
        values = gone[column].tolist() if column is not None and column in gone else [None] * len(gone)
        collected.append(RejectedRows(gone.index.tolist(), code, column, values))
    return frame[~at_fault]


@contextmanager
def collecting_rejects() -> Iterator[list[RejectedRows]]:
    """Collect what transforms reject while the context lasts."""
    rows: list[RejectedRows] = []
    token = _collected.set(rows)
    try:
        yield rows
    finally:
        _collected.reset(token)


def _as_booleans(frame: pd.DataFrame, mask: Any) -> Any:
    import pandas as pd

    if not isinstance(mask, pd.Series):
        mask = pd.Series(mask, index=frame.index)
    elif not (mask.index.isin(frame.index).all() or frame.index.isin(mask.index).all()):
        # Such as 0, 1, 2 …, where numpy has been at it: matched by them, it would mean other rows, or none.
        raise WrongReject(
            "The mask of restock.reject does not have the labels of the frame; give it as an array or a list, or make "
            "the Series with index=frame.index."
        )
    return mask.reindex(frame.index).astype("boolean").fillna(False).astype(bool)
