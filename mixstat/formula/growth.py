"""The right side of a growth formula: one curve of time, and covariates measured at every occasion."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, NamedTuple

from mixstat.exceptions import FormulaError
from mixstat.formula.lexer import Token, error, sides
from mixstat.formula.transforms import FUNCTIONS, HINTS, RESERVED


class GrowthFormula(NamedTuple):
    """`response` and `time` as written; the curve's name (None: covariates alone), options, and the rest of the terms.

    `rest` is a right side: "0 + absences", or "time + x" where there is no curve.
    """

    response: str
    curve: str | None
    time: str | None
    options: dict[str, Any]
    rest: str


def split_curve(source: str, curves: Sequence[str]) -> GrowthFormula:
    """Take the curve, a call of one of `curves`, out of a formula such as "math ~ bilinear(grade) + absences"."""
    left, right = sides(source).left, sides(source).right
    if left is None:
        raise error(source, "a response is missing left of '~'; write 'math ~ bilinear(grade)'.")
    response = " ".join(_spelled(token) for token in left)
    places = [i for i, token in enumerate(right) if token.kind == "call" and token.text.split("(")[0] in curves]
    if not places:
        _require_known(source, right, curves)
        return GrowthFormula(response, None, None, {}, " ".join(_spelled(token) for token in right))
    if len(places) > 1:
        raise error(source, "one growth curve a formula; covariates stand beside it.", right[places[1]].position)
    place = places[0]
    others = _without(source, right, place)
    name = right[place].text.split("(")[0]
    time, options = _arguments(source, right[place])
    return GrowthFormula(response, name, time, options, " ".join(["0", *others]))


def _require_known(source: str, right: Sequence[Token], curves: Sequence[str]) -> None:
    """A formula without a curve calls transforms alone."""
    for token in right:
        name = token.text.split("(")[0]
        if token.kind == "call" and name.isidentifier() and name not in {*FUNCTIONS, *HINTS, *RESERVED}:
            message = f"{name!r} is neither a growth curve ({', '.join(curves)}) nor a registered function."
            raise error(source, message, token.position)


def _without(source: str, right: Sequence[Token], place: int) -> list[str]:
    """The other terms, each with the sign before it."""
    before = right[place - 1].text if place else "+"
    after = right[place + 1].text if place + 1 < len(right) else "+"
    depth = sum(token.text == "(" for token in right[:place]) - sum(token.text == ")" for token in right[:place])
    if before != "+" or after not in ("+", "-") or depth:
        raise error(source, "a growth curve stands alone, added with '+' to covariates.", right[place].position)
    first = [_spelled(token) for token in right[: max(place - 1, 0)]]
    rest = [_spelled(token) for token in right[place + 1 :]]
    return [*(["+", *first] if first else []), *rest]


def _spelled(token: Token) -> str:
    return f"`{token.text}`" if token.kind == "name" and not token.text.replace(".", "_").isidentifier() else token.text


def _arguments(source: str, call: Token) -> tuple[str, dict[str, Any]]:
    """The time expression, and the constant keyword arguments: bilinear(grade), polynomial(t, degree=3)."""
    if "`" in call.text:
        return call.text[call.text.index("(") + 1 : -1].strip(), {}
    try:
        node = ast.parse(call.text, mode="eval").body
    except SyntaxError:
        raise error(source, f"{call.text!r} cannot be read; write bilinear(time).", call.position) from None
    if not isinstance(node, ast.Call) or len(node.args) != 1:
        raise error(source, f"{call.text!r} needs one column of times, as in bilinear(time).", call.position)
    options = {keyword.arg or "**": keyword.value for keyword in node.keywords}
    for name, value in options.items():
        if not isinstance(value, ast.Constant) or not isinstance(value.value, int):
            raise error(source, f"argument {name!r} of {call.text!r} must be a whole number.", call.position)
    return ast.unparse(node.args[0]), {name: ast.literal_eval(value) for name, value in options.items()}


def time_formula(time: str) -> str:
    """The one-sided formula of the times: a column, or arithmetic of columns."""
    plain = time.startswith("`") or time.replace(".", "_").isidentifier() or "(" in time
    return f"~ 0 + {time}" if plain else f"~ 0 + I({time})"


def random_terms(text: str) -> list[str]:
    """Names joined by '+'."""
    if not isinstance(text, str):
        raise FormulaError(f"random= must be a text such as '1 + time', got {type(text).__name__}")
    names = [name.strip() for name in text.lstrip("~ ").split("+") if name.strip()]
    if not names:
        raise FormulaError("random= names nothing; write 'none' for a model without random coefficients")
    return names
