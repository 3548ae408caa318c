"""What may stand left of '~': one column, a call of one, cbind(a, b), successes / trials, ordered(y), Surv(t, event);
parallel(a, b), outcomes of which some may be missing, is what `ms.Joint` makes of several growth curves; waves(a, b),
of which all may be, so that a row keeps its place in time, of those whose waves are numbered.

To add a kind of response: a name in `transforms.RESPONSES`, a case in `parse_left`, a builder in `BUILDERS`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from mixstat.exceptions import DataError, FormulaError
from mixstat.formula.evaluate import State, missing_inputs, numeric
from mixstat.formula.frame import Column
from mixstat.formula.grammar import Factor, make_factor
from mixstat.formula.left import Left, Response
from mixstat.formula.lexer import Token, error, sides
from mixstat.formula.survival import build_survival, parse_survival
from mixstat.formula.transforms import MAX_LEVELS, RESPONSES
from mixstat.formula.whitelist import attribute, parse_expression

MAX_RESPONSES = 100


@lru_cache(maxsize=512)
def parse_left(source: str) -> Left:
    """The checked left side of a two-sided formula."""
    tokens = sides(source).left
    if tokens is None:
        raise error(source, "a response is missing left of '~'; write 'y ~ x'.")
    operators = [token.text for token in tokens if token.kind == "op"]
    if operators == ["/"] and len(tokens) == 3 and "op" not in (tokens[0].kind, tokens[2].kind):
        return Left("quotient", (_part(source, tokens[0]), _part(source, tokens[2])))
    if len(tokens) > 1:
        hint = "one column, a function of one such as log(y), cbind(a, b) or successes / trials"
        raise error(source, f"the left side is {hint}; several outcomes go into several formulas.", tokens[1].position)
    name = tokens[0].text.split("(", 1)[0] if tokens[0].kind == "call" else ""
    return _call(source, tokens[0].text) if name in RESPONSES else Left("column", (_part(source, tokens[0]),))


def _part(source: str, token: Token) -> Factor:
    if token.kind == "name":
        return Factor(token.text, False)
    if token.kind != "call" or token.text.startswith("offset("):
        raise error(source, f"{token.text!r} cannot be a response.", token.position)
    return make_factor(token.text)


def _call(source: str, text: str) -> Left:
    node = parse_expression(text, left=True).node
    assert isinstance(node, ast.Call)
    name = attribute(node.func)
    if name == "Surv":
        return parse_survival(source, node)
    parts = tuple(make_factor(ast.unparse(argument)) for argument in node.args)
    if node.keywords or not 1 <= len(parts) <= (1 if name == "ordered" else MAX_RESPONSES):
        raise error(source, "write cbind(a, b) with up to 100 columns, or ordered(y) with one.")
    everywhere = tuple(dict.fromkeys(v for part in parts for v in part.variables)) if name == "waves" else ()
    return Left(name, parts, open=everywhere)


def build(left: Left, columns: Mapping[str, Column], n_rows: int, state: State) -> Response:
    """The response on the rows given, read-only (it may be the data's own memory); missing entries are NaN."""
    response = BUILDERS[left.form](left, columns, n_rows, state)
    values = response.values.view()
    values.flags.writeable = False
    return replace(response, values=values)


def _numbers(part: Factor, columns: Mapping[str, Column], n_rows: int, state: State) -> np.ndarray:
    """One column of numbers; NaN where its inputs are missing."""
    if part.is_call:
        values = numeric(part.text, _blanked(part, columns), n_rows, state)
        missing = missing_inputs(part.text, columns)
        return values if missing is None else np.where(missing, np.nan, values)
    column = columns[part.text]
    if column.kind == "level":
        raise DataError(f"column {part.text!r} holds texts or categories; a response of this form needs numbers.")
    return column.numbers()


def _blanked(part: Factor, columns: Mapping[str, Column]) -> dict[str, Column]:
    """The part's columns with NaN where missing, so that functions of them are missing there too."""
    used = {name: columns[name] for name in part.variables}
    return {
        name: c if c.missing is None or c.kind == "level" else Column("number", c.numbers(), c.missing)
        for name, c in used.items()
    }


def _column(left: Left, columns: Mapping[str, Column], n_rows: int, state: State) -> Response:
    part = left.parts[0]
    if part.is_call or columns[part.text].kind == "number":
        return Response("numeric", (part.text,), _numbers(part, columns, n_rows, state))
    column = columns[part.text]
    if column.kind == "flag":
        column = Column("level", column.values.astype(np.intp), column.missing, (False, True))
    return _codes(part.text, column)


def _codes(name: str, column: Column) -> Response:
    if len(column.levels) > MAX_LEVELS:
        raise DataError(f"the response {name!r} has {len(column.levels)} levels, more than {MAX_LEVELS}.")
    values = column.values.astype(np.float64)
    if column.missing is not None:
        values[column.missing] = np.nan
    return Response("categorical", (name,), values, column.levels, column.ordered)


def _cbind(left: Left, columns: Mapping[str, Column], n_rows: int, state: State) -> Response:
    values = np.stack([_numbers(part, columns, n_rows, state) for part in left.parts], axis=1)
    return Response("vector", tuple(part.text for part in left.parts), values)


def _quotient(left: Left, columns: Mapping[str, Column], n_rows: int, state: State) -> Response:
    vector = _cbind(left, columns, n_rows, state)
    return Response("quotient", vector.names, vector.values)


def _ordered(left: Left, columns: Mapping[str, Column], n_rows: int, state: State) -> Response:
    """Numbers in their order, categories in that of the column; texts have none."""
    part = left.parts[0]
    if part.is_call:
        raise FormulaError(f"ordered(...) takes a column, got {part.text!r}.")
    column = columns[part.text]
    if column.sorted_by_us and len(column.levels) > 2:
        hint = f"df[{part.text!r}] = pd.Categorical(df[{part.text!r}], [...], ordered=True)"
        raise DataError(f"the texts of {part.text!r} have no order; say which: {hint}.")
    if column.kind != "level":
        found = state.setdefault(f"ordered({part.text})", {})
        column = _rank(column, found)
    response = _codes(part.text, column)
    return Response(response.kind, response.names, response.values, response.levels, True)


def _rank(column: Column, found: dict[str, Any]) -> Column:
    observed = column.values if column.missing is None else column.values[~column.missing]
    levels = found.setdefault("levels", np.unique(observed).tolist())
    codes = np.clip(np.searchsorted(levels, column.values), 0, len(levels) - 1)
    unknown = np.asarray(levels)[codes] != column.values
    if column.missing is not None:
        unknown &= ~column.missing
    if unknown.any():
        raise DataError(f"{int(unknown.sum())} rows of the response hold values that were not there in fit.")
    return Column("level", codes, column.missing, tuple(levels), True)


BUILDERS: dict[str, Callable[[Left, Mapping[str, Column], int, State], Response]] = {
    "column": _column,
    "cbind": _cbind,
    "parallel": _cbind,
    "waves": _cbind,
    "quotient": _quotient,
    "ordered": _ordered,
    "Surv": build_survival,
}
