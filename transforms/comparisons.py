"""What the columns of a filter can be compared with: values of their own kind, or no row would ever be taken."""

from __future__ import annotations

import ast
import itertools

import pandas as pd
import pyarrow as pa

from restock.contract import Kind
from transforms.plain_types import is_moment

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
    return MOMENT if is_moment(type_) else None


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
