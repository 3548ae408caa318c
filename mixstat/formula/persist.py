"""A schema as plain data for JSON, and back; every formula passes the whitelist again when it is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mixstat.exceptions import FormulaError
from mixstat.formula.grammar import Factor, Right
from mixstat.formula.schema import Schema, Seen
from mixstat.formula.terms import parse_left
from mixstat.formula.whitelist import parse_expression

VERSION = 1
KEYS = frozenset(
    {"version", "formulas", "main", "rights", "keep_missing_response", "seen", "transforms", "encoders", "columns"}
)


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
        lefts = {key: parse_left(stored["formulas"][key]) for key in stored["main"]}
        rights = {str(key): _read_right(right) for key, right in stored["rights"].items()}
        schema = Schema(stored["formulas"], lefts, rights, bool(stored["keep_missing_response"]))
        schema.seen = {n: Seen(str(k), tuple(levels), bool(o)) for n, (k, levels, o) in stored["seen"].items()}
        schema.transforms, schema.encoders = _back(stored["transforms"]), _back(stored["encoders"])
        schema.columns = {key: (tuple(names), tuple(owners)) for key, (names, owners) in stored["columns"].items()}
    except (TypeError, KeyError, AttributeError, IndexError, ValueError) as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError(f"the stored schema is damaged: {error!r}.") from error
    if not set(schema.formulas) == set(rights) == set(schema.columns):
        raise FormulaError("the stored schema is damaged: formulas, right sides and columns differ.")
    return schema


def _right(right: Right) -> dict[str, Any]:
    return {
        "terms": [[[factor.text, factor.is_call] for factor in term] for term in right.terms],
        "offsets": [[factor.text, factor.is_call] for factor in right.offsets],
    }


def _read_right(stored: Mapping[str, Any]) -> Right:
    terms = tuple(tuple(_factor(*factor) for factor in term) for term in stored["terms"])
    return Right(terms, tuple(_factor(*factor) for factor in stored["offsets"]))


def _factor(text: Any, is_call: Any) -> Factor:
    if not isinstance(text, str) or not isinstance(is_call, bool):
        raise TypeError("a factor is a text and whether it is a call")
    if is_call:
        parse_expression(text)
    return Factor(text, is_call)


def _plain(value: Any) -> Any:
    """Arrays become {"array": ...}, dictionaries lists of pairs (their keys may be numbers)."""
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
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
    if "pairs" in value:
        return {_back(k): _back(v) for k, v in value["pairs"]}
    if "float" in value:
        return float(value["float"])
    dtype = np.dtype(str(value["dtype"]))
    if dtype.kind not in "fiub":
        raise TypeError("an array of numbers was expected")
    return np.array(value["array"], dtype=dtype)
