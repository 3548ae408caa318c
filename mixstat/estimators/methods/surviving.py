"""Surviving: what a fit of survival times says over time, with intervals."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.core.design import Data
from mixstat.estimators.methods.cure import cure_intervals
from mixstat.estimators.methods.effects import Answer, compare
from mixstat.estimators.methods.grids import rows_of, typical_row
from mixstat.estimators.methods.moments import (
    NODES,
    at_times,
    checked_times,
    known_times,
    own_times,
    require_survival,
    restricted_mean,
)
from mixstat.estimators.methods.scene import Moments, Scene, answer, open_scene, places_of, restricted, rows_at
from mixstat.estimators.methods.settings import contrasts_of
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.report import phi_covariance
from mixstat.exceptions import OptionError
from mixstat.inference.effects import Query, row_effects, row_values
from mixstat.inference.survival import PREFIX, unbounded
from mixstat.results.effects import effect_table

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

CURVES = ("survival", "cumulative_hazard", "hazard", "density")
COMPARISONS = {"difference": "{high} - {low}", "ratio": "{high} / {low}"}
ENOUGH = 1e-9
"""Relative change of a restricted mean that ends its refinement."""


class Surviving:
    """Methods of survival times (`SurvivalRegression`, alone or as the expert of a mixture).

    Curves are those of the mixture, S(t) = sum_k pi_k S_k(t), f and h = f / S; standard errors are exact derivatives
    times `covariance(kind)`. Intervals are Wald's on the scale of log(-log S) for probabilities, of logs for whatever
    is positive. X is a table of covariates, a row a profile; averages of hazards are those of the rows.
    """

    fitted_: "Fitted"

    def curves(
        self,
        X: Any = None,
        times: Any = None,
        *,
        kind: str = "survival",
        given: float | None = None,
        by: Any = None,
        by_class: bool = False,
        weight: Any = None,
        level: float = 0.95,
        covariance: str = "information",
    ) -> pd.DataFrame:
        """Survival, hazard, cumulative hazard or density over time, a row a profile and time.

        X : profiles; None for the data of the fit, averaged (standardised survival).
        times : None for a grid up to the last time seen.
        given : a time s: survival past t given survival past s, S(t) / S(s).
        by : None for every row of X, True for their average, a column (or several) for averages within its levels.
        by_class : each expert's own curve (and the class that never has the event) instead of the mixture's.

        Returns rowid or the columns of `by`, time, expert (by class), estimate, std_error, statistic, p_value,
        conf_low, conf_high. To compare what a covariate does, use `contrasts` or `hazard_ratio`.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "curves()")
        grid = known_times(self) if times is None else checked_times(times)
        choice("kind", kind, CURVES)
        if given is not None and kind != "survival":
            raise OptionError(f"given= conditions survival, not kind={kind!r}")
        moments = at_times(grid, None if given is None else float(checked_times(given, "given")[0]))
        target = "conditional_survival" if given is not None else kind
        target = PREFIX + target if by_class else target
        scene = scene_of(self, X, target, moments, True if X is None and by is None else by, weight, covariance)
        keys, values, error = answer(scene, {}, "level", scene.data)
        values = unbounded(values)
        found = keys, values, np.where(np.isinf(values), np.nan, np.where(values == 0.0, 0.0, error))
        return table_of(found, level, "cloglog" if kind == "survival" else "log")

    def rmst(
        self,
        limit: Any,
        X: Any = None,
        variable: str | None = None,
        *,
        step: Any = None,
        comparison: str = "difference",
        by: Any = True,
        level: float = 0.95,
        covariance: str = "information",
    ) -> pd.DataFrame:
        """Restricted mean survival time, int_0^limit S(t) dt, of the average over the rows of X (None: of the fit).

        variable : a covariate: what its change makes of it (`step` and `comparison` as in `contrasts`).

        Returns the columns of `by`, time (the limit), and those of `curves`; term and contrast with `variable`.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "rmst()")
        limits = checked_times(limit, "limit")
        moments = self._restricted(X, limits)
        scene = scene_of(self, X, "survival", moments, by, None, covariance)
        if variable is None:
            return table_of(answer(scene, {}, "level", scene.data), level, "log")
        label = COMPARISONS[choice("comparison", comparison, tuple(COMPARISONS))]
        parts = [
            compare(scene, variable, contrast, comparison)
            for contrast in contrasts_of(self.fitted_, scene.frame, variable, step, label)
        ]
        return joined_of(parts, level, "identity" if comparison == "difference" else "log")

    def _restricted(self, X: Any, limits: np.ndarray) -> Moments:
        """Nodes enough for every row."""
        scene = scene_of(self, X, "survival", restricted_mean(limits, NODES[0]), None, None, "information")
        last = values_of(scene, scene.data)
        for count in NODES[1:]:
            scene = scene._replace(moments=restricted_mean(limits, count))
            values = values_of(scene, scene.data)
            if np.abs(values - last).max() <= ENOUGH * limits.max():
                break
            last = values
        assert scene.moments is not None
        return scene.moments

    def survival_quantiles(
        self, X: Any = None, q: Any = 0.5, *, level: float = 0.95, covariance: str = "information"
    ) -> pd.DataFrame:
        """Times by which a share q has had the event, with intervals: rowid, q, estimate, std_error, ...

        Infinite (without an error) where fewer than q ever have it.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "survival_quantiles()")
        levels = np.atleast_1d(np.asarray(q, dtype=float))
        table = restricted(*rows_of(self, X, None))
        times = self.quantile(table, levels).T  # type: ignore[attr-defined]
        found = _errors_at_own(self, table, times, levels, covariance)
        keys = pd.DataFrame(
            {"rowid": np.tile(np.arange(times.shape[1]), len(levels)), "q": np.repeat(levels, times.shape[1])}
        )
        return effect_table(keys, times.ravel(), found.ravel(), checked(level), "log")

    def cure_fraction(
        self, X: Any = None, *, by: Any = None, level: float = 0.95, covariance: str = "information"
    ) -> pd.DataFrame:
        """The share to whom the event never comes, of every row of X; None for the average over the data of the fit.

        It lies beyond the data: an estimate is worth no more than the plateau that was seen. Of a model whose kappa is
        estimated see also the profile interval of kappa, `profile("kappa1")`: a cure is shown only where it lies below
        kappa + 1 = 1 (a coefficient of 0), and `cure_profile()`.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "cure_fraction()")
        everyone = X is None and by is None
        scene = scene_of(self, X, "cure", at_times(np.ones(1)), True if everyone else by, None, covariance)
        return table_of(answer(scene, {}, "level", scene.data), level, "cloglog").drop(columns="time")

    def cure_profile(self, X: Any = None, *, level: float = 0.95) -> pd.DataFrame:
        """Profile-likelihood intervals of the cure fraction where kappa < 0, and of log(kappa + 1).

        X : one profile; None for the typical one (medians, most frequent levels). The lower end is 0 where no cure
        (kappa = 0 or more) fits nearly as well. Needs the training data.

        Returns quantity ("cure_fraction", "log(kappa + 1)"), estimate, conf_low, conf_high, and `no_cure`, twice what
        the log-likelihood loses without a cure.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "cure_profile()")
        return cure_intervals(self, profiles_of(self, X), checked(level))

    def _predict_curves(self, X: Any, times: Any, kind: str) -> np.ndarray:
        """(row, time)."""
        choice("kind", kind, CURVES)
        grid = checked_times(times)
        scene = scene_of(self, X, kind, at_times(grid), None, None, None)
        return unbounded(values_of(scene, scene.data)).T


