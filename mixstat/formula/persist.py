"""A schema as plain data for JSON, and back: every formula is parsed and passes the whitelist again when it is read.

What is stored beside the formulas (levels, states of transforms, names of columns) is held against what they say.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

import numpy as np

from mixstat.exceptions import FormulaError
from mixstat.formula import transforms
from mixstat.formula.grammar import Factor, Right, label, parse_right
from mixstat.formula.left import Left
from mixstat.formula.lexer import uses_dot
from mixstat.formula.schema import Schema, Seen
from mixstat.formula.terms import parse_left
from mixstat.formula.whitelist import attribute, parse_expression

VERSION = 1
KEYS = frozenset(
    {"version", "formulas", "main", "rights", "keep_missing_response", "seen", "transforms", "encoders", "columns"}
)
KINDS = ("number", "flag", "level")


def to_dict(schema: Schema) -> dict[str, Any]:
    """Plain dictionaries, lists, texts and numbers; `json.dumps` keeps them to the bit."""
    return {
        "version": VERSION,
        "formulas": dict(schema.formulas),
        "main": list(schema.lefts),
        "rights": {key: _right(right) for key, right in schema.rights.items()},
        "keep_missing_response": schema.keep_missing_response,
        "seen": {name: [seen.kind, list(seen.levels), seen.ordered] for name, seen in schema.seen.items()},
        "transforms": _plain(schema.transforms),
        "encoders": _plain(schema.encoders),
        "columns": {key: [list(names), list(owners)] for key, (names, owners) in schema.columns.items()},
    }


def from_dict(stored: Mapping[str, Any]) -> Schema:
    """The schema that `to_dict` wrote; FormulaError when the data are not of that form or a formula is refused."""
    if not isinstance(stored, Mapping) or set(stored) != KEYS or stored["version"] != VERSION:
        raise FormulaError(f"not a stored schema of version {VERSION}.")
    try:
        schema = _formulas(stored)
        schema.seen = {name: _seen(*seen) for name, seen in stored["seen"].items()}
        schema.transforms, schema.encoders = _back(stored["transforms"]), _back(stored["encoders"])
        schema.columns = {key: (tuple(names), tuple(owners)) for key, (names, owners) in stored["columns"].items()}
        _check_seen(schema)
        _check_states(schema)
        _check_encoders(schema)
        _check_columns(schema)
    except (TypeError, KeyError, AttributeError, IndexError, ValueError, RecursionError) as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError(f"the stored schema is damaged: {error!r}.") from error
    return schema


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise FormulaError(f"the stored schema is damaged: {complaint}.")


def _texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _formulas(stored: Mapping[str, Any]) -> Schema:
    """Formulas parsed anew; only for one with '.' the stored terms say what it stands for."""
    formulas, main, keep = dict(stored["formulas"]), list(stored["main"]), stored["keep_missing_response"]
    _require(_texts(formulas.values()) and isinstance(keep, bool), "a formula is no text")
    _require(main == list(formulas)[: len(main)] != [], "the two-sided formulas do not come first")
    lefts = {key: parse_left(formulas[key]) for key in main}
    rights = {key: _read_right(right) for key, right in stored["rights"].items()}
    _require(list(rights) == list(formulas), "formulas and right sides differ")
    for key, right in rights.items():
        same = uses_dot(formulas[key]) or parse_right(formulas[key]) == right
        _require(same, f"the terms of {key!r} are not those of its formula")
    return Schema(formulas, lefts, rights, keep)


def _right(right: Right) -> dict[str, Any]:
    return {
        "terms": [[[factor.text, factor.is_call] for factor in term] for term in right.terms],
        "offsets": [[factor.text, factor.is_call] for factor in right.offsets],
    }


def _read_right(stored: Mapping[str, Any]) -> Right:
    _require(set(stored) == {"terms", "offsets"}, "a right side holds terms and offsets")
    terms = tuple(tuple(_factor(*factor) for factor in term) for term in stored["terms"])
    return Right(terms, tuple(_factor(*factor) for factor in stored["offsets"]))


def _factor(text: Any, is_call: Any) -> Factor:
    if not isinstance(text, str) or not isinstance(is_call, bool):
        raise TypeError("a factor is a text and whether it is a call")
    if is_call:
        parse_expression(text)
    return Factor(text, is_call)


def _seen(kind: Any, levels: Any, ordered: Any) -> Seen:
    _require(kind in KINDS and isinstance(ordered, bool) and isinstance(levels, list), "the kind of a column")
    _check_levels(levels)
    _require(kind == "level" or not levels, "a column of numbers has levels")
    return Seen(kind, tuple(levels), ordered)


def _check_levels(levels: Any) -> None:
    plain = isinstance(levels, list) and all(isinstance(v, str | bool | int | float) for v in levels)
    _require(plain, "levels are texts, numbers or booleans")
    _require(len(set(levels)) == len(levels), "a level stands twice")


def _factors(schema: Schema) -> list[Factor]:
    """Of all right sides, with their offsets."""
    terms = (factor for right in schema.rights.values() for term in right.terms for factor in term)
    return [*terms, *(factor for right in schema.rights.values() for factor in right.offsets)]


def _check_seen(schema: Schema) -> None:
    sides: list[Left | Right] = [*schema.rights.values(), *schema.lefts.values()]
    used = {name for side in sides for name in side.variables}
    _require(set(schema.seen) == used, "the columns seen are not those of the formulas")


def _check_states(schema: Schema) -> None:
    """One state for each call of a stateful function, filled where the function is the package's own."""
    lefts = [part for left in schema.lefts.values() for part in left.parts]
    ranked = {
        f"ordered({part.text})" for left in schema.lefts.values() for part in left.parts if left.form == "ordered"
    }
    calls = {text: name for factor in [*_factors(schema), *lefts] for text, name in _stateful(factor)}
    states = schema.transforms
    known = isinstance(states, dict) and set(calls) <= set(states) <= {*calls, *ranked}
    _require(known and all(isinstance(state, dict) for state in states.values()), "the states of the transforms")
    for text, name in calls.items():
        optional = name == "poly" or transforms.FUNCTIONS[name].kind == "user"
        _require(optional or bool(states[text]), f"{text!r} has no state")


