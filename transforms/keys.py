"""The text of keys on its way from the feed: put into the feed's form, and refused where a spreadsheet spoilt it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.contract import Contract, Kind
from restock.feeds import Feed
from restock.key_form import SHORTENED
from transforms.columns import decoded, is_bytes, places
from transforms.contract_check import cells_of


def normal_keys(frame: pd.DataFrame, feed: Feed, contract: Contract) -> pd.DataFrame:
    """The frame with the text of its key in the feed's form; a key that is empty then is missing."""
    if not feed.key_form.changes_keys:
        return frame
    normal = {name: _normal(frame[name], feed) for name in _text_keys(frame, contract)}
    return frame.assign(**normal)


def _normal(cells: pd.Series, feed: Feed) -> pd.Series:
    texts, unreadable = _texts(cells)
    keys: list[Any] = [None if text is None else feed.key_form.of(text) or None for text in texts.to_pylist()]
    for place in unreadable:  # the cast refuses them as bytes that are no text
        keys[place] = cells.iloc[place]
    return pd.Series(keys, index=cells.index, dtype=object if unreadable else "str")


def shortened_keys(frame: pd.DataFrame, feed: Feed, contract: Contract) -> dict[str, dict[int, str]]:
    """The reason code of each place where a key is a number that lost its digits, by column."""
    if feed.key_form.shortened == "keep":
        return {}
    keys = {name: _texts(frame[name])[0] for name in _text_keys(frame, contract)}
    found = {name: places(pc.match_substring_regex(texts, SHORTENED)) for name, texts in keys.items()}
    return {name: dict.fromkeys(at_fault, "shortened_key") for name, at_fault in found.items() if at_fault}


def _text_keys(frame: pd.DataFrame, contract: Contract) -> list[str]:
    known = [name for name in contract.key if name in frame and name in contract.fields]
    names = [name for name in known if contract.fields[name].kind is Kind.TEXT]
    return [name for name in names if _holds_text(frame[name].dtype)]


def _holds_text(dtype: Any) -> bool:
    """Whether cells are text, or bytes that their writer did not call text."""
    return isinstance(dtype, pd.StringDtype) or (isinstance(dtype, pd.ArrowDtype) and is_bytes(dtype.pyarrow_dtype))


def _texts(cells: pd.Series) -> tuple[pa.Array, dict[int, str]]:
    """The text of keys, and the places of bytes that are none."""
    return decoded(cells_of(cells))
