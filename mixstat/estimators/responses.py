"""Responses: from a materialised left side to what a family encodes."""

import numpy as np

from mixstat.core.family import Family
from mixstat.estimators.extras import ResponseData
from mixstat.exceptions import DataError
from mixstat.formula import Response


def bind_family(family: Family, response: Response) -> Family:
    """The family made to fit this response's columns and levels."""
    levels = response.levels
    if family.name == "categorical" and levels is None:
        values = response.values[~np.isnan(response.values)]
        levels = tuple(_plain(value) for value in np.unique(values))
    return family.specialize(response.names, levels)


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def encode_response(family: Family, response: Response, atoms: tuple[float, ...] = ()) -> ResponseData:
    """Encode a response; missing rows (and rows at an atom) get a safe value and are marked."""
    values = _values(family, response)
    name = ", ".join(response.names)
    seen = ~(np.isnan(values) if values.ndim == 1 else np.isnan(values).any(axis=1))
    raw = values
    at_atom = np.zeros(len(values), dtype=bool)
    if atoms and not family.discrete:
        at_atom = np.isin(values if values.ndim == 1 else values[:, 0], atoms)
        raw = np.where(at_atom if values.ndim == 1 else at_atom[:, None], np.nan, values)
    data = family.encode(raw, name)
    if not seen.all():
        data[:, ~seen] = safe_data(family)
    if at_atom.any():
        data[:, at_atom] = safe_data(family)
        data[: family.dimension, at_atom] = np.atleast_2d(values[at_atom].T)
    return ResponseData(family, data, seen)


def safe_data(family: Family) -> np.ndarray:
    """(m, 1) an encoded response that is always valid."""
    value = np.full((1, family.dimension) if family.dimension > 1 else (1,), family.safe_value)
    return family.encode(value, "response")


def _values(family: Family, response: Response) -> np.ndarray:
    if response.kind == "categorical":
        return _categorical_values(family, response)
    if family.name == "categorical":
        return _codes(family, response)
    if family.name == "binomial" and response.kind == "vector":
        successes, failures = response.values.T
        return np.column_stack([successes, successes + failures])
    if response.kind == "quotient" and family.name != "binomial":
        return response.values[:, 0] / response.values[:, 1]
    if response.kind == "vector" and family.dimension == 1:
        raise DataError(
            f"family {family.name!r} has one response, but the left side gives {len(response.names)}: "
            f"{', '.join(response.names)}; use family='multivariate_gaussian', or ms.Joint of several regressions"
        )
    return response.values


def _categorical_values(family: Family, response: Response) -> np.ndarray:
    if family.name == "categorical":
        return response.values
    levels = response.levels or ()
    if family.name == "binomial" and len(levels) <= 2:
        return response.values
    raise DataError(
        f"column '{response.names[0]}' holds categories ({', '.join(map(str, levels[:4]))}...), which family "
        f"{family.name!r} cannot model; use family='categorical', or convert it with pandas.to_numeric"
    )


def _codes(family: Family, response: Response) -> np.ndarray:
    """Codes of a numeric response of a categorical family."""
    levels = np.array(family.categories, dtype=float)
    codes = np.searchsorted(levels, response.values).clip(max=len(levels) - 1).astype(float)
    known = (levels[codes.astype(int)] == response.values) | np.isnan(response.values)
    if not known.all():
        raise DataError(
            f"column '{response.names[0]}' holds the category {response.values[~known][0]:g}, unseen in fit; "
            f"expected one of {list(family.categories)}"
        )
    return np.where(np.isnan(response.values), np.nan, codes)
