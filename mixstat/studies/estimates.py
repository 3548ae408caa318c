"""Estimates: what a study keeps of a fit, whatever program made it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.model.report import labels_of, usual_covariance
from mixstat.exceptions import OptionError
from mixstat.results import tables

KEYS = ("expert", "parameter", "term")
VALUES = ("estimate", "std_error", "conf_low", "conf_high")
GATE = "gate"

Key = tuple[int, str, str]
"""(expert from 1, or 0 where shared or not of an expert; parameter; term)."""


class Estimates(NamedTuple):
    """One method's estimates on one data set.

    `table` has the columns parameter, estimate, std_error and, where they apply, expert (from 1), term, conf_low and
    conf_high (intervals that are not Wald's). The gate's rows have the parameter "gate" and are contrasts with
    class 1. `covariance` (row, row) is needed only where the classes of a gate of three or more may change labels.
    `method` names the kind of intervals where a fit returns several. `forms` (class,) holds equal numbers for classes
    that may change places; by default those with the same coefficients.
    """

    table: pd.DataFrame
    covariance: np.ndarray | None = None
    converged: bool = True
    status: str = ""
    method: str = ""
    forms: tuple[int, ...] | None = None

    @property
    def keys(self) -> list[Key]:
        return keys_of(self.table)


def wald(model: MixtureEstimator, kind: str | None = None, method: str | None = None) -> Estimates:
    """Estimates of a fitted mixstat estimator with standard errors by `model.covariance(kind)`.

    Parameters without a standard error stay in the table, with a missing one.
    """
    fitted = model.fitted_
    kind = kind or usual_covariance(fitted)
    covariance = model.covariance(kind)
    table = tables.tidy(labels_of(fitted), fitted.theta, covariance, 0.95)[[*KEYS, *VALUES[:2]]]
    table["std_error"] = np.sqrt(np.where(np.diag(covariance) >= 0, np.diag(covariance), np.nan))
    return Estimates(table, covariance, model.converged_, model.status_, method or kind, _forms(model))


def _forms(model: MixtureEstimator) -> tuple[int, ...]:
    """Copies of one template may change places, unless what is known of the classes numbers them."""
    if getattr(model, "prior_classes", None) is not None:
        return tuple(range(model.fitted_.assembled.mixture.classes))
    groups = [group for group, copies in enumerate(model.fitted_.plan.copies) for _ in range(copies)]
    extras = model.fitted_.assembled.mixture.extras
    return (*groups, *range(len(groups), len(groups) + extras))


def read_estimates(returned: Any) -> list[Estimates]:
    """What a user's `fit` returned, as one Estimates a method. Raises OptionError for what cannot be read."""
    several = returned if isinstance(returned, list | tuple) and not isinstance(returned, Estimates) else [returned]
    if not several:
        raise OptionError("fit returned an empty list; expected a fitted estimator, a data frame or Estimates")
    found = [_checked(_read_one(one)) for one in several]
    methods = [one.method for one in found]
    if len(set(methods)) < len(methods):
        raise OptionError(f"fit returned several results of one method {methods}; give each Estimates its method=")
    return found


def _read_one(returned: Any) -> Estimates:
    if isinstance(returned, Estimates):
        return returned
    if isinstance(returned, MixtureEstimator):
        if not hasattr(returned, "fitted_"):
            raise OptionError("fit returned an estimator that is not fitted; return model.fit(data)")
        return wald(returned, method="")
    if isinstance(returned, pd.DataFrame):
        return Estimates(returned)
    if isinstance(returned, Mapping):
        return Estimates(_from_mapping(returned))
    raise OptionError(
        f"fit returned {type(returned).__name__}; expected a fitted mixstat estimator, a data frame with columns "
        "parameter, estimate, std_error, a mapping of names to (estimate, std_error), or mixstat.studies.Estimates"
    )


def _from_mapping(returned: Mapping) -> pd.DataFrame:
    rows = []
    for name, value in returned.items():
        pair = np.asarray(value, dtype=float).ravel()
        if len(pair) != 2:
            raise OptionError(f"fit's mapping holds {value!r} for {name!r}; expected (estimate, std_error)")
        rows.append((*parse_key(name), float(pair[0]), float(pair[1])))
    return pd.DataFrame(rows, columns=[*KEYS, *VALUES[:2]])


def _checked(estimates: Estimates) -> Estimates:
    table = estimates.table
    missing = [name for name in ("parameter", "estimate", "std_error") if name not in table]
    if missing:
        raise OptionError(f"fit's table lacks {missing}; it has {list(table.columns)}")
    keys = keys_of(table)
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise OptionError(f"fit's table holds {name_of(twice)!r} twice; tell rows apart by expert, parameter and term")
    covariance = estimates.covariance
    if covariance is not None and np.shape(covariance) != (len(table), len(table)):
        raise OptionError(f"covariance has shape {np.shape(covariance)}, the table {len(table)} rows")
    return estimates


def keys_of(table: pd.DataFrame) -> list[Key]:
    """The key of every row."""
    experts = table["expert"].fillna(0).astype(int) if "expert" in table else [0] * len(table)
    terms = table["term"].fillna("") if "term" in table else [""] * len(table)
    return [(int(e), str(p), str(t)) for e, p, t in zip(experts, table["parameter"], terms, strict=True)]


def parse_key(name: Any) -> Key:
    """A key from (expert, parameter, term), (parameter, term), "2:mean:x", "shared:sigma:Intercept" or "beta"."""
    if isinstance(name, str):
        parts = name.split(":", 2)
        if len(parts) == 3 and (parts[0].isdigit() or parts[0] == "shared"):
            return (int(parts[0]) if parts[0].isdigit() else 0, parts[1], parts[2])
        return (0, name, "")
    if isinstance(name, tuple) and len(name) in (2, 3):
        expert, parameter, term = name if len(name) == 3 else (0, *name)
        return (0 if expert is None or expert is pd.NA else int(expert), str(parameter), str(term))
    raise OptionError(f"{name!r} names no parameter; expected (expert, parameter, term), '1:mean:x' or a plain name")


def name_of(key: Key) -> str:
    """The name that `parse_key` reads back."""
    expert, parameter, term = key
    return parameter if not expert and not term else f"{expert or 'shared'}:{parameter}:{term}"
