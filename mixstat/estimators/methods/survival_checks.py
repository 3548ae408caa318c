"""Survival checks: residuals of censored times, Kaplan-Meier beside the fit, calibration, and scores of prediction."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.core.family import Tails
from mixstat.estimators.methods.grids import plain_frame, rows_of
from mixstat.estimators.methods.moments import checked_times, own_times, require_survival
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.methods.surviving import scene_of, values_of
from mixstat.estimators.model.checks import choice, integer
from mixstat.estimators.model.random import generator
from mixstat.exceptions import DataError, OptionError
from mixstat.families.survival.times import Times, read
from mixstat.inference import kaplan_meier
from mixstat.inference.distribution import normal_score

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

RESIDUALS = ("cox_snell", "martingale", "deviance", "quantile")


class Observed(NamedTuple):
    """What was seen of every row, its weight, and the fitted cumulative hazard at the bounds of the event and at entry
    (row,); the upper one is infinite where nothing bounds the event."""

    times: Times
    weight: np.ndarray
    low: np.ndarray
    high: np.ndarray
    entry: np.ndarray


class SurvivalChecks:
    """Methods that hold a fit of survival times against what was seen."""

    fitted_: "Fitted"

    def survival_residuals(self, X: Any = None, kind: str = "cox_snell", *, random_state: Any = None) -> np.ndarray:
        """Residuals (row,) of the rows of X (None: of the fit), from r = H(t) - H(entry) with the fitted H.

        kind : "cox_snell" r, a censored sample of a unit exponential if the model is true (of an interval its expected
            value given the interval); "martingale" d - r with d = 1 for an event; "deviance", which makes these
            symmetric; "quantile" Phi^-1 of the fitted distribution function, drawn uniformly over what censoring
            leaves open: standard normal if the model is true.

        References: Cox and Snell (1968), JRSS-B 30; Therneau, Grambsch and Fleming (1990), Biometrika 77; Dunn and
        Smyth (1996), JCGS 5; Farrington (2000), Biometrics 56.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "survival_residuals()")
        choice("kind", kind, RESIDUALS)
        seen = observed(self, X)
        if kind == "quantile":
            return _quantile(seen, generator(random_state))
        expected = _expected(seen)
        if kind == "cox_snell":
            return expected
        happened = ~seen.times.censored
        martingale = happened - expected
        if kind == "martingale":
            return martingale
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.where(happened, np.log(np.maximum(happened - martingale, 1e-300)), 0.0)
        return np.sign(martingale) * np.sqrt(-2.0 * np.minimum(martingale + log, 0.0))

    def kaplan_meier(self, X: Any = None, by: str | None = None, *, level: float = 0.95) -> pd.DataFrame:
        """Nonparametric survival of the rows of X (None: of the fit), by the levels of a column if asked.

        Kaplan and Meier's, which takes late entries into account; Turnbull's where some rows are intervals. Returns the
        column `by`, time, survival, conf_low, conf_high, at_risk, events.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "kaplan_meier()")
        groups = grouped(self, X, by)
        parts = [pd.DataFrame(kaplan_meier.estimate(t, w, level)._asdict()).assign(**k) for k, t, w in groups]
        table = pd.concat(parts, ignore_index=True)
        return table if by is None else table[[by, *(c for c in table.columns if c != by)]]

    def calibration(self, time: float, X: Any = None, *, groups: int = 5) -> pd.DataFrame:
        """Predicted against observed survival at one time, in groups of rows of similar prediction.

        Returns group, n, predicted (mean), observed (Kaplan-Meier's, or Turnbull's), conf_low, conf_high.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "calibration()")
        at = checked_times(time, "time")
        table = restricted(*rows_of(self, X, None))
        predicted = self._predict_curves(table, at, "survival")[:, 0]  # type: ignore[attr-defined]
        times, weight = times_of(self, X)
        count = integer("groups", groups, 2)
        cuts = np.quantile(predicted, np.linspace(0, 1, count + 1)[1:-1])
        code = np.searchsorted(cuts, predicted, side="right")
        rows = []
        for group in np.unique(code):
            mine = code == group
            steps = kaplan_meier.estimate(Times(*(part[mine] for part in times)), weight[mine])
            place = int(np.searchsorted(steps.time, at[0], side="right")) - 1
            ends = (
                (1.0, 1.0, 1.0) if place < 0 else (steps.survival[place], steps.conf_low[place], steps.conf_high[place])
            )
            mean = float(np.average(predicted[mine], weights=weight[mine]))
            rows.append((int(group) + 1, int(mine.sum()), mean, *map(float, ends)))
        return pd.DataFrame(rows, columns=["group", "n", "predicted", "observed", "conf_low", "conf_high"])

    def survival_scores(self, X: Any = None, times: Any = None) -> pd.DataFrame:
        """How well right-censored times of X (None: of the fit) are predicted, by scikit-survival, which must be there.

        One row: concordance (Harrell's) and concordance_ipcw (Uno's) of the expected time up to the last of `times`;
        integrated_brier over `times`, weighted for censoring; mean_auc, the mean time-dependent area under the curve;
        log_score, the mean log-likelihood of a row. The censoring of the fit's data weighs both.

        times : increasing, inside the follow-up; None for nine quantiles of the times of events.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "survival_scores()")
        return _scores(self, X, times)


def times_of(model: Any, X: Any) -> tuple[Times, np.ndarray]:
    """What was seen of the rows of X, with weight 1, or of those of the fit with theirs."""
    fitted = model.fitted_
    table = restricted(*rows_of(model, X, None))
    responses = fitted.schema.transform(table, response=True).responses or []
    values = next(response.values for response in responses if response.kind == "survival")
    weight = fitted.sample.row_weight if X is None else np.ones(len(values))
    return read(values, "the response"), weight


def grouped(model: Any, X: Any, by: str | None) -> list[tuple[dict, Times, np.ndarray]]:
    """(the level, times, weights) of each level of a column, or of all rows."""
    times, weight = times_of(model, X)
    if by is None:
        return [({}, times, weight)]
    column = plain_frame(restricted(*rows_of(model, X, None)), [by])[by]
    if column.isna().any():
        raise DataError(f"by= column {by!r} is missing in {int(column.isna().sum())} rows; drop those rows")
    levels = sorted(column.unique())
    if len(levels) > 12:
        raise OptionError(f"by= column {by!r} has {len(levels)} values; give one of few levels, or cut it")
    places = [(column == level).to_numpy() for level in levels]
    return [
        ({by: level}, Times(*(part[mine] for part in times)), weight[mine])
        for level, mine in zip(levels, places, strict=True)
    ]


def observed(model: Any, X: Any) -> Observed:
    """Times with the fitted cumulative hazards at their ends."""
    times, weight = times_of(model, X)
    ends = np.stack([times.lower, np.where(times.censored, times.lower, times.upper), times.entry])
    scene = scene_of(model, X, "cumulative_hazard", own_times(ends, np.arange(3.0)), None, None, None)
    low, high, entry = np.where(ends > 0, values_of(scene, scene.data), 0.0)
    return Observed(times, weight, low, np.where(times.censored, np.inf, high), entry)


def _expected(seen: Observed) -> np.ndarray:
    """H at the event or at censoring, of an interval its mean there, less that at entry."""
    low, high = seen.low, np.where(np.isinf(seen.high), seen.low, seen.high)
    gap = np.maximum(high - low, 1e-12)
    inside = low + 1.0 - gap / np.expm1(gap)
    return np.where(seen.times.between, inside, low) - seen.entry


def _quantile(seen: Observed, rng: np.random.Generator) -> np.ndarray:
    """Normal scores of a uniform draw between the distribution function at both ends, given entry."""
    low, high = seen.low - seen.entry, seen.high - seen.entry
    share = np.where(seen.times.event, 0.0, np.clip(rng.random(len(low)), 1e-16, 1.0 - 1e-16))
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(np.isinf(high), 0.0, np.exp(low - high))
        upper = -low + np.log1p(-share * (1.0 - kept))
        lower = np.where(upper > -0.7, np.log(-np.expm1(np.minimum(upper, -1e-300))), np.log1p(-np.exp(upper)))
    return normal_score(Tails(lower, upper))


def _scores(model: Any, X: Any, times: Any) -> pd.DataFrame:
    try:
        from sksurv import metrics
    except ImportError as error:
        raise OptionError("survival_scores() needs scikit-survival: pip install scikit-survival") from error
    trained, _ = times_of(model, None)
    seen, _ = times_of(model, X)
    for known in (trained, seen):
        if known.between.any() or (known.entry > 0).any():
            raise OptionError("survival_scores() is for right-censored times without late entries")
    train, test = structured(trained), structured(seen)
    grid = _grid(seen) if times is None else checked_times(times)
    table = restricted(*rows_of(model, X, None))
    survival = model._predict_curves(table, grid, "survival")
    risk = -model.rmst(float(grid[-1]), table, by=None)["estimate"].to_numpy()
    return pd.DataFrame(
        {
            "concordance": [metrics.concordance_index_censored(test["event"], test["time"], risk)[0]],
            "concordance_ipcw": [metrics.concordance_index_ipcw(train, test, risk, tau=float(grid[-1]))[0]],
            "integrated_brier": [metrics.integrated_brier_score(train, test, survival, grid)],
            "mean_auc": [metrics.cumulative_dynamic_auc(train, test, 1.0 - survival, grid)[1]],
            "log_score": [model.score(table)],
        }
    )


def structured(times: Times) -> np.ndarray:
    """As scikit-survival takes right-censored times."""
    return np.array(list(zip(times.event, times.lower, strict=True)), dtype=[("event", bool), ("time", float)])


def _grid(times: Times) -> np.ndarray:
    return np.unique(np.quantile(times.lower[times.event], np.linspace(0.1, 0.9, 9)))