def scene_of(model: Any, X: Any, target: str, moments: Moments, by: Any, weight: Any, covariance: str | None) -> Scene:
    """The rows of X (None: of the fit) at the moments; without a covariance only for values."""
    table = restricted(*rows_of(model, X, None))
    fitted = model.fitted_
    size = fitted.assembled.named.ties.size
    known = (
        np.zeros((size, size)) if covariance is None else phi_covariance(fitted, model._inner_covariance(covariance))
    )
    return open_scene(fitted, table, target, by, weight, known, moments)


def _errors_at_own(model: Any, table: Any, times: np.ndarray, levels: np.ndarray, covariance: str) -> np.ndarray:
    """Standard errors of quantiles (q, row): that of S there over the density."""
    finite = np.where(np.isfinite(times), times, 1.0)
    parts = {}
    for target in ("survival", "density"):
        scene = scene_of(model, table, target, own_times(finite, levels), None, None, covariance)
        parts[target] = row_effects(mixture_of(scene), query_of(scene), scene.at, rows_at(scene, scene.data))
    error = parts["survival"].std_error / parts["density"].estimate
    return np.where(np.isfinite(times), error, np.nan)


def mixture_of(scene: Scene) -> Any:
    return scene.fitted.assembled.mixture


def query_of(scene: Scene) -> Query:
    return Query(scene.target, "level", "dydx", places_of(scene.fitted))


def values_of(scene: Scene, data: Data) -> np.ndarray:
    """(output, row) without errors."""
    return row_values(mixture_of(scene), query_of(scene), scene.fitted.phi, rows_at(scene, data))


def profiles_of(model: Any, X: Any) -> Any:
    """The profiles given, or one typical row of the data of the fit."""
    if X is not None:
        return X
    table = restricted(*rows_of(model, None, None))
    return typical_row(table, model.fitted_.schema.raw_columns)


def table_of(found: Answer, level: float, scale: str) -> pd.DataFrame:
    return effect_table(*found, checked(level), scale)


def joined_of(parts: list[Answer], level: float, scale: str) -> pd.DataFrame:
    keys, estimates, errors = zip(*parts, strict=True)
    joined = pd.concat(keys, ignore_index=True), np.concatenate(estimates), np.concatenate(errors)
    return table_of(joined, level, scale)
