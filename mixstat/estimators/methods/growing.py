"""Growing: random coefficients of subjects, and trajectories of classes and of subjects over time."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from mixstat.core.design import Data
from mixstat.estimators.methods.changing import changes, times_of_changes
from mixstat.estimators.methods.factor_means import factor_means
from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.over_time import (
    Profiles,
    checked_times,
    data_over_time,
    known_times,
    outcome_names,
    profiles,
    require_growth,
    sums_over_time,
)
from mixstat.estimators.methods.scene import constants_of, places_of, require_gate, restricted
from mixstat.estimators.methods.settings import setting_of
from mixstat.estimators.methods.subjects import averaged, subject_means, subjects_of
from mixstat.estimators.model import new_data, outputs
from mixstat.estimators.model.checks import boolean, choice
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.report import phi_covariance
from mixstat.estimators.model.units import number_units
from mixstat.exceptions import OptionError
from mixstat.formula.frame import Table
from mixstat.inference.effects import Estimate, Query, Rows, average_effects, row_effects

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.inference.effects import Effects

BY = ("class", "overall")


class Growing:
    """Methods of growth curves (`GrowthCurve`, alone or as the expert of a mixture)."""

    fitted_: "Fitted"

    def random_effects(self, X: Any = None, *, deviations: bool = False) -> pd.DataFrame:
        """Empirical-Bayes coefficients of every subject: a row a subject, a column a random coefficient and its error.

        The estimate of coefficient c is sum_k r_k (alpha_k + B_k x + E[zeta | y, k]) with the subject's
        responsibilities r, covariates x and response y; `std_error_<c>` is the root of its posterior variance, within
        classes plus between them, at the estimated parameters. `deviations=True` gives sum_k r_k E[zeta | y, k] alone.

        X : a table with the response, as in `fit` (subjects may be new ones); None for the data of the fit.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "random_effects()")
        table = restricted(*rows_of(self, X, None))
        new = new_data.with_response(self.fitted_, table)
        subjects = subjects_of(self.fitted_, new)
        if not any(subjects.names):
            raise OptionError("the model has no random coefficients; see trajectories(), or refit with random='all'")
        found = averaged(subjects, deviations=boolean("deviations", deviations))
        error = np.sqrt(np.einsum("aan->an", found.covariance))
        columns: dict[str, np.ndarray] = {}
        for name, value, spread in zip(subjects.names[0], found.mean, error, strict=True):
            columns |= {name: value, f"std_error_{name}": spread}
        keys = profiles(self.fitted_, table).keys
        return pd.concat([keys, pd.DataFrame(columns)], axis=1)

    def factor_means(self, *, level: float = 0.95, covariance: str | None = None) -> pd.DataFrame:
        """Mean of every growth factor and knot by class, alpha_k + B_k E[x | k], with delta-method errors.

        `tidy()` has alpha_k, the values at x = 0. What E[x | k] is says the column `covariates`: "modelled", the class
        means of `covariates="joint"`, estimated with the rest (the "mueta" of nlpsem); "averaged", of given covariates,
        their average over the subjects of the fit with responsibilities as weights, which counts as known; "none",
        without covariates. `covariance` is the kind of `covariance()` that errors come from.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "factor_means()")
        return factor_means(self, level, covariance)

    def trajectories(
        self,
        X: Any = None,
        times: Any = None,
        *,
        level: float = 0.95,
        by: str = "class",
        covariance: str | None = None,
    ) -> pd.DataFrame:
        """Mean trajectories with delta-method errors and pointwise intervals, a row a class and time.

        X : covariate profiles, each row a trajectory (each subject, where X has the unit column; what varies inside is
            averaged). The time column is not needed, nor for `by="class"` covariates of the gate. None: for each
            class at the covariates of the sample averaged with its responsibilities, every subject counting with its
            weight (of categories the shares are averaged); overall, the average of the subjects' trajectories.
        times : values of the time column; None for a grid over those of X or of the data of the fit.
        by : "class" for each expert's mean, "overall" for their average with the gate's probabilities.
        covariance : the kind of `covariance()` that errors come from. The averages of covariates count as known.

        Returns the profile's key (rowid or the unit column; not for X=None), expert (by class), outcome (of several),
        time, mean, std_error, conf_low, conf_high.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "trajectories()")
        require_gate(self.fitted_, "mean" if choice("by", by, BY) == "overall" else "expert_mean")
        grid = checked_times(self.fitted_, times, known_times(self, X))
        if X is None:
            return average_trajectories(self, None, grid, level, by, covariance)
        return _with_intervals(_profiled(self, X, grid, by, _estimate(self, covariance)), level)

    def changes(
        self, X: Any = None, times: Any = None, *, level: float = 0.95, covariance: str | None = None
    ) -> pd.DataFrame:
        """How much mean trajectories of classes change between times, with delta-method errors and intervals.

        X : covariate profiles; None for the sample's average by class, both as in `trajectories`.
        times : between which to look; None for the waves of change scores, or the common times that the curve is made
            of. Of numbered waves these are average times.

        Returns the profile's key (not for X=None), expert, outcome (of several), begin, end, quantity, estimate,
        std_error, conf_low, conf_high. Quantities are "rate", the change a unit of time, "change", from begin to end,
        and "since_first", from the first time to end.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "changes()")
        grid = times_of_changes(self.fitted_, times)
        return changes(lambda begin, end: _differences(self, X, begin, end, covariance), grid, level)


def average_trajectories(
    model: Any,
    X: Any,
    times: np.ndarray,
    level: float,
    by: str = "class",
    covariance: str | None = None,
    responsibility: np.ndarray | None = None,
) -> pd.DataFrame:
    """Trajectories averaged over the subjects of X, or of the fit with their weights; `responsibility` (subject, class)
    if it is known."""
    table = restricted(*rows_of(model, X, None))
    subjects = profiles(model.fitted_, table, gate=by == "overall")
    weight = model.fitted_.sample.weight if X is None else np.ones(subjects.size)
    at = _estimate(model, covariance)
    if by == "overall":
        return _with_intervals(_overall(model, subjects, weight, times, at), level)
    if responsibility is None:
        responsibility = responsibilities_of(model.fitted_, table)
    return _with_intervals(_average(model, subjects, responsibility * weight[:, None], times, at), level)


def responsibilities_of(fitted: "Fitted", table: Any) -> np.ndarray:
    """(subject, class)."""
    return new_data.posterior(fitted, new_data.with_response(fitted, table)).responsibility


def _with_intervals(table: pd.DataFrame, level: float) -> pd.DataFrame:
    half = norm.ppf(0.5 + 0.5 * checked(level)) * table["std_error"]
    return table.assign(conf_low=table["mean"] - half, conf_high=table["mean"] + half)


def _estimate(model: Any, covariance: str | None) -> Estimate:
    fitted = model.fitted_
    return Estimate(
        fitted.phi, fitted.assembled.named.ties.matrix, phi_covariance(fitted, model._inner_covariance(covariance))
    )


def _effects(model: Any, data: Data, by: str, at: Estimate, later: Data | None = None) -> "Effects":
    """Means of single-occasion rows, or by how much those of `later` exceed them, (class or one, row)."""
    return row_effects(model.fitted_.assembled.mixture, _query(model, by, later), at, _rows(model, data, later))


def _query(model: Any, by: str, later: Data | None = None) -> Query:
    form = "level" if later is None else "difference"
    return Query("expert_mean" if by == "class" else "mean", form, "dydx", places_of(model.fitted_))


def _rows(model: Any, data: Data, later: Data | None = None) -> Rows:
    other = (data.columns, data.offsets, ()) if later is None else setting_of(model.fitted_, later)
    return Rows(data, other, np.ones(data.columns.shape[-1]), constants_of(model.fitted_))


def _differences(model: Any, X: Any, begin: np.ndarray, end: np.ndarray, covariance: str | None) -> pd.DataFrame:
    """By how much mean trajectories of classes change from one time to another, as `trajectories` has the means."""
    at = _estimate(model, covariance)
    if X is not None:
        return _profiled(model, X, begin, "class", at, end)
    table = restricted(*rows_of(model, None, None))
    share = responsibilities_of(model.fitted_, table) * model.fitted_.sample.weight[:, None]
    return _average(model, profiles(model.fitted_, table, gate=False), share, begin, at, end)


def _profiled(
    model: Any, X: Any, times: np.ndarray, by: str, at: Estimate, end: np.ndarray | None = None
) -> pd.DataFrame:
    found = profiles(model.fitted_, model._new_table(X, None), gate=by == "overall")
    data = data_over_time(model.fitted_, found.frame, times, found.average)
    later = None if end is None else data_over_time(model.fitted_, found.frame, end, found.average)
    effects = _effects(model, data, by, at, later)
    names = outcome_names(model.fitted_)
    count = len(effects.estimate) // len(names)
    size = found.size * len(times)
    keys = found.keys.iloc[np.tile(np.repeat(np.arange(found.size), len(times)), count * len(names))]
    keys = keys.reset_index(drop=True)
    if by == "class":
        keys["expert"] = pd.array(np.repeat(np.arange(1, count + 1), size * len(names)), dtype="Int64")
    keys = _with_outcomes(keys, names, count, size)
    keys["time"] = np.tile(times, count * len(names) * found.size)

    def long(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, len(times), found.size).swapaxes(1, 2).ravel()

    return keys.assign(mean=long(effects.estimate), std_error=long(effects.std_error))


def _with_outcomes(keys: pd.DataFrame, names: tuple[str, ...], before: int, after: int) -> pd.DataFrame:
    """A column of outcomes, if there are several: `before` runs over them, each outcome `after` times."""
    return keys.assign(outcome=np.tile(np.repeat(names, after), before)) if len(names) > 1 else keys


def _average(
    model: Any,
    subjects: Profiles,
    share: np.ndarray,
    times: np.ndarray,
    at: Estimate,
    end: np.ndarray | None = None,
) -> pd.DataFrame:
    """Each class at its own average of the design: of rows (class, time) the class's own mean is kept.

    `share` (subject, class) says how much a subject counts.
    """
    rows = (share / share.sum(axis=0))[subjects.code] / np.bincount(subjects.code)[subjects.code, None]
    data = sums_over_time(model.fitted_, subjects.frame, times, rows)
    later = None if end is None else sums_over_time(model.fitted_, subjects.frame, end, rows)
    effects, names = _effects(model, data, "class", at, later), outcome_names(model.fitted_)
    count, size = share.shape[1], len(times)
    own = np.arange(count), slice(None), slice(None), np.arange(count)

    def long(values: np.ndarray) -> np.ndarray:
        return values.reshape(count, len(names), size, count)[own].ravel()

    keys = pd.DataFrame({"expert": pd.array(np.repeat(np.arange(1, count + 1), size * len(names)), dtype="Int64")})
    keys = _with_outcomes(keys, names, count, size).assign(time=np.tile(times, count * len(names)))
    return keys.assign(mean=long(effects.estimate), std_error=long(effects.std_error))


def _overall(model: Any, subjects: Profiles, weight: np.ndarray, times: np.ndarray, at: Estimate) -> pd.DataFrame:
    """The average of subjects' means under the gate, a time after the other."""
    mixture, everybody = model.fitted_.assembled.mixture, np.zeros(subjects.size, dtype=np.int64)

    def at_time(time: float) -> tuple[np.ndarray, np.ndarray]:
        data = data_over_time(model.fitted_, subjects.frame, np.array([time]), subjects.average)
        query, share = _query(model, "overall"), weight / weight.sum()
        found = average_effects(mixture, query, at, _rows(model, data), everybody, share)
        return found.estimate[:, 0], found.std_error[:, 0]

    mean, error = (np.array(part).T.ravel() for part in zip(*map(at_time, times), strict=True))
    names = outcome_names(model.fitted_)
    keys = _with_outcomes(pd.DataFrame(index=range(len(mean))), names, 1, len(times))
    return keys.assign(time=np.tile(times, len(names)), mean=mean, std_error=error)


