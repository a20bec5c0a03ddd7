"""The text of keys on its way from the feed: put into the feed's form, and refused where a spreadsheet spoilt it."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.contract import Contract, Kind
from restock.feeds import Feed
from restock.key_form import SHORTENED
from transforms.columns import TEXT, places


def normal_keys(frame: pd.DataFrame, feed: Feed, contract: Contract) -> pd.DataFrame:
    """The frame with the text of its key in the feed's form; a key that is empty then is missing."""
    if not feed.key_form.changes_keys:
        return frame
    normal = {}
    for name in _text_keys(frame, contract):
        cells = [None if text is None else feed.key_form.of(text) or None for text in _texts(frame[name]).to_pylist()]
        normal[name] = pd.Series(cells, index=frame.index, dtype="str")
    return frame.assign(**normal)


def shortened_keys(frame: pd.DataFrame, feed: Feed, contract: Contract) -> dict[str, dict[int, str]]:
    """The reason code of each place where a key is a number that lost its digits, by column."""
    if feed.key_form.shortened == "keep":
        return {}
    found = {
        name: places(pc.match_substring_regex(_texts(frame[name]), SHORTENED)) for name in _text_keys(frame, contract)
    }
    return {name: dict.fromkeys(at_fault, "shortened_key") for name, at_fault in found.items() if at_fault}


def _text_keys(frame: pd.DataFrame, contract: Contract) -> list[str]:
    known = [name for name in contract.key if name in frame and name in contract.fields]
    names = [name for name in known if contract.fields[name].kind is Kind.TEXT]
    return [name for name in names if isinstance(frame[name].dtype, pd.StringDtype)]


def _texts(cells: pd.Series) -> pa.Array:
    return pa.array(cells, TEXT, from_pandas=True)
