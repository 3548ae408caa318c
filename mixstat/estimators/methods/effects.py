"""Effects: predictions, contrasts and marginal effects of a fitted estimator, with delta-method intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.derivatives import design_slopes
from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.scene import Scene, answer, open_scene, restricted
from mixstat.estimators.methods.settings import Contrast, change, contrasts_of, is_discrete, kind_of, setting_of
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.report import phi_covariance
from mixstat.exceptions import OptionError
from mixstat.results.effects import SCALES, effect_table

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

TARGETS = ("mean", "expert_mean", "gate")
COMPARISONS = {"difference": "{high} - {low}", "ratio": "{high} / {low}"}
LOGARITHMS = "ln({high}) - ln({low})"
ELASTICITIES = {"dydx": "dY/dx", "eyex": "eY/eX", "dyex": "dY/eX", "eydx": "eY/dx"}

By = bool | str | Sequence[str] | None


class Effects:
    """What a fit says of rows, and how that changes with a covariate.

    X is a table of covariates (an array where the model was fitted to arrays); None stands for the training rows while
    the estimator still refers to them. Targets:

    - "mean": E[y | x] = sum_k pi_k(x) mu_k(x); probabilities of each category for a categorical response;
    - "expert_mean": mu_k(x) of each expert, extra blocks after the experts;
    - "gate": the probabilities pi_k(x) of the classes from each row's own gate covariates.

    Of growth curves each row is an occasion, and the slope along the time column is the rate of change at its time.

    Tables have a row for each row of X (`by=None`), or for averages over all (`by=True`) or over the levels of one or
    several columns (`by="region"`), weighted by `weight` (an array or a column). Column `expert` numbers the class,
    `group` names the response or its category where there are several.

    Standard errors are J C J' with exact derivatives J and C = `covariance(kind)`; fixed coefficients have no error. A
    coefficient without a standard error (see `covariance`) makes one missing only where the quantity depends on it.
    """

    fitted_: "Fitted"
    _inner_covariance: Callable[[str | None], np.ndarray]
    _new_table: Callable[[Any, Any], Any]

    def predictions(
        self,
        X: Any = None,
        *,
        target: str = "mean",
        by: By = None,
        transform: str = "identity",
        weight: Any = None,
        level: float = 0.95,
        covariance: str | None = None,
    ) -> pd.DataFrame:
        """Predictions with standard errors and intervals.

        target : also "responsibility", posterior class probabilities of each row's unit (X then has the response;
            of growth curves the result has a row a unit).
        transform : "identity", or the scale of Wald intervals that stay inside the range: "log" for positive means,
            "logit" for probabilities.

        Returns rowid or the columns of `by`, expert, group, estimate, std_error, statistic, p_value, conf_low,
        conf_high.
        """
        choice("transform", transform, SCALES)
        scene = self._scene(X, choice("target", target, (*TARGETS, "responsibility")), by, weight, covariance)
        return effect_table(*answer(scene, {}, "level", scene.data), checked(level), transform)

    def contrasts(
        self,
        X: Any = None,
        variables: str | Sequence[str] | Mapping[str, Any] | None = None,
        *,
        target: str = "mean",
        comparison: str = "difference",
        by: By = True,
        weight: Any = None,
        level: float = 0.95,
        covariance: str | None = None,
    ) -> pd.DataFrame:
        """Differences or ratios between predictions at two values of a covariate, all else as it is (g-computation).

        variables : names (None: all covariates), or a mapping of names to steps. Steps of numbers: a number to add
            (default 1; from 0 to 1 for a column of zeros and ones), a pair (low, high), "sd" (across one standard
            deviation around the mean), "iqr" or "minmax", of X. Steps of categories: "reference" (default: each level
            against the first), "pairwise", "sequential" or a pair of levels.
        comparison : "difference" of high and low, or "ratio"; averaged, the ratio of the averages. Intervals of
            ratios are Wald's of their logarithm, and their statistic tests a ratio of 1.

        Returns the columns of `predictions` with `term` (the covariate) and `contrast`.
        """
        scene = self._scene(X, choice("target", target, TARGETS), by, weight, covariance)
        label = COMPARISONS[choice("comparison", comparison, tuple(COMPARISONS))]
        steps = dict(variables) if isinstance(variables, Mapping) else dict.fromkeys(_names(scene, variables))
        asked = [(name, c) for name, step in steps.items() for c in _contrasts(scene, name, step, label)]
        parts = [compare(scene, name, contrast, comparison) for name, contrast in asked]
        return _joined(parts, checked(level), "identity" if comparison == "difference" else "log")

    def marginal_effects(
        self,
        X: Any = None,
        variables: str | Sequence[str] | None = None,
        *,
        target: str = "mean",
        elasticity: str = "dydx",
        discrete: Sequence[str] | None = None,
        by: By = True,
        weight: Any = None,
        level: float = 0.95,
        covariance: str | None = None,
    ) -> pd.DataFrame:
        """Derivatives of predictions with respect to raw covariates, through gate, experts and formulas at once.

        variables : names; None for all covariates.
        elasticity : "dydx" slopes; "eyex" d log y / d log x, "eydx" d log y / dx, "dyex" dy / d log x.
        discrete : numeric covariates that move from 0 to 1 instead; None for those that hold no other numbers in X.
            Categories and flags always move from their first level to each other one. (Differences of logarithms where
            `elasticity` takes those of y.)

        At the means: give a table of one row. Returns the columns of `contrasts`.
        """
        scene = self._scene(X, choice("target", target, TARGETS), by, weight, covariance)
        choice("elasticity", elasticity, tuple(ELASTICITIES))
        chosen = None if discrete is None else _names(scene, discrete)
        names = _names(scene, variables)
        parts = [part for name in names for part in _marginal(scene, name, elasticity, chosen)]
        return _joined(parts, checked(level), "identity")

    def _scene(self, X: Any, target: str, by: By, weight: Any, covariance: str | None) -> Scene:
        check_is_fitted(self, "fitted_")
        table = restricted(*rows_of(self, X, None))
        known = phi_covariance(self.fitted_, self._inner_covariance(covariance))
        return open_scene(self.fitted_, table, target, by, weight, known)


Answer = tuple[pd.DataFrame, np.ndarray, np.ndarray]
"""Keys, estimates and standard errors, one row each."""


def _joined(parts: Sequence[Answer], level: float, scale: str) -> pd.DataFrame:
    if not parts:
        raise OptionError("there is no covariate to change: the model has none, or variables= is empty")
    keys, estimates, errors = zip(*parts, strict=True)
    return effect_table(
        pd.concat(keys, ignore_index=True), np.concatenate(estimates), np.concatenate(errors), level, scale
    )


def _names(scene: Scene, variables: str | Sequence[str] | None) -> list[str]:
    """Known covariates, each once; None stands for all."""
    known = list(scene.fitted.schema.raw_columns)
    names = known if variables is None else [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        kind_of(scene.fitted, name)
    return list(dict.fromkeys(names))


def _contrasts(scene: Scene, name: str, step: Any, label: str) -> list[Contrast]:
    return contrasts_of(scene.fitted, scene.frame, name, step, label)


def compare(scene: Scene, name: str, contrast: Contrast, form: str, scale: str = "dydx") -> Answer:
    """The target at two settings of a covariate."""
    low, high = (change(scene.fitted, scene.frame, name, value) for value in (contrast.low, contrast.high))
    keys = {"term": name, "contrast": contrast.label}
    return answer(scene, keys, form, low, other=setting_of(scene.fitted, high), scale=scale)


def _marginal(scene: Scene, name: str, elasticity: str, discrete: Sequence[str] | None) -> list[Answer]:
    fitted, frame = scene.fitted, scene.frame
    as_steps = is_discrete(fitted, frame, name) if discrete is None else name in discrete
    if as_steps or kind_of(fitted, name) != "number":
        step = (0, 1) if kind_of(fitted, name) == "number" else None
        label = LOGARITHMS if elasticity[:2] == "ey" else COMPARISONS["difference"]
        found = _contrasts(scene, name, step, label)
        return [compare(scene, name, contrast, "difference", elasticity) for contrast in found]
    slopes = design_slopes(fitted, frame, name)
    keys = {"term": name, "contrast": ELASTICITIES[elasticity]}
    x = frame[name].to_numpy(dtype=np.float64)
    return [answer(scene, keys, "slope", scene.data, other=slopes, covariate=x, scale=elasticity)]
