"""Cure: profile-likelihood intervals of the share to whom the event never comes, where kappa is below 0."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from mixstat.estimators.methods.moments import at_times
from mixstat.estimators.methods.scene import open_scene, places_of, rows_at
from mixstat.estimators.model.report import labels_of
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.newton import newton
from mixstat.fit.precision import double
from mixstat.fit.problem import Evaluation
from mixstat.inference.effects import Query, row_jacobians
from mixstat.inference.level_set import extremes
from mixstat.inference.profile import maximum, profile_interval

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

SHAPE = "kappa1"


def cure_intervals(model: Any, X: Any, level: float) -> pd.DataFrame:
    """The cure fraction of one profile and log(kappa + 1)."""
    fitted: Fitted = model.fitted_
    place = _shape_place(model)
    z = float(norm.ppf(0.5 + 0.5 * level))
    theta = fitted.solution.theta
    at = maximum(model._problem, theta)
    scene = open_scene(fitted, X, "cure", None, None, np.zeros((len(theta),) * 2), at_times(np.ones(1)))
    if len(scene.keys) != 1:
        raise OptionError(f"cure_profile() is for one profile, got {len(scene.keys)} rows")
    query = Query("cure", "level", "dydx", places_of(fitted))
    basis = fitted.assembled.named.ties.matrix

    def log_total(moved: np.ndarray) -> tuple[float, np.ndarray]:
        """log(-log cure) and its gradient, on the standardised scale of the problem."""
        phi = fitted.phi + basis @ fitted.jacobian @ (moved - theta)
        value, slope = row_jacobians(
            fitted.assembled.mixture, query, scene.at._replace(phi=phi), rows_at(scene, scene.data)
        )
        cure = float(np.clip(value[0, 0], 1e-300, 1.0 - 1e-16))
        return float(np.log(-np.log(cure))), fitted.jacobian.T @ slope[:, 0, 0] / (cure * np.log(cure))

    nu = float(theta[place])
    lost = _without(model, at, place) if nu < 0 else 0.0
    shape = np.eye(len(theta))[place]
    interval = profile_interval(model._problem, at, shape, z)
    rows = [("log(kappa + 1)", nu, nu + interval.low, nu + interval.high)]
    estimate = float(np.exp(-np.exp(log_total(theta)[0]))) if nu < 0 else 0.0
    low = high = 0.0
    if nu + interval.low < 0:
        ends = extremes(model._problem, at, log_total, z, None if nu < 0 else shape)
        high = float(np.exp(-np.exp(ends.low)))
        low = 0.0 if lost < z * z else float(np.exp(-np.exp(ends.high)))
    rows.insert(0, ("cure_fraction", estimate, low, high))
    return pd.DataFrame(rows, columns=["quantity", "estimate", "conf_low", "conf_high"]).assign(no_cure=lost)


def _shape_place(model: Any) -> int:
    """Which free parameter log(kappa + 1) is."""
    labels = [label.parameter for label in labels_of(model.fitted_)]
    if labels.count(SHAPE) != 1 or model.fitted_.assembled.mixture.classes != 1:
        raise OptionError("cure_profile() is for one SurvivalRegression whose kappa is one estimated number")
    if not hasattr(model, "_problem"):
        raise DataError("cure_profile() needs the training data, which a saved model does not hold; refit")
    return labels.index(SHAPE)


@double
def _without(model: Any, at: Evaluation, place: int) -> float:
    """Twice the loss of log-likelihood at kappa = 0."""
    theta, held = at.theta.copy(), np.zeros(len(at.theta), dtype=bool)
    theta[place], held[place] = 0.0, True
    found = newton(model._problem, theta, tol=1e-9, max_iter=200, held=held)
    return 2.0 * (at.objective - found.at.objective)
