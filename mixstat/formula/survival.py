"""The left side of survival models: Surv(time, event), Surv(entry, time, event), Surv(lower, upper, type='interval').

    Surv(time)                             every time is that of an event
    Surv(time, event)                      event 1 (True): seen at `time`; 0: not yet then (type='left': before then)
    Surv(entry, time, event)               at risk, and seen, from `entry` on
    Surv(lower, upper, type='interval')    in (lower, upper]; equal: at that time; lower 0 or missing: before `upper`;
                                           upper infinite or missing: after `lower`
    Surv(entry, lower, upper, type='interval')    the same of those at risk from `entry` on

`background='column'` is a known hazard at the time of the event. What comes out is (entry, lower, upper, background).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np

from mixstat.exceptions import DataError
from mixstat.formula.evaluate import State, evaluate, missing_inputs
from mixstat.formula.frame import Column
from mixstat.formula.grammar import Factor, make_factor
from mixstat.formula.left import Left, Response
from mixstat.formula.lexer import error

EVENTS = ("event", "seen")
ROLES = {
    (1, "right"): ("time",),
    (2, "right"): ("time", "event"),
    (2, "left"): ("time", "seen"),
    (2, "interval"): ("lower", "upper"),
    (3, "counting"): ("entry", "time", "event"),
    (3, "interval"): ("entry", "lower", "upper"),
}
"""What the arguments are, by their number and `type`; the first type of a number is its default."""
ALIASES = {"interval2": "interval"}


def parse_survival(source: str, node: ast.Call) -> Left:
    """The checked left side."""
    options = {str(option.arg): _text(source, option) for option in node.keywords}
    if unknown := set(options) - {"type", "background"}:
        raise error(source, f"Surv takes type= and background=, not {sorted(unknown)[0]}=.")
    known = [kind for count, kind in ROLES if count == len(node.args)]
    if not known:
        raise error(source, "write Surv(time, event), Surv(entry, time, event) or Surv(lower, upper, type='interval').")
    kind = options.get("type", known[0])
    kind = ALIASES.get(kind, kind)
    if kind not in known:
        raise error(source, f"Surv with {len(node.args)} arguments has type {' or '.join(known)}, got {kind!r}.")
    written = [ast.unparse(argument) for argument in node.args]
    plain = [isinstance(argument, ast.Name | ast.Call) for argument in node.args]
    parts = [make_factor(text if bare else f"I({text})") for text, bare in zip(written, plain, strict=True)]
    bounds = tuple(dict.fromkeys(n for part in parts[-2:] for n in part.variables)) if kind == "interval" else ()
    roles = ROLES[len(parts), kind]
    title = f"Surv({', '.join(written)})"
    if "background" in options:
        parts.append(make_factor(options["background"]))
        roles = (*roles, "background")
    return Left("Surv", tuple(parts), infinite=bounds, open=bounds, roles=roles, title=title)


def _text(source: str, option: ast.keyword) -> str:
    if not (isinstance(option.value, ast.Constant) and isinstance(option.value.value, str)):
        raise error(source, f"Surv takes {option.arg}= as a text, for example {option.arg}='interval'.")
    return option.value.value


def build_survival(left: Left, columns: Mapping[str, Column], n_rows: int, state: State) -> Response:
    """The response, (row, 4); NaN in rows where it is missing."""
    found: dict[str, np.ndarray] = {}
    for role, part in zip(left.roles, left.parts, strict=True):
        found[role] = _event(part, columns, n_rows, state) if role in EVENTS else _time(part, columns, n_rows, state)
    zero = np.zeros(n_rows)
    lower, upper = _bounds(found)
    values = np.column_stack([found.get("entry", zero), lower, upper, found.get("background", zero)])
    values[np.isnan(values).any(axis=1)] = np.nan
    return Response("survival", left.names, values)


def _bounds(found: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if "lower" in found:
        lower, upper = found["lower"], found["upper"]
        nothing = np.isnan(lower) & np.isnan(upper)
        lower = np.where(np.isnan(lower) | np.isneginf(lower), 0.0, lower)
        return np.where(nothing, np.nan, lower), np.where(np.isnan(upper), np.inf, upper)
    time = found["time"]
    if "seen" in found:
        return np.where(found["seen"] == 1, time, 0.0 * found["seen"]), time
    return time, np.where(found.get("event", np.ones(len(time))) == 0, np.inf, time + 0.0 * found.get("event", 0.0))


def _value(part: Factor, columns: Mapping[str, Column], n_rows: int, state: State) -> np.ndarray:
    """The column or expression, booleans as 0 and 1, NaN where an input is missing."""
    if part.is_call:
        value = np.asarray(evaluate(part.text, columns, n_rows, state))
        if value.shape != (n_rows,) or value.dtype.kind not in "fiub":
            raise DataError(f"{part.text!r} has to give one column of numbers.")
        missing = missing_inputs(part.text, columns)
        return value.astype(float) if missing is None else np.where(missing, np.nan, value.astype(float))
    return columns[part.text].numbers()


def _time(part: Factor, columns: Mapping[str, Column], n_rows: int, state: State) -> np.ndarray:
    if not part.is_call and columns[part.text].kind == "level":
        raise DataError(f"column {part.text!r} holds texts or categories; a time is a number: use pandas.to_numeric.")
    return _value(part, columns, n_rows, state)


def _event(part: Factor, columns: Mapping[str, Column], n_rows: int, state: State) -> np.ndarray:
    """1 where the event was seen, 0 where not."""
    column = None if part.is_call else columns[part.text]
    if column is not None and column.kind == "level":
        level = column.levels[-1] if column.levels else "yes"
        raise DataError(
            f"the event {part.text!r} holds texts or categories ({', '.join(map(repr, column.levels[:4]))}); say which "
            f"of them is the event: {part.text} == {level!r}."
        )
    value = _value(part, columns, n_rows, state)
    seen = np.unique(value[~np.isnan(value)])
    if not np.isin(seen, (0.0, 1.0)).all():
        shown = ", ".join(f"{v:g}" for v in seen[:5]) + (", ..." if len(seen) > 5 else "")
        raise DataError(
            f"the event {part.text!r} is coded {shown}; expected 1 (or True) where it was seen and 0 where not: say "
            f"which value is the event, as in {part.text} == {seen[-1]:g}."
        )
    return value