def predicted_over_time(model: Any, X: Any, times: Any, kind: str) -> pd.DataFrame:
    """`predict(X, times=)`: a row a profile (or subject) and time."""
    fitted = model.fitted_
    table = model._new_table(X, None)
    grid = checked_times(fitted, times, known_times(model, X))
    found = profiles(fitted, table)
    data = data_over_time(fitted, found.frame, grid, found.average)
    names, size = outcome_names(fitted), found.size
    keys = found.keys.iloc[np.repeat(np.arange(size), len(names) * len(grid))].reset_index(drop=True)
    keys = _with_outcomes(keys, names, size, len(grid)).assign(time=np.tile(grid, size * len(names)))

    def long(values: np.ndarray) -> np.ndarray:
        """(outcome, row) -> subjects, outcomes within, times within."""
        return values.reshape(len(names), len(grid), size).transpose(2, 0, 1).ravel()

    if kind == "subject":
        _require_unit(fitted, table)
        subjects = subjects_of(fitted, new_data.with_response(fitted, table))
        mean, error = subject_means(fitted, subjects, data, np.tile(np.arange(size), len(grid)))
        return keys.assign(mean=long(mean), std_error=long(error))
    new = new_data.NewData(data, None, None, data.columns.shape[-1])
    means = outputs.class_means(fitted, new)[0].values
    keys = keys.assign(mean=long(np.einsum("nko,nk->on", means, new_data.class_probability(fitted, new))))
    return keys.assign(**{f"expert_{k + 1}": long(means[:, k].T) for k in range(means.shape[1])})


def predicted_subjects(model: Any, X: Any) -> np.ndarray | pd.DataFrame:
    """`predict(X, kind="subject")`: every row of X given all that is observed of its subject, (row,), or a column an
    outcome of several."""
    fitted, table = model.fitted_, model._new_table(X, None)
    _require_unit(fitted, table)
    subjects = subjects_of(fitted, new_data.with_response(fitted, table))
    rows = new_data.read(fitted, table, response=False, by_unit=False)
    code = number_units(Table(table).raw(fitted.unit_name)[0])[0]
    mean, names = subject_means(fitted, subjects, rows.data, code)[0], outcome_names(fitted)
    return mean[0] if len(names) == 1 else pd.DataFrame(dict(zip(names, mean, strict=True)))


def _require_unit(fitted: Any, table: Any) -> None:
    require_growth(fitted, "kind='subject'")
    if fitted.unit_name not in Table(table).names:
        raise OptionError(f"kind='subject' needs the subjects: column {fitted.unit_name!r} is not in X")