def _stateful(factor: Factor) -> list[tuple[str, str]]:
    """(text, function) of the calls within a factor that keep a state."""
    if not factor.is_call:
        return []
    calls = [node for node in ast.walk(parse_expression(factor.text).node) if isinstance(node, ast.Call)]
    found = [(ast.unparse(call), attribute(call.func)) for call in calls]
    return [
        (text, name) for text, name in found if name in transforms.FUNCTIONS and transforms.FUNCTIONS[name].stateful
    ]


def _check_encoders(schema: Schema) -> None:
    factors = {factor.text for factor in _factors(schema)}
    _require(isinstance(schema.encoders, dict) and set(schema.encoders) <= factors, "the encoders are not of its terms")
    for kind, levels in schema.encoders.values():
        _require(kind == "categorical", f"an encoder of kind {kind!r}")
        _check_levels(levels)


def _check_columns(schema: Schema) -> None:
    """Names are unique texts, and belong to the terms in their order."""
    _require(list(schema.columns) == list(schema.rights), "formulas and columns differ")
    for key, (names, owners) in schema.columns.items():
        wanted = [label(term) for term in schema.rights[key].terms]
        unique = _texts(names) and len(set(names)) == len(names) == len(owners)
        _require(unique and [owner for owner, _ in groupby(owners)] == wanted, f"the columns of {key!r}")


def _plain(value: Any) -> Any:
    """Arrays become {"array": ...}, dictionaries lists of pairs (their keys may be numbers)."""
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {"array": _plain(value.ravel().tolist()), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    raise FormulaError(f"the state of a transform holds {type(value).__name__}, which cannot be stored.")


def _back(value: Any) -> Any:
    if isinstance(value, list):
        return [_back(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"pairs"}:
        return {_back(k): _back(v) for k, v in value["pairs"]}
    if set(value) == {"float"}:
        return float(value["float"])
    return _array(**value)


def _array(array: Any, dtype: Any, shape: Any) -> np.ndarray:
    kind = np.dtype(str(dtype))
    if kind.kind not in "fiub":
        raise TypeError("an array of numbers was expected")
    return np.array(_back(array), dtype=kind).reshape(shape)
