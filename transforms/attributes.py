"""The cells of a source under the names of the attributes they fill, with the feed's constants and defaults."""

from __future__ import annotations

import pandas as pd

from restock.chunks import SPOOL_COLUMNS
from restock.column_rules import as_cell
from restock.contract import Contract
from restock.errors import ConfigurationError
from restock.feeds import Feed
from transforms.contract_check import cast_column
from transforms.keys import normal_keys


def attributes(raw: pd.DataFrame, feed: Feed, contract: Contract) -> pd.DataFrame:
    """The columns that the feed takes, as if the source held them by the names of the attributes.

    Constants and defaults stand in it as the text that the source would hold for them, keys in the feed's form.
    """
    names = feed.renames([name for name in raw.columns if name not in SPOOL_COLUMNS])
    if feed.columns is None and feed.unknown_columns == "ignore":
        names = {column: name for column, name in names.items() if name in contract.fields}
    frame = raw[list(names)].rename(columns=names)
    for name, rule in (feed.columns or {}).items():
        if rule.constant is not None:
            frame[name] = pd.Series(as_cell(rule.constant, feed.csv), index=frame.index, dtype="str")
        elif rule.default is not None and name in frame:
            frame[name] = _filled(frame[name], as_cell(rule.default, feed.csv))
    return normal_keys(frame, feed, contract)


def check_columns(feed: Feed, contract: Contract) -> None:
    """Make sure that the feed's constants and defaults fit what they fill, before a source is read.

    Raises:
        ConfigurationError: one does not.
    """
    for name, rule in (feed.columns or {}).items():
        for word, value in (("constant", rule.constant), ("default", rule.default)):
            if value is None or name not in contract.fields:
                continue
            cell = pd.Series([as_cell(value, feed.csv)], dtype="str")
            for code in cast_column(cell, contract.fields[name], feed.csv).faults.values():
                raise ConfigurationError(
                    f"Feed {feed.name!r}: the {word} of {name} does not fit its column ({code}); correct it under "
                    "`columns:`."
                )


def _filled(cells: pd.Series, text: str) -> pd.Series:
    missing = cells.isna()
    if not missing.any():
        return cells
    if isinstance(cells.dtype, pd.StringDtype):
        return cells.fillna(text)
    return cells.astype(object).where(~missing, text)  # the cast reads text and values side by side
