"""Responses: from a materialised left side to what a family encodes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixstat.core.family import Family
from mixstat.exceptions import DataError
from mixstat.families.survival import Survival
from mixstat.formula import Response
from mixstat.formula.frame import Table


class ResponseData(NamedTuple):
    """One response. A continuous family cannot reach an atom (the value of a point mass): its density there is 0.

    names    of its columns
    data     (m, row) as the family encodes it; a safe value where missing or at an atom
    values   (dimension, row) the response itself, also at atoms
    seen     (row,) observed
    at_atom  (row,) on an atom, where the family is continuous
    """

    names: tuple[str, ...]
    family: Family
    data: np.ndarray
    values: np.ndarray
    seen: np.ndarray
    at_atom: np.ndarray


def bind_family(family: Family, response: Response, weight: np.ndarray) -> Family:
    """The family made to fit this response's columns and levels, with the constants it needs of the sample."""
    levels = response.levels
    if family.coded and levels is None:
        values = response.values[~np.isnan(response.values)]
        levels = tuple(_plain(value) for value in np.unique(values))
    bound = family.specialize(response.names, levels)
    return bound if levels else bound.learnt(_values(bound, response), weight)


def require_order(family: Family, response: Response) -> None:
    """A family of ordered categories: two levels, numbers, and levels that were given an order have one."""
    levels = response.levels or ()
    if (
        not family.ordered
        or response.ordered
        or len(levels) <= 2
        or not any(isinstance(level, str) for level in levels)
    ):
        return
    name, shown = response.names[0], ", ".join(map(repr, levels[:4])) + (", ..." if len(levels) > 4 else "")
    raise DataError(
        f"the categories of {name!r} ({shown}) have no order; say which from low to high: "
        f"df[{name!r}] = pd.Categorical(df[{name!r}], [...], ordered=True)"
    )


def require_every_level(responses: Mapping[str, ResponseData], table: Any) -> None:
    """A level that an ordered categorical column declares, and no row used has, is not left out silently."""
    opened = Table(table)
    for response in distinct(responses):
        name = response.names[0]
        if not response.family.ordered or name not in opened.names:
            continue
        column = opened.column(name)
        missing = [level for level in column.levels if level not in response.family.categories]
        if column.ordered and missing:
            raise DataError(
                f"the response {name!r} declares the categories {', '.join(map(repr, missing))}, of which no row used "
                "has one, and a class that nobody is in has no cuts; leave them out "
                f"(df[{name!r}].cat.remove_unused_categories()) or merge them with a neighbour"
            )


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def encode_response(family: Family, response: Response, atoms: Sequence[float] = ()) -> ResponseData:
    """Encode a response; missing rows, and rows at an atom that the family cannot reach, are marked."""
    return _encoded(response.names, family, _values(family, response), atoms)


def redrawn(response: ResponseData, draws: np.ndarray, atoms: Sequence[float] = ()) -> ResponseData:
    """The response with other values (row, dimension), categories as codes; trials and missing rows stay."""
    data = response.family.redrawn(response.data, draws)
    if data is not None:
        return response._replace(data=data)
    values = draws[:, 0] if draws.shape[1] == 1 else draws.copy()
    if response.family.name == "binomial":
        values = np.column_stack([draws[:, 0], response.data[1]])
    values[~response.seen] = np.nan
    return _encoded(response.names, response.family, values, atoms)


def _encoded(names: tuple[str, ...], family: Family, values: np.ndarray, atoms: Sequence[float]) -> ResponseData:
    table = values[:, None] if values.ndim == 1 else values
    seen = ~np.isnan(table).any(axis=1)
    at_atom = np.zeros(len(values), dtype=bool)
    if atoms and not family.discrete:
        at_atom = np.any([(table == atom).all(axis=1) for atom in atoms], axis=0)
    hidden = at_atom | ~seen
    raw = values if not at_atom.any() else np.where(at_atom if values.ndim == 1 else at_atom[:, None], np.nan, values)
    data = np.array(family.encode(raw, ", ".join(names)))
    own = data[: family.dimension].copy()
    if hidden.any():
        data[:, hidden] = safe_data(family)
        own[:, at_atom] = table[at_atom, : family.dimension].T
    return ResponseData(names, family, data, own, seen, at_atom)


def safe_data(family: Family) -> np.ndarray:
    """(m, 1) an encoded response that is always valid."""
    value = np.full((1, family.dimension) if family.dimension > 1 else (1,), family.safe_value)
    return family.encode(value, "response")


def distinct(responses: Mapping[str, ResponseData]) -> list[ResponseData]:
    """The responses of the first expert template: every template models the same ones."""
    return [response for key, response in responses.items() if key.startswith("0.")]


def _values(family: Family, response: Response) -> np.ndarray:
    _require_times(family, response)
    if response.kind == "categorical":
        return _categorical_values(family, response)
    if family.coded:
        return _codes(family, response)
    if family.name == "binomial" and response.kind == "vector":
        return _successes_and_trials(response)
    if response.kind == "quotient" and family.name != "binomial":
        return _quotient(response)
    if len(response.names) > max(family.dimension, 1) and response.kind == "vector":
        raise DataError(
            f"family {family.name!r} has one response, but the left side gives {len(response.names)}: "
            f"{', '.join(response.names)}; use family='multivariate_gaussian', or ms.Joint of several regressions"
        )
    return response.values


def _require_times(family: Family, response: Response) -> None:
    """A survival time and a law of survival times belong together."""
    if (response.kind == "survival") != isinstance(family, Survival):
        hint = (
            "use ms.SurvivalRegression"
            if response.kind == "survival"
            else "write Surv(time, event) on the left side of '~'"
        )
        raise DataError(f"family {family.name!r} cannot model the response {response.names[0]!r}; {hint}")


def _successes_and_trials(response: Response) -> np.ndarray:
    if response.values.shape[1] != 2:
        raise DataError(
            f"family 'binomial' takes cbind(successes, failures), but the left side gives {len(response.names)} "
            f"columns: {', '.join(response.names)}; use family='categorical' for several categories"
        )
    successes, failures = response.values.T
    return np.column_stack([successes, successes + failures])


def _quotient(response: Response) -> np.ndarray:
    numerator, denominator = response.values.T
    if (denominator == 0).any():
        raise DataError(
            f"column '{response.names[1]}' divides the response and is 0 in {(denominator == 0).sum()} rows"
        )
    return numerator / denominator


def _categorical_values(family: Family, response: Response) -> np.ndarray:
    if family.coded:
        return response.values
    levels = response.levels or ()
    if family.name == "binomial" and len(levels) <= 2:
        return response.values
    shown = ", ".join(map(str, levels[:4])) + (", ..." if len(levels) > 4 else "")
    raise DataError(
        f"column '{response.names[0]}' holds categories ({shown}), which family {family.name!r} cannot model; "
        "use family='categorical', or convert it with pandas.to_numeric"
    )


def _codes(family: Family, response: Response) -> np.ndarray:
    """Codes of a numeric response of a family of categories."""
    if response.values.ndim > 1:
        raise DataError(f"family {family.name!r} has one response, but the left side gives {', '.join(response.names)}")
    levels = np.array(family.categories, dtype=float)
    codes = np.searchsorted(levels, response.values).clip(max=len(levels) - 1).astype(float)
    known = (levels[codes.astype(int)] == response.values) | np.isnan(response.values)
    if not known.all():
        raise DataError(
            f"column '{response.names[0]}' holds the category {response.values[~known][0]:g}, unseen in fit; "
            f"expected one of {list(family.categories)}"
        )
    return np.where(np.isnan(response.values), np.nan, codes)
