"""The cells of a source under the names of the attributes they fill, with the feed's constants and defaults."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from restock.chunks import SPOOL_COLUMNS
from restock.column_rules import as_cell
from restock.contract import Contract, FieldSpec, Kind
from restock.csv_rules import CsvRules
from restock.errors import ConfigurationError
from restock.feeds import Feed
from restock.originals import arrow_texts
from transforms.contract_check import cast_column, cells_of
from transforms.keys import normal_keys


def attributes(raw: pd.DataFrame, feed: Feed, contract: Contract) -> pd.DataFrame:
    """The columns that the feed takes, as if the source held them by the names of the attributes.

    Constants and defaults stand in it as the text that the source would hold for them, keys in the feed's form.
    """
    names = feed.renames([name for name in raw.columns if name not in SPOOL_COLUMNS], contract.fields)
    frame = raw[list(names)].rename(columns=names)
    for name, rule in (feed.columns or {}).items():
        if rule.is_constant:
            cell = None if rule.constant is None else as_cell(rule.constant, feed.csv)
            frame[name] = pd.Series(cell, index=frame.index, dtype="str")
        elif rule.default is not None and name in frame:
            spec = contract.fields.get(name, FieldSpec(name, Kind.TEXT))
            frame[name] = _filled(frame[name], as_cell(rule.default, feed.csv), spec, feed.csv)
    return normal_keys(frame, feed, contract)


def check_columns(feed: Feed, contract: Contract) -> None:
    """Make sure that the feed's constants and defaults fit what they fill, before a source is read.

    Raises:
        ConfigurationError: one does not.
    """
    for name, rule in (feed.columns or {}).items():
        spec = contract.fields.get(name)
        if spec is None:
            continue
        if rule.is_constant and rule.constant is None and not spec.nullable:
            raise ConfigurationError(
                f"Feed {feed.name!r}: the constant of {name} is null, and its column must have a value; give it one "
                "under `columns:`."
            )
        for word, value in (("constant", rule.constant), ("default", rule.default)):
            if value is None:
                continue
            if spec.kind in (Kind.TEXT, Kind.ENUM) and not isinstance(value, str):
                raise ConfigurationError(
                    f"Feed {feed.name!r}: the {word} of {name} is no text for YAML, and its column holds text; write "
                    "it in quotes."
                )
            cell = pd.Series([as_cell(value, feed.csv)], dtype="str")
            for code in cast_column(cell, spec, feed.csv).faults.values():
                raise ConfigurationError(
                    f"Feed {feed.name!r}: the {word} of {name} does not fit its column ({code}); correct it under "
                    "`columns:`."
                )


def _filled(column: pd.Series, text: str, spec: FieldSpec, rules: CsvRules) -> pd.Series:
    """The column with a value in place of what is missing, in its own type if that can hold it."""
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna(text)
    cells = cells_of(column)
    if isinstance(cells, pa.Array):
        missing = pc.is_null(cells, nan_is_null=True)
        if not pc.any(missing).as_py():
            return column
        default = None if isinstance(cells.type, pa.UuidType) else _as_cell_of(cells.type, text, spec, rules)
        if default is not None:
            values = pd.arrays.ArrowExtensionArray(pc.if_else(missing, default, cells))
            return pd.Series(values, index=column.index)
    # The cast reads text and values side by side.
    filled = [text if value is None or value != value else value for value in _values_of(cells)]
    return pd.Series(filled, index=column.index, dtype=object)


def _as_cell_of(type_: pa.DataType, text: str, spec: FieldSpec, rules: CsvRules) -> Any | None:
    """The text as a cell of a typed column that is read as the text is; None if there is none."""
    meant = repr(_values_of(cast_column(pd.Series([text], dtype="str"), spec, rules).values))  # True is not 1
    for zone in (rules.timezone, "UTC"):  # a timestamp without a zone is what the clock shows, read as if in UTC
        read = cast_column(pd.Series([text], dtype="str"), spec, rules.model_copy(update={"timezone": zone})).values
        try:
            cell = (pa.array(read) if isinstance(read, list) else read).cast(type_)
        except (pa.ArrowException, OverflowError, TypeError):
            continue
        again = cast_column(pd.Series(pd.arrays.ArrowExtensionArray(cell)), spec, rules)
        if not again.faults and repr(_values_of(again.values)) == meant:
            return cell[0]
    return None


def _values_of(cells: Any) -> list[Any]:
    try:
        return cells if isinstance(cells, list) else cells.to_pylist()
    except (OverflowError, ValueError):  # moments that Python has no object for
        return arrow_texts(cells).to_pylist()
