"""Which rows of a chunk the feed's filter takes."""

from __future__ import annotations

import ast
from typing import Any

import pandas as pd

from restock.contract import Contract, Kind
from restock.csv_rules import CsvRules
from restock.errors import ChunkFailed, ConfigurationError
from restock.feeds import Feed
from restock.row_filter import columns_of
from transforms.contract_check import Faults, cast
from transforms.plain_types import decimal_columns, exact, plain_types

# A cell of each kind: what a filter asks is tried on a row of them, since on no row everything can be compared.
_SPECIMENS = {
    **dict.fromkeys((Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT, Kind.BOOLEAN), "1"),
    **{Kind.DATE: "2026-01-01", Kind.DATETIME: "2026-01-01T00:00:00", Kind.TIME: "00:00", Kind.INTERVAL: "P1D"},
    **{Kind.UUID: "00000000-0000-0000-0000-000000000000", Kind.JSON: "{}"},
}


def left_out(values: pd.DataFrame, faults: Faults, feed: Feed, place: str) -> pd.Index:
    """The rows that the feed leaves out on purpose.

    A row with a fault in a column that the filter asks is not among them: nobody can tell, so it stays a reject.

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
    if missing:
        raise ChunkFailed(f"The filter `where` of feed {feed.name!r} asks {missing[0]}, which {place} does not have.")
    try:
        taken = _answers(values[list(asked)], feed.where)
    except Exception as error:
        raise ChunkFailed(
            f"The filter `where` of feed {feed.name!r} cannot be answered on {place} ({type(error).__name__}); compare "
            "columns with values of their own type."
        ) from error
    unsure = [row for row, found in faults.items() if any(fault.column in asked for fault in found)]
    return values.index[~taken].difference(unsure)


def check_filter(feed: Feed, contract: Contract) -> None:
    """Make sure that the filter can be answered, before a source is read.

    Raises:
        ConfigurationError: it asks a name that is no column of the feed, or compares what cannot be compared.
    """
    if feed.where is None:
        return
    known = {*contract.fields, *feed.unwritten} if feed.columns is None else set(feed.columns)
    unknown = [name for name in columns_of(feed.where) if name not in known]
    if unknown:
        raise ConfigurationError(
            f"Feed {feed.name!r}: where asks {unknown[0]!r}, which the feed does not fill; name it under `columns:`, "
            "with `write: never` if it is not to be written."
        )
    kinds = {name: contract.fields[name].kind if name in contract.fields else Kind.TEXT for name in sorted(known)}
    row = pd.DataFrame({name: pd.Series([_SPECIMENS.get(kind, "a")], dtype="str") for name, kind in kinds.items()})
    values, _ = cast(row, contract, CsvRules())
    try:
        _answers(values.assign(**{name: row[name] for name in kinds if name not in values}), feed.where)
    except Exception as error:
        raise ConfigurationError(
            f"Feed {feed.name!r}: where cannot be answered ({type(error).__name__}); compare columns with values of "
            "their own type."
        ) from error


def _answers(values: pd.DataFrame, expression: str) -> pd.Series:
    """True for each row that is taken; where the answer itself is missing, the row is not."""
    exactly = _Exactly(decimal_columns(values))
    question = ast.unparse(exactly.visit(ast.parse(expression.strip(), mode="eval")))
    found = plain_types(values).eval(question, engine="python", local_dict=exactly.numbers, global_dict={})
    if not isinstance(found, pd.Series):
        raise TypeError("the filter is not a question about each row")
    return found.astype("boolean").fillna(False).astype(bool)


class _Exactly(ast.NodeTransformer):
    """Gives the numbers that are compared with a column of decimals names, under which they are decimals too."""

    def __init__(self, decimals: frozenset[str]) -> None:
        self._decimals = decimals
        self._is_among_decimals = False
        self.numbers: dict[str, Any] = {}

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        return self._visit_question(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return self._visit_question(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not self._is_among_decimals or exact(node.value) is node.value:
            return node
        name = f"number_{len(self.numbers)}"
        self.numbers[name] = exact(node.value)
        return ast.Name(f"@{name}", ast.Load())

    def _visit_question(self, node: ast.expr) -> ast.AST:
        outside = self._is_among_decimals
        self._is_among_decimals = any(isinstance(n, ast.Name) and n.id in self._decimals for n in ast.walk(node))
        visited = self.generic_visit(node)
        self._is_among_decimals = outside
        return visited
