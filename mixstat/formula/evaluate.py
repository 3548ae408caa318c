"""Evaluates checked expressions by walking their tree: no text is compiled or run, and each node type is checked again.

Every value in between is a scalar or a column of as many entries as there are rows, so that nothing can blow up.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError, FormulaError, MixstatError
from mixstat.formula import transforms
from mixstat.formula.frame import LARGEST, Column, can_be_squared
from mixstat.formula.whitelist import attribute, parse_expression, refuse, unquoted

_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
State = dict[str, dict[str, Any]]


def evaluate(text: str, columns: Mapping[str, Column], n_rows: int, state: State) -> Any:
    """The value of an expression; `state` holds what stateful functions learnt, by their text, and is filled if empty.

    Raises FormulaError when the expression cannot be evaluated. A numeric result is float64, (row,) or (row, column).
    """
    expression = parse_expression(text)
    walker = _Walker(text, columns, n_rows, state)
    try:
        with np.errstate(all="ignore"):
            return walker.visit(expression.node)
    except MixstatError:
        raise
    except Exception as error:
        raise FormulaError(f"{text!r} cannot be evaluated on the data: {error}") from error


def numeric(text: str, columns: Mapping[str, Column], n_rows: int, state: State) -> np.ndarray:
    """One finite float64 column: what an offset or a response needs."""
    value = evaluate(text, columns, n_rows, state)
    if not isinstance(value, np.ndarray) or value.shape != (n_rows,) or value.dtype.kind not in "fiub":
        raise FormulaError(f"{text!r} has to give one column of numbers.")
    value = value.astype(np.float64, copy=False)
    check_finite(text, value, missing_inputs(text, columns))
    return value


def missing_inputs(text: str, columns: Mapping[str, Column]) -> np.ndarray | None:
    """Rows where a column that the expression uses is missing; None when there are none."""
    masks = [columns[name].missing for name in parse_expression(text).variables]
    present = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(present) if present else None


def check_finite(text: str, values: np.ndarray, allowed: np.ndarray | None = None) -> None:
    """DataError when a computed column is no number that can be squared in rows where its inputs are not missing."""
    if can_be_squared(values):
        return
    bad = ~(np.abs(values) < LARGEST)
    bad = bad.any(axis=1) if bad.ndim == 2 else bad
    count = int((bad if allowed is None else bad & ~allowed).sum())
    if count:
        raise DataError(
            f"{text!r} is not a finite number below {LARGEST:g} in {count} of {len(values)} rows (a logarithm of zero, "
            "a constant column scaled, an overflow ...); drop or change those rows, or change the expression."
        )


class _Walker:
    """Evaluates one expression's nodes."""

    def __init__(self, text: str, columns: Mapping[str, Column], n_rows: int, state: State) -> None:
        self.text, self.columns, self.n_rows, self.state = text, columns, n_rows, state

    def visit(self, node: ast.expr) -> Any:
        method = getattr(self, "visit_" + type(node).__name__, None)
        if method is None:
            raise refuse(self.text, f"a part of the kind {type(node).__name__} is not allowed.")
        return method(node)

    def visit_Constant(self, node: ast.Constant) -> Any:
        return node.value

    def visit_List(self, node: ast.List | ast.Tuple) -> list[Any]:
        return [self.visit(item) for item in node.elts]

    visit_Tuple = visit_List

    def visit_Name(self, node: ast.Name) -> Any:
        column = self.columns[unquoted(node.id)]
        return column.series() if column.kind == "level" else column.values

    def visit_Attribute(self, node: ast.Attribute) -> float:
        return transforms.CONSTANTS[attribute(node)]

    def number(self, value: Any) -> Any:
        """A scalar or one column, as float64; texts and categories are refused."""
        if isinstance(value, (bool, int, float)):
            return float(value)
        if isinstance(value, np.ndarray) and value.shape == (self.n_rows,) and value.dtype.kind in "fiub":
            return value.astype(np.float64, copy=False)
        what = "a column of texts or categories" if _is_text(value) else "something that is not one column of numbers"
        raise refuse(self.text, f"arithmetic on {what}; compare it, where(g == 'a', 1, 0), or use it as a term.")

    def logical(self, value: Any) -> np.ndarray:
        if isinstance(value, np.ndarray) and value.shape == (self.n_rows,) and value.dtype == bool:
            return value
        raise refuse(self.text, "'&', '|', '~', and, or, not need conditions such as (x > 1) on both sides.")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        value = self.visit(node.operand)
        if isinstance(node.op, (ast.Not, ast.Invert)):
            return ~self.logical(value)
        return -self.number(value) if isinstance(node.op, ast.USub) else self.number(value)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.BitAnd):
            return self.logical(left) & self.logical(right)
        if isinstance(node.op, ast.BitOr):
            return self.logical(left) | self.logical(right)
        return _ARITHMETIC[type(node.op)](self.number(left), self.number(right))  # type: ignore[index]

    def visit_BoolOp(self, node: ast.BoolOp) -> np.ndarray:
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return join.reduce([self.logical(self.visit(value)) for value in node.values])

    def visit_Compare(self, node: ast.Compare) -> np.ndarray:
        values = [self.visit(node.left), *(self.visit(value) for value in node.comparators)]
        pairs = zip(node.ops, values[:-1], values[1:], strict=True)
        return np.logical_and.reduce([_compare(self.text, self.n_rows, op, a, b) for op, a, b in pairs])

    def visit_Call(self, node: ast.Call) -> Any:
        function = transforms.find(attribute(node.func), self.text)
        if function.kind == "categorical":
            return self.categorical(function, node)
        arguments = [self.visit(argument) for argument in node.args]
        options = {str(option.arg): self.visit(option.value) for option in node.keywords}
        if function.name.endswith("where"):
            return self.where(function, arguments)
        if function.kind == "elementwise":
            return self.elementwise(function, arguments)
        if function.kind == "transform":
            arguments[0] = self.number(arguments[0])
        elif function.kind == "user":
            arguments = [self.number(a) if isinstance(a, np.ndarray) else a for a in arguments]
        if function.stateful:
            options["_state"] = self.state.setdefault(ast.unparse(node), {})
        return self.checked(self.call(function, arguments, options))

    def call(self, function: transforms.Function, arguments: list[Any], options: dict[str, Any]) -> Any:
        try:
            return function.call(*arguments, **options)
        except MixstatError:
            raise
        except Exception as error:
            hint = " Pass extrapolation='clip' or 'extend'." if "extrapolation" in str(error) else ""
            kind = DataError if hint else FormulaError
            raise kind(f"{self.text!r} cannot be evaluated on the data: {error}{hint}") from error

    def elementwise(self, function: transforms.Function, arguments: list[Any]) -> Any:
        is_condition = isinstance(arguments[0], np.ndarray) and arguments[0].dtype == bool
        if function.name == "I" and is_condition:
            return arguments[0]
        return function.call(*(self.number(argument) for argument in arguments))

    def where(self, function: transforms.Function, arguments: list[Any]) -> Any:
        condition = self.logical(arguments[0])
        texts = [_is_text(argument) for argument in arguments[1:]]
        if any(texts) and not all(texts):
            raise refuse(self.text, "where(condition, a, b) needs two numbers or two texts.")
        if all(texts):
            return np.where(condition, *(np.asarray(a, dtype=object) for a in arguments[1:]))
        return function.call(condition, *(self.number(a) for a in arguments[1:]))

    def checked(self, value: Any) -> Any:
        """A plain result of a transform has one entry (or one row) a row of the data."""
        plain = np.asarray(value) if isinstance(value, (np.ndarray, list, pd.Series, float, int)) else None
        if plain is None or hasattr(value, "__formulaic_metadata__"):
            return value
        if plain.ndim not in (1, 2) or plain.shape[0] != self.n_rows or plain.dtype.kind not in "fiub":
            raise refuse(self.text, f"not a column of {self.n_rows} numbers: {plain.dtype} {plain.shape}.")
        return plain.astype(np.float64, copy=False)

    def categorical(self, function: transforms.Function, node: ast.Call) -> Any:
        data = self.visit(node.args[0])
        if isinstance(data, np.ndarray) and data.shape == (self.n_rows,) and data.dtype.kind == "f":
            whole = data.astype(np.int64)
            data = whole if np.array_equal(whole, data) else data
        elif not (isinstance(data, (pd.Series, np.ndarray)) and data.shape == (self.n_rows,)):
            raise refuse(self.text, "C(...) takes one column.")
        if len(pd.unique(data)) > transforms.MAX_LEVELS:
            raise DataError(f"{self.text!r} has more than {transforms.MAX_LEVELS} levels; merge rare ones first.")
        arguments = [self.contrast(a) for a in node.args[1:]]
        options = {
            str(k.arg): self.contrast(k.value) if k.arg == "contrasts" else self.visit(k.value) for k in node.keywords
        }
        return self.call(function, [data, *arguments], options)

    def contrast(self, node: ast.expr) -> Any:
        """The contrast, made from constants."""
        inner = node if isinstance(node, ast.Call) else ast.Call(func=node, args=[], keywords=[])
        function = transforms.find(attribute(inner.func), self.text)
        options = {str(option.arg): self.visit(option.value) for option in inner.keywords}
        return self.call(function, [self.visit(argument) for argument in inner.args], options)


def _compare(text: str, n_rows: int, op: ast.cmpop, left: Any, right: Any) -> np.ndarray:
    """One comparison of columns and constants, as a column of booleans."""
    if _is_text(left) != _is_text(right):
        raise refuse(text, "a text and a number are compared; put the level in quotes, or remove the quotes.")
    result = np.asarray(_COMPARISONS[type(op)](left, right))
    if result.shape not in ((n_rows,), ()):
        raise refuse(text, "only single columns and constants can be compared.")
    return np.broadcast_to(result, (n_rows,)).astype(bool)


def _is_text(value: Any) -> bool:
    """Texts, and categories unless they are numbers."""
    if isinstance(value, pd.Series):
        return not pd.api.types.is_numeric_dtype(value.cat.categories.dtype)
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype == object)
