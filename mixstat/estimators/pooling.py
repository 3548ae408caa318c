"""Pooling: fits of one model to multiply imputed data sets as one result, classes matched first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.model import report
from mixstat.estimators.model.checks import level as checked
from mixstat.exceptions import DataError, OptionError
from mixstat.inference import pooling
from mixstat.inference.labels import nearest_order
from mixstat.results.tables import label_columns, standard_errors, wald_columns


class Pooled:
    """Estimates pooled by Rubin's rules.

    Attributes
    ----------
    estimate, covariance : arrays (coefficient,) and (coefficient, coefficient), in the order of the first fit
    df : array (coefficient,), degrees of freedom of Barnard and Rubin (1999)
    missing_information : array (coefficient,), fraction of missing information
    relabelled : list of int, the fits (from 0) whose experts had to change places
    models : list of the fits, experts in the order of the first
    """

    def __init__(self, models: list[Any], relabelled: list[int], kind: str):
        first = models[0]
        self.models, self.relabelled = models, relabelled
        self.labels = report.labels_of(first.fitted_)
        estimates = np.array([model.fitted_.theta for model in models])
        covariances = np.array([model.covariance(kind) for model in models])
        units = min(model.n_units_ for model in models)
        found = pooling.pool(estimates, covariances, max(units - len(self.labels), 1))
        self.estimate, self.covariance, self.df, self.missing_information = found

    def __repr__(self) -> str:
        return f"Pooled {len(self.models)} fits, {len(self.relabelled)} relabelled\n{self.tidy()}"

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Coefficients with t statistics, intervals and the fraction of missing information."""
        columns = wald_columns(self.estimate, standard_errors(self.covariance), checked(level), self.df)
        table = pd.DataFrame(label_columns(self.labels) | columns)
        return table.assign(df=self.df, missing_information=self.missing_information)


def pool(models: Sequence[Any], kind: str | None = None) -> Pooled:
    """Pool fits of one model to multiply imputed data by Rubin's rules (1987).

    The experts of each fit are first put in the order that comes nearest to the first fit's coefficients. `kind` is
    that of `covariance()`. Needs at least two fits with the same coefficients.
    """
    fits = list(models)
    if len(fits) < 2:
        raise OptionError(f"pool() takes at least two fitted models, got {len(fits)}")
    for model in fits:
        check_is_fitted(model, "fitted_")
    kind = kind or report.usual_covariance(fits[0].fitted_)
    experts = fits[0].fitted_.assembled.mixture.experts
    aligned, relabelled = [fits[0]], []
    for place, model in enumerate(fits[1:], start=1):
        if model.coefficient_names_ != fits[0].coefficient_names_:
            raise DataError(f"fit {place + 1} has other coefficients than the first; pool fits of one model")
        order = _order(fits[0], model, kind)
        if np.array_equal(order, np.arange(len(order))):
            aligned.append(model)
        else:
            aligned.append(model.reorder([int(old) + 1 for old in order[:experts]]))
            relabelled.append(place)
    return Pooled(aligned, relabelled, kind)


def _order(first: Any, other: Any, kind: str) -> np.ndarray:
    """The order of the other fit's experts that is nearest to the first fit, in units of its standard errors."""
    scale = standard_errors(first.covariance(kind))
    return nearest_order(report.coefficients_of(first.fitted_), other.fitted_.theta, first.fitted_.theta, scale)
