"""Which rows of a chunk the feed's filter takes."""

from __future__ import annotations

import ast

import pandas as pd

from restock.contract import Contract, Kind
from restock.csv_rules import CsvRules
from restock.errors import ChunkFailed, ConfigurationError
from restock.feeds import Feed
from restock.formats import format_of
from restock.row_filter import columns_of
from transforms.comparisons import Incomparable, check_comparisons, family_of
from transforms.contract_check import Faults, cast
from transforms.exact_questions import Exactly
from transforms.plain_types import plain_types

# A cell of each kind: what a filter asks is tried on a row of them, since on no row everything can be compared.
_SPECIMENS = {
    **dict.fromkeys((Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT, Kind.BOOLEAN), "1"),
    **{Kind.DATE: "2026-01-01", Kind.DATETIME: "2026-01-01T00:00:00", Kind.TIME: "00:00", Kind.INTERVAL: "P1D"},
    **{Kind.UUID: "00000000-0000-0000-0000-000000000000", Kind.JSON: "{}"},
}


# What a source may hold in a column that the model does not have.
_TEXT, _NUMBER = pd.Series(["a"], dtype="str"), pd.Series([1], dtype="Int64")


def left_out(values: pd.DataFrame, faults: Faults, feed: Feed, contract: Contract, place: str) -> pd.Index:
    """The rows that the feed leaves out on purpose.

    A row with a fault in a column that the filter asks is not among them: nobody can tell, so it stays a reject.
    An optional column that the chunk lacks is missing in every row.

    Args:
        values: the rows after the cast, those at fault too.
        faults: what is wrong with rows, by their position.
        place: which chunk it is, for errors.

    Raises:
        ChunkFailed: the chunk lacks a column, or the filter cannot be answered.
    """
    if feed.where is None:
        return pd.Index([])
    asked = columns_of(feed.where)
    missing = [name for name in asked if name not in values.columns]
    lost = [name for name in missing if not feed.rule_of(name).optional]
    if lost:
        raise ChunkFailed(f"The filter `where` of feed {feed.name!r} asks {lost[0]}, which {place} does not have.")
    known = values.join(_nothing(missing, values.index, contract)) if missing else values
    try:
        taken = _answers(known[list(asked)], feed.where, contract)
    except Exception as error:
        raise ChunkFailed(f"The filter of feed {feed.name!r}, on {place}: {_why(error)}.") from error
    unsure = [row for row, found in faults.items() if any(fault.column in asked for fault in found)]
    return values.index[~taken].difference(unsure)


def check_filter(feed: Feed, contract: Contract) -> None:
    """Make sure that the filter can be answered, before a source is read.

    Raises:
        ConfigurationError: it asks a name that is no column of the feed, or compares what cannot be compared.
    """
    if feed.where is None:
        return
    known = contract.fields if feed.columns is None else feed.columns
    asked = columns_of(feed.where)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ConfigurationError(
            f"Feed {feed.name!r}: where asks {unknown[0]!r}, which the feed does not fill; name it under `columns:`, "
            "with `write: never` if it is not to be written."
        )
    specimens = {name: _SPECIMENS.get(contract.fields[name].kind, "a") for name in asked if name in contract.fields}
    row = pd.DataFrame({name: pd.Series([cell], dtype="str") for name, cell in specimens.items()}, index=range(1))
    values, _ = cast(row, contract, CsvRules())
    strangers = [name for name in asked if name not in contract.fields]
    errors = [_fault_of(values.assign(**dict.fromkeys(strangers, cells)), feed, contract) for cells in _supposed(feed)]
    if all(errors):
        raise ConfigurationError(f"Feed {feed.name!r}: {_why(errors[0])}.") from errors[0]


def _supposed(feed: Feed) -> tuple[pd.Series, ...]:
    try:
        is_text = all(format_of(source, feed) == "csv" for source in feed.source)
    except ConfigurationError:  # a folder, or an address with a query: only what is found there tells
        is_text = False
    return (_TEXT,) if is_text else (_TEXT, _NUMBER)


def _fault_of(values: pd.DataFrame, feed: Feed, contract: Contract) -> Exception | None:
    try:
        _answers(values, str(feed.where), contract)
    except Exception as error:
        return error
    return None


def _why(error: Exception | None) -> str:
    told = str(error) if isinstance(error, Incomparable) else f"cannot be answered ({type(error).__name__})"
    return f"where {told}; compare columns with values of their own type"


def _nothing(names: list[str], index: pd.Index, contract: Contract) -> pd.DataFrame:
    """Columns of the contract's types, and of text where it has none, without any value."""
    blank = pd.DataFrame({name: pd.Series(None, index=index, dtype="str") for name in names}, index=index)
    typed, _ = cast(blank, contract.only(tuple(names)), CsvRules())
    return typed.join(blank[[name for name in names if name not in typed]])


def _answers(values: pd.DataFrame, expression: str, contract: Contract) -> pd.Series:
    """True for each row that is taken; where the answer itself is missing, the row is not."""
    question = ast.parse(expression.strip(), mode="eval")
    kinds = {name: contract.fields[name].kind if name in contract.fields else None for name in values.columns}
    plain = plain_types(values, [name for name, kind in kinds.items() if kind is Kind.DECIMAL])
    check_comparisons(question, {name: family_of(plain[name], kind) for name, kind in kinds.items()})
    exactly = Exactly(plain)
    found = plain.eval(ast.unparse(exactly.visit(question)), engine="python", local_dict=exactly.names, global_dict={})
    if not isinstance(found, pd.Series):
        raise TypeError("the filter is not a question about each row")
    return found.astype("boolean").fillna(False).astype(bool)
