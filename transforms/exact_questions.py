"""The question of a filter made exact: decimals are compared with decimals, and moments with moments."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import pandas as pd
import pyarrow as pa

from transforms.plain_types import decimal_columns, exact, is_moment

_COUNT: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Exactly(ast.NodeTransformer):
    """Makes a question about decimals, dates and times exact, and one that each row can answer.

    What is a decimal gets a name in `names`: numbers beside decimals, and what is counted from decimals and whole
    numbers, which pandas itself refuses. What is divided by 0 has no value; Arrow would refuse to divide any row. Text
    beside dates and times is one of them, in UTC if it names no zone beside moments that have one.
    """

    def __init__(self, values: pd.DataFrame) -> None:
        self._values = values
        self._decimals = decimal_columns(values)
        self._moments = _moment_columns(values)
        self._is_among_decimals = False
        self._beside: list[pa.DataType] = []
        self.names: dict[str, Any] = {}

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        return self._visit_question(node, [node.left, *node.comparators])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return self._visit_question(node, [node.func.value] if isinstance(node.func, ast.Attribute) else [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        count, left, right = _COUNT.get(type(node.op)), self._exact_value(node.left), self._exact_value(node.right)
        if count is None or left is None or right is None or not self._is_among_decimals:
            return node
        if isinstance(node.op, ast.Div) and isinstance(right, pd.Series):
            right = right.where(right != 0)
        return self._named(count(left, right))

    def visit_List(self, node: ast.List) -> ast.AST:
        values = [each.value for each in node.elts if isinstance(each, ast.Constant)]
        if not self._is_among_decimals:
            return node
        if len(values) < len(node.elts):
            return self.generic_visit(node)
        return self._named(exact(values))  # as a whole: pandas takes a list of one name for that name

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self._beside and isinstance(node.value, str):
            return self._named(_as_moment(node.value, self._beside[0]))
        if not self._is_among_decimals or exact(node.value) is node.value:
            return node
        return self._named(exact(node.value))

    def _exact_value(self, node: ast.expr) -> Any | None:
        """What a node stands for, if that is a number or a column of decimals or whole numbers."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self._exact_value(node.operand)
            return None if value is None else -value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "abs":
            value = self._exact_value(node.func.value)
            return None if value is None else abs(value)
        if not isinstance(node, ast.Name):
            return None
        if node.id.startswith("@"):
            return self.names[node.id[1:]]
        column = self._values[node.id]
        return column if node.id in self._decimals or pd.api.types.is_integer_dtype(column) else None

    def _named(self, value: Any) -> ast.Name:
        name = f"exact_{len(self.names)}"
        self.names[name] = value
        return ast.Name(f"@{name}", ast.Load())

    def _visit_question(self, node: ast.expr, sides: list[ast.expr]) -> ast.AST:
        outside = self._is_among_decimals, self._beside
        self._is_among_decimals = any(isinstance(n, ast.Name) and n.id in self._decimals for n in ast.walk(node))
        self._beside = [self._moments[n.id] for n in sides if isinstance(n, ast.Name) and n.id in self._moments]
        visited = self.generic_visit(node)
        self._is_among_decimals, self._beside = outside
        return visited


def _moment_columns(values: pd.DataFrame) -> dict[str, pa.DataType]:
    dtypes = {str(name): values[name].dtype for name in values.columns}
    types = {name: dtype.pyarrow_dtype for name, dtype in dtypes.items() if isinstance(dtype, pd.ArrowDtype)}
    return {name: type_ for name, type_ in types.items() if is_moment(type_)}


def _as_moment(text: str, type_: pa.DataType) -> date | time | datetime:
    if pa.types.is_date(type_):
        return date.fromisoformat(text)
    if pa.types.is_time(type_):
        return time.fromisoformat(text)
    moment = pd.Timestamp(text)
    return moment.tz_localize("UTC") if type_.tz is not None and moment.tz is None else moment
