"""Design of a study: its scenarios, their true values, and how both are written down to be recognised."""

import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.exceptions import OptionError
from mixstat.studies.estimates import KEYS, VALUES, Key, keys_of, name_of, parse_key

OF_RUNS = ("scenario", "replicate", "method", "truth", "converged", "status", "order", "seconds", "error")
OF_MEASURES = ("measure", "value", "mcse", "n_replicates", "excluded")
RESERVED = frozenset([*KEYS, *VALUES, *OF_RUNS, *OF_MEASURES])
"""Columns of the study's tables."""


class Truth(NamedTuple):
    """True values; `keys` is None where they are in the order of the fit's table."""

    values: tuple[float, ...]
    keys: tuple[Key, ...] | None

    def align(self, keys: Sequence[Key]) -> np.ndarray:
        """(row,) the true value of every row of a table, NaN where none is known."""
        if self.keys is None:
            if len(keys) != len(self.values):
                raise OptionError(f"truth has {len(self.values)} values, the fit {len(keys)} parameters: {_some(keys)}")
            return np.array(self.values)
        known = dict(zip(self.keys, self.values, strict=True))
        found = np.array([known.get(key, np.nan) for key in keys])
        if len(keys) and np.isnan(found).all():
            raise OptionError(f"no estimate has a true value: truth names {_some(self.keys)}, the fit {_some(keys)}")
        return found


def _some(keys: Sequence[Key]) -> str:
    return ", ".join(repr(name_of(key)) for key in keys[:8]) + (", ..." if len(keys) > 8 else "")


def expand_scenarios(scenarios: Any) -> list[dict[str, Any]]:
    """All combinations of a mapping of lists (the last varies fastest), a list of mappings, or one empty scenario."""
    if scenarios is None:
        return [{}]
    if isinstance(scenarios, Mapping):
        lists = {name: _as_list(name, values) for name, values in scenarios.items()}
        expanded = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    elif isinstance(scenarios, list | tuple) and scenarios and all(isinstance(s, Mapping) for s in scenarios):
        expanded = [dict(scenario) for scenario in scenarios]
    else:
        raise OptionError(f"scenarios must be a mapping of lists or a list of mappings, got {scenarios!r}")
    for name in {name for scenario in expanded for name in scenario}:
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
            raise OptionError(f"scenarios holds {name!r}; expected an argument's name that is no column of results")
    forms = [describe(scenario) for scenario in expanded]
    if len(set(map(json.dumps, forms))) < len(forms):
        raise OptionError("scenarios holds one scenario twice; replicates= says how often each is repeated")
    return expanded


def _as_list(name: str, values: Any) -> list:
    if isinstance(values, str | Mapping) or not hasattr(values, "__iter__"):
        raise OptionError(f"scenarios[{name!r}] must be a list of values, got {values!r}; write [{values!r}]")
    listed = list(values)
    if not listed:
        raise OptionError(f"scenarios[{name!r}] is empty")
    return listed


def describe(value: Any) -> Any:
    """A value as JSON can hold it, the same in every run. Raises OptionError where it has no stable form."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): describe(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [describe(inner) for inner in value]
    if callable(value) or " at 0x" in repr(value):
        raise OptionError(
            f"a scenario holds {value!r}, which cannot be recognised in another run; give a name (a string or a "
            "number) and look the object up inside simulate and fit"
        )
    return repr(value)


def read_truth(truth: Any, scenario: Mapping[str, Any]) -> Truth:
    """True values of a scenario from a function of it, a mapping, a table (value, or estimate) or an array."""
    given = truth(**scenario) if callable(truth) else truth
    keys: list[Key] | None = None
    if isinstance(given, pd.DataFrame):
        column = "value" if "value" in given else "estimate"
        if column not in given or "parameter" not in given:
            raise OptionError(f"truth's table needs the columns parameter and value; it has {list(given.columns)}")
        keys, values = keys_of(given), given[column].to_numpy(float)
    elif isinstance(given, pd.Series | Mapping):
        given = dict(given)
        keys, values = [parse_key(name) for name in given], np.array(list(given.values()), dtype=float)
    elif isinstance(given, list | tuple | np.ndarray) and len(given):
        values = np.asarray(given, dtype=float).ravel()
    else:
        raise OptionError(f"truth must be a mapping, a table, an array or a function of the scenario, got {given!r}")
    if not np.isfinite(values).all():
        raise OptionError(f"truth holds a value that is not finite: {values}")
    return Truth(tuple(map(float, values)), None if keys is None else tuple(keys))


class Design(NamedTuple):
    """What decides the figures of a study beside its functions."""

    seed: int
    scenarios: list[dict[str, Any]]
    truths: list[Truth]

    def document(self) -> dict[str, Any]:
        """The design as JSON holds it."""
        truths = [
            {"names": None if t.keys is None else [name_of(key) for key in t.keys], "values": list(t.values)}
            for t in self.truths
        ]
        return {"seed": self.seed, "scenarios": [describe(s) for s in self.scenarios], "truth": truths}

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """In what another design's document differs; true values may differ by rounding."""
        mine = self.document()
        changed = [name for name in ("seed", "scenarios") if mine[name] != other.get(name)]
        theirs = other.get("truth", [])
        same = len(theirs) == len(mine["truth"]) and all(map(_same_truth, mine["truth"], theirs))
        return changed if same else [*changed, "truth"]


def _same_truth(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (
        one["names"] == other["names"]
        and len(one["values"]) == len(other["values"])
        and bool(np.allclose(one["values"], other["values"], rtol=1e-5, atol=1e-8))
    )
