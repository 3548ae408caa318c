"""Growth plots: trajectories of classes, subjects and covariate profiles, knots, and fit over time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.growing import average_trajectories
from mixstat.estimators.methods.over_time import checked_times, growth_families, require_growth, time_column, time_label
from mixstat.estimators.methods.plotting import names_of
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.methods.subjects import (
    Subjects,
    expert_means_at,
    observed_values,
    subject_class_means,
    subjects_of,
)
from mixstat.estimators.model import new_data
from mixstat.estimators.model.checks import boolean, choice
from mixstat.exceptions import DataError
from mixstat.formula.frame import Table
from mixstat.results import plots

if TYPE_CHECKING:
    from mixstat.core.design import Data
    from mixstat.estimators.model.state import Fitted

KINDS = ("subject", "class")


class _Seen(NamedTuple):
    """Observed rows of a table: time, response and subject of each, their design, and the subjects."""

    times: np.ndarray
    values: np.ndarray
    code: np.ndarray
    data: "Data"
    subjects: Subjects
    units: np.ndarray


class GrowthPlotting:
    """Plots of growth curves on `ax`; `data` is a table as in `fit`, None for the data of the fit."""

    fitted_: "Fitted"

    def plot_trajectories(
        self,
        X: Any = None,
        *,
        data: bool = True,
        times: Any = None,
        level: float | None = 0.95,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Class means with pointwise bands over the subjects' own lines, each in the colour of its most probable class.

        X : the subjects, a table as in `fit`; None for those of the fit. Means are at their covariates, averaged by
            class as in `trajectories`.
        data : whether to draw subjects, fainter the less sure their class is. level : None draws no bands.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "plot_trajectories()")
        seen = _observed(self, X)
        grid = _with_knots(self, seen.times) if times is None else _distinct(self.fitted_, times)
        table = average_trajectories(self, X, grid, 0.95 if level is None else level)
        grid, band = _band(table, level)
        strands = _strands(seen) if boolean("data", data) else None
        named = _with_shares(names_of(self.fitted_, names), seen.subjects.responsibility)
        ax = plots.trajectories(grid, band, ax=ax, strands=strands, names=named)
        return _label(self.fitted_, ax)

    def plot_profiles(
        self,
        X: Any,
        *,
        labels: Sequence[str] | None = None,
        times: Any = None,
        level: float | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Mean trajectories of each class at the covariate profiles that the rows of X are: a line style a profile.

        labels : of the profiles; None tells the values that differ. level : of pointwise bands, None draws none.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "plot_profiles()")
        times = None if times is None else _distinct(self.fitted_, times)
        table = self.trajectories(X, times, level=0.95 if level is None else level)  # type: ignore[attr-defined]
        key = table.columns[0]
        found = [_band(part, level) for _, part in table.groupby(key, sort=False)]
        labels = _labels(X, len(found)) if labels is None else list(labels)
        if len(labels) != len(found):
            raise DataError(f"labels must hold {len(found)} texts, one a profile, got {len(labels)}")
        named = names_of(self.fitted_, names)
        ax = plots.profiles(found[0][0], [band for _, band in found], labels, ax=ax, names=named)
        return _label(self.fitted_, ax)

    def plot_knots(self, *, level: float = 0.95, names: Sequence[str] | None = None, ax: Any = None) -> Any:
        """Knots (or rates) of each class with Wald intervals; observed times below knots."""
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "plot_knots()")
        known = {name for f in growth_families(self.fitted_) if f.curve is not None for name in f.curve.nonlinear}
        table = self.tidy(level)  # type: ignore[attr-defined]
        table = table[table["parameter"].isin(known) & (table["term"] == "Intercept")]
        if table.empty:
            raise DataError("the curve has no knots or rates: there is nothing to plot")
        are_knots = all(name.startswith("knot") for name in known)
        shown = time_label(self.fitted_) if are_knots else ", ".join(sorted(known))
        times = _fit_times(self) if are_knots and shown == time_column(self.fitted_) else None
        ax = plots.knots(table, times, ax=ax, names=names_of(self.fitted_, names))
        ax.set_xlabel(plots.plain(shown))
        return ax

    def plot_observed(
        self,
        data: Any = None,
        *,
        kind: str = "subject",
        bins: int = 12,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Observed means in bins of time (points, 95% intervals) against predicted ones (lines), by class.

        Rows count with responsibilities. kind : "subject" predicts each row given its subject's responses, which
        stays fair where subjects drop out; "class" by the class and covariates alone.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "plot_observed()")
        seen = _observed(self, data)
        means = _row_means(self.fitted_, seen, choice("kind", kind, KINDS))
        share = seen.subjects.responsibility[seen.code].T
        found = plots.bin_times(seen.times, bins)
        observed, predicted = (plots.bin_means(values, share, found) for values in (seen.values, means))
        named = names_of(self.fitted_, names)
        ax = plots.observed_means(observed, predicted, found.centre, ax=ax, names=named)
        return _label(self.fitted_, ax)

    def plot_residuals_by_time(
        self, data: Any = None, *, kind: str = "subject", names: Sequence[str] | None = None, ax: Any = None
    ) -> Any:
        """Residuals over time, classes averaged with responsibilities. Means that bend away from 0 or a changing spread
        tell of a wrong curve or residual structure.

        kind : "subject" takes off what is known of the subject; "class" the class's mean alone.
        """
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "plot_residuals_by_time()")
        seen = _observed(self, data)
        means = _row_means(self.fitted_, seen, choice("kind", kind, KINDS))
        share = seen.subjects.responsibility[seen.code]
        residual = seen.values - np.einsum("kn,nk->n", means, share)
        ax = plots.residuals_by_time(seen.times, residual, share, ax=ax, names=names_of(self.fitted_, names))
        ax.set(xlabel=plots.plain(time_column(self.fitted_)), ylabel="Residual")
        return ax


def _distinct(fitted: "Fitted", times: Any) -> np.ndarray:
    found: np.ndarray = np.unique(checked_times(fitted, times, None))
    return found


def _with_knots(model: Any, known: np.ndarray) -> np.ndarray:
    """A grid over the known times in which knots are points, so that lines bend where classes do."""
    times, table = checked_times(model.fitted_, None, known), model.tidy()
    knots = table.loc[table["parameter"].str.startswith("knot") & (table["term"] == "Intercept"), "estimate"]
    inside = knots[(knots > times.min()) & (knots < times.max())]
    return times if any(f.levels for f in growth_families(model.fitted_)) else np.union1d(times, inside)


def _observed(model: Any, data: Any) -> _Seen:
    fitted = model.fitted_
    table = restricted(*rows_of(model, data, None))
    new = new_data.with_response(fitted, table)
    values = observed_values(fitted, new)
    seen = np.isfinite(values)
    times = Table(table).column(time_column(fitted)).numbers()
    assert new.unit is not None
    rows = new_data.read(fitted, table, response=False, by_unit=False).data.take(np.flatnonzero(seen))
    return _Seen(times[seen], values[seen], new.unit[seen], rows, subjects_of(fitted, new), new.unit)


def _row_means(fitted: "Fitted", seen: _Seen, kind: str) -> np.ndarray:
    """(class, row)."""
    if kind == "subject":
        found = subject_class_means(fitted, seen.subjects, seen.data, seen.code)
        return np.stack([each.mean[0] for each in found])
    return expert_means_at(fitted, seen.data)


def _strands(seen: _Seen) -> plots.Strands:
    order = np.lexsort((seen.times, seen.code))
    code = seen.code[order]
    cuts = np.flatnonzero(np.diff(code)) + 1
    whose = code[np.concatenate([[0], cuts])]
    responsibility = seen.subjects.responsibility[whose]
    return plots.Strands(
        np.split(seen.times[order], cuts),
        np.split(seen.values[order], cuts),
        responsibility.argmax(axis=1),
        responsibility.max(axis=1),
    )


def _band(table: pd.DataFrame, level: float | None) -> tuple[np.ndarray, plots.Band]:
    """Times (time,) and means (class, time) of one profile."""
    wide = {
        name: table.pivot(index="expert", columns="time", values=name) for name in ("mean", "conf_low", "conf_high")
    }
    values = [part.to_numpy(float) for part in wide.values()]
    times = wide["mean"].columns.to_numpy(float)
    return times, plots.Band(*values) if level is not None else plots.Band(values[0])


def _with_shares(names: Sequence[str], responsibility: np.ndarray) -> list[str]:
    if len(names) == 1:
        return list(names)
    return [f"{name} ({share:.0%})" for name, share in zip(names, responsibility.mean(axis=0), strict=True)]


def _labels(X: Any, count: int) -> list[str]:
    """What tells the profiles apart."""
    table = Table(X)
    columns = {str(name): table.raw(name)[0] for name in table.names}
    if table.n_rows != count:
        return [str(place + 1) for place in range(count)]
    apart = {name: v for name, v in columns.items() if len(pd.unique(pd.Series(v))) > 1} or columns
    return [", ".join(f"{name} = {_spelled(v[row])}" for name, v in apart.items()) for row in range(count)]


def _spelled(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def _fit_times(model: Any) -> np.ndarray | None:
    if getattr(model, "_training", None) is None:
        return None
    return Table(restricted(*rows_of(model, None, None))).column(time_column(model.fitted_)).numbers()


def _label(fitted: "Fitted", ax: Any) -> Any:
    ax.set(xlabel=plots.plain(time_column(fitted)), ylabel=plots.plain(fitted.assembled.stacks[0][0][0].response))
    return ax
