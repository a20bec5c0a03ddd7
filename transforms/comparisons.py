"""What a filter compares: columns with values of their own kind only, and decimals with decimals."""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import pandas as pd
import pyarrow as pa

from restock.contract import Kind
from transforms.plain_types import decimal_columns, exact

TEXT, NUMBER, MOMENT, OTHER = "text", "a number", "a date or time", "of a kind that no value here can be equal to"
PARSED = "a number or flag"  # Arrow reads the text that such a column is compared with, and says where it cannot
_OF_KIND = {
    **dict.fromkeys((Kind.TEXT, Kind.ENUM), TEXT),
    Kind.INTEGER: NUMBER,
    **dict.fromkeys((Kind.DECIMAL, Kind.FLOAT, Kind.BOOLEAN), PARSED),
    **dict.fromkeys((Kind.DATE, Kind.TIME, Kind.DATETIME), MOMENT),
    **dict.fromkeys((Kind.UUID, Kind.JSON, Kind.INTERVAL), OTHER),
}
_OF_ANSWER = {**dict.fromkeys(("lower", "upper", "strip"), TEXT), "len": NUMBER, "date": MOMENT}
_COUNT: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARED = ({MOMENT, TEXT}, {PARSED, TEXT}, {PARSED, NUMBER})


class Incomparable(TypeError):
    """A comparison that no row could ever satisfy, as the end of a sentence that begins with `where`."""


def family_of(column: pd.Series, kind: Kind | None) -> str | None:
    """What a column can be compared with; None if only its values can tell.

    Args:
        kind: what the model says it is, or None where the model has no such column.
    """
    if kind is not None:
        return _OF_KIND.get(kind)
    dtype = column.dtype
    if isinstance(dtype, pd.StringDtype):
        return TEXT
    if not isinstance(dtype, pd.ArrowDtype):
        return NUMBER if pd.api.types.is_numeric_dtype(dtype) else None
    type_ = dtype.pyarrow_dtype
    if pa.types.is_boolean(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return PARSED
    return MOMENT if _is_moment(type_) else None


def check_comparisons(question: ast.AST, families: dict[str, str | None]) -> None:
    """Make sure that columns are compared with what they could be equal to.

    Raises:
        Incomparable: one is not; pandas would answer no for every row.
    """
    for node in ast.walk(question):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = list(itertools.pairwise(sides))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            pairs = [(node.func.value, each) for each in node.args if node.func.attr in ("isin", "between")]
        else:
            continue
        for one, other in pairs:
            _check_pair(one, other, families)


def _check_pair(one: ast.AST, other: ast.AST, families: dict[str, str | None]) -> None:
    for left in _family_of_node(one, families):
        for right in _family_of_node(other, families):
            if left != right and {left, right} not in _COMPARED:
                is_value = isinstance(one, ast.Constant)
                column, kind, value = (other, right, left) if is_value else (one, left, right)
                raise Incomparable(f"compares {ast.unparse(column)}, which is {kind}, with {value}")


def _family_of_node(node: ast.AST, families: dict[str, str | None]) -> set[str]:
    """The families of a column, of what it is asked, or of some values; none where that is not plain."""
    if isinstance(node, ast.List | ast.Tuple):
        return {family for each in node.elts for family in _family_of_node(each, families)}
    if isinstance(node, ast.BinOp):
        return _family_of_node(node.left, families) | _family_of_node(node.right, families)
    if isinstance(node, ast.UnaryOp):
        return _family_of_node(node.operand, families)
    if isinstance(node, ast.Call):
        return _family_of_node(node.func, families)
    if isinstance(node, ast.Attribute) and node.attr == "abs":
        return _family_of_node(node.value, families)
    found = families.get(node.id) if isinstance(node, ast.Name) else None
    if isinstance(node, ast.Attribute):
        found = _OF_ANSWER.get(node.attr)
    if isinstance(node, ast.Constant) and node.value is not None:
        found = TEXT if isinstance(node.value, str) else NUMBER
    return set() if found is None else {found}


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
    return {name: type_ for name, type_ in types.items() if _is_moment(type_)}


def _is_moment(type_: pa.DataType) -> bool:
    return bool(pa.types.is_date(type_) or pa.types.is_timestamp(type_) or pa.types.is_time(type_))


def _as_moment(text: str, type_: pa.DataType) -> date | time | datetime:
    if pa.types.is_date(type_):
        return date.fromisoformat(text)
    if pa.types.is_time(type_):
        return time.fromisoformat(text)
    moment = pd.Timestamp(text)
    return moment.tz_localize("UTC") if type_.tz is not None and moment.tz is None else moment
