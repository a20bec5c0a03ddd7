"""The filter of a feed: an expression over one row that says whether the feed takes it."""

from __future__ import annotations

import ast
from functools import cache

# What a column can be asked beside comparisons: each looks at its own cell only.
_QUESTIONS = (
    *("isna", "notna", "isin", "between", "abs", "str", "contains", "startswith", "endswith", "match", "fullmatch"),
    *("len", "lower", "upper", "strip", "dt", "date", "year", "month", "day", "dayofweek", "hour"),
)
_SYNTAX = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Invert, ast.USub, ast.UAdd),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.BitAnd, ast.BitOr),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    *(ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Load, ast.Attribute, ast.Call, ast.keyword),
)


@cache
def columns_of(expression: str) -> tuple[str, ...]:
    """The columns that a filter asks, sorted.

    Raises:
        ValueError: it is not an expression, or holds more than comparisons, arithmetic, and, or, not and the questions
            that a column can be asked. So it can neither reach beyond the row nor change it.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ValueError("it is not an expression such as `price > 0 and stock.notna()`") from error
    for node in ast.walk(tree):
        _check_node(node)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
    if not names:
        raise ValueError("it asks no column; name one of the feed's attributes")
    return tuple(sorted(names))


def _check_node(node: ast.AST) -> None:
    if isinstance(node, ast.Attribute) and node.attr not in _QUESTIONS:
        raise ValueError(f"it asks .{node.attr}; a column can be asked {', '.join(_QUESTIONS)}")
    if isinstance(node, ast.Call) and not isinstance(node.func, ast.Attribute):
        raise ValueError("it calls a function; only a column can be asked, as in stock.notna()")
    if isinstance(node, ast.Compare) and any(map(_is_none, (node.left, *node.comparators))):
        raise ValueError("it compares with None, to which nothing is equal; ask stock.isna() or stock.notna()")
    if isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float | bool | None):
        raise ValueError("it holds a value that is neither text nor a number")
    if not isinstance(node, _SYNTAX):
        raise ValueError("it holds more than comparisons, arithmetic, and, or, not and questions such as .notna()")


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
