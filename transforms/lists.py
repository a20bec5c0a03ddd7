"""Lists taken apart into one column of their values, however deep these lie, and put together again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_LISTS = (list, tuple, np.ndarray)


def is_list(value: Any) -> bool:
    """Whether a value is a list, as Parquet or a transform may bring one."""
    return isinstance(value, _LISTS)


def taken_apart(lists: list[Any]) -> tuple[list[Any], list[int]]:
    """The values in all lists, one list after the other, and of each the place of its list. None is no list."""
    values = [list(_values_in(each)) for each in lists]
    return [value for some in values for value in some], [place for place, some in enumerate(values) for _ in some]


def put_together(one: Any, values: Iterator[Any]) -> Any:
    """A list like one, of the next values."""
    return None if one is None else [put_together(v, values) if is_list(v) else next(values) for v in one]


def _values_in(one: Any) -> Iterator[Any]:
    for value in () if one is None else one:
        if is_list(value):
            yield from _values_in(value)
        else:
            yield value
