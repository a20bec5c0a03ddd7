"""What a Pandera schema of the feed's says beyond the contract: ranges, patterns, rules across columns.

Only its checks are asked, lazily, of values that were cast already. Types, coercion, `strict` and uniqueness are the
contract's: a schema changes nothing.
"""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

import pandas as pd

from restock.chunks import Fault
from restock.contract import Contract
from restock.errors import ChunkFailed, ConfigurationError
from restock.feeds import Feed
from restock.originals import presentable, texts_of
from restock.references import resolve
from transforms.contract_check import Faults
from transforms.plain_types import decimal_columns, exact, plain_types

_OURS = {"not_nullable": "null"}  # checks that the contract has a code for


def check_schema(feed: Feed, contract: Contract) -> None:
    """Find the feed's schema now, rather than in the first chunk.

    Raises:
        ConfigurationError: Pandera is not installed, the reference is wrong, or the schema has another column.
    """
    if feed.row_schema is None:
        return
    known = contract.fields if feed.columns is None else feed.columns
    columns = _checks_of(feed.row_schema, feed.name).columns.items()
    unknown = [name for name, column in columns if not column.regex and name not in known]
    if unknown:
        raise ConfigurationError(
            f"Feed {feed.name!r}: the schema {feed.row_schema} has the column {unknown[0]!r}, which the feed does not "
            "fill; name it under `columns:`, or take it out of the schema."
        )


def schema_faults(values: pd.DataFrame, faults: Faults, feed: Feed, place: str) -> Faults:
    """What the feed's schema finds wrong with rows, beside what is known to be wrong with them.

    Rules across columns are asked of all rows, and heard of rows that are sound otherwise.

    Args:
        values: the rows after the cast, those at fault too.
        faults: what is wrong with rows, by their position.
        place: which chunk it is, for errors.

    Raises:
        ChunkFailed: a check raised, or is not about rows.
    """
    if feed.row_schema is None or values.empty:
        return {}
    from pandera.errors import SchemaErrors

    plain = plain_types(values)
    try:
        _exact_checks_of(feed.row_schema, feed.name, decimal_columns(plain)).validate(plain, lazy=True)
    except SchemaErrors as error:
        return _faults(error.failure_cases, values, faults, f"the schema {feed.row_schema} on {place}")
    return {}


@cache
def _checks_of(reference: str, feed_name: str) -> Any:
    """The schema that a reference names, stripped of everything but its checks."""
    try:
        from pandera.pandas import DataFrameModel, DataFrameSchema
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Feed {feed_name!r} names a schema, and Pandera is not installed here; install restock[pandera]."
        ) from error
    found = resolve(reference, f"the schema of feed {feed_name!r}")
    is_model = isinstance(found, type) and issubclass(found, DataFrameModel)
    schema = found.to_schema() if is_model else found
    if not isinstance(schema, DataFrameSchema):
        raise ConfigurationError(
            f"The schema {reference} of feed {feed_name!r} is neither a Pandera DataFrameModel nor a DataFrameSchema; "
            "name one after the colon."
        )
    schema = copy.deepcopy(schema)
    schema.strict, schema.coerce, schema.unique, schema.index = False, False, None, None
    schema.add_missing_columns, schema.parsers, schema.dtype = False, [], None
    for column in schema.columns.values():
        column.dtype, column.coerce, column.unique, column.required, column.parsers = None, False, False, False, []
    return schema


@cache
def _exact_checks_of(reference: str, feed_name: str, decimals: frozenset[str]) -> Any:
    """The schema with decimals for the numbers that columns of decimals are compared with."""
    schema = copy.deepcopy(_checks_of(reference, feed_name))
    for name in decimals.intersection(schema.columns):
        for check in schema.columns[name].checks:
            check._check_kwargs = {word: exact(value) for word, value in check._check_kwargs.items()}
    return schema


def _faults(cases: pd.DataFrame, values: pd.DataFrame, faults: Faults, where: str) -> Faults:
    lost = cases["index"].isna()
    if lost.any():
        check = _code(cases[lost].iloc[0]["check"])
        raise ChunkFailed(f"The check {check} of {where} failed as a whole; let it answer for each row, and not raise.")
    found: Faults = {}
    single = cases[cases["schema_context"] == "Column"]
    for row, name, check in zip(single["index"], single["column"], single["check"], strict=True):
        if not any(fault.column == name for fault in faults.get(int(row), [])):
            found.setdefault(int(row), []).append(Fault(_code(check), name, None))
    across = cases[cases["schema_context"] != "Column"].drop_duplicates(["index", "check", "check_number"])
    for row, check in zip(across["index"], across["check"], strict=True):
        if int(row) not in faults and not any(fault.column for fault in found.get(int(row), [])):
            found.setdefault(int(row), []).append(Fault(_code(check), None, None))
    return _with_values(found, values)


def _with_values(found: Faults, values: pd.DataFrame) -> Faults:
    rows = values.loc[list(found)]
    texts = {
        name: dict(zip(found, texts_of(rows[name]), strict=True))
        for name in {fault.column for each in found.values() for fault in each if fault.column is not None}
    }
    return {
        row: [Fault(f.code, f.column, None if f.column is None else presentable(texts[f.column][row])) for f in each]
        for row, each in found.items()
    }


def _code(check: str) -> str:
    """A stable code: the name of a check without its arguments, which may change."""
    name = re.sub(r"\W+", "_", str(check).partition("(")[0]).strip("_")
    return _OURS.get(name, f"schema:{name or 'unnamed'}")
