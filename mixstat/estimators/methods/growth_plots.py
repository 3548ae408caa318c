"""Growth plots: trajectories of classes, subjects and covariate profiles, knots, and fit over time."""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.growing import average_trajectories, responsibilities_of
from mixstat.estimators.methods.over_time import (
    checked_times,
    growth_families,
    outcome_names,
    require_growth,
    time_column,
    time_label,
)
from mixstat.estimators.methods.plotting import names_of
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.methods.subjects import (
    expert_means_at,
    observed_values,
    subject_class_means,
    subjects_of,
)
from mixstat.estimators.model import new_data
from mixstat.estimators.model.checks import boolean, choice
from mixstat.estimators.model.units import number_units
from mixstat.exceptions import DataError, OptionError
from mixstat.formula.frame import Table
from mixstat.results import plots

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

KINDS = ("subject", "class")
DRAWN = 2_000
"""Subjects that are drawn one by one."""
BATCH = 5_000
"""Subjects whose rows are looked at together."""


class _Shown(NamedTuple):
    """The response that is drawn: its place among the outcomes, and its name."""

    place: int
    name: str

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """Of trajectories of one or several outcomes, its own."""
        return table[table["outcome"] == self.name] if "outcome" in table else table


class _Some(NamedTuple):
    """Rows of some subjects, their responsibilities (subject, class) if known, and what to say of the others."""

    table: Any
    share: np.ndarray | None
    remark: str


class _Seen(NamedTuple):
    """Observed rows: time, response and subject of each (row,), and where they stand in the table."""

    times: np.ndarray
    values: np.ndarray
    code: np.ndarray
    rows: np.ndarray


class _Explained(NamedTuple):
    """Observed rows: times and values (row,), responsibilities and means of the classes (class, row)."""

    times: np.ndarray
    values: np.ndarray
    share: np.ndarray
    means: np.ndarray


def _each_response(draw: Callable) -> Callable:
    """One panel a response where the model has several and none is named."""

    @wraps(draw)
    def drawn(model: Any, *args: Any, response: str | None = None, ax: Any = None, **options: Any) -> Any:
        check_is_fitted(model, "fitted_")
        require_growth(model.fitted_, f"{draw.__name__}()")
        names = outcome_names(model.fitted_)
        if response is not None or ax is not None or len(names) == 1:
            return draw(model, *args, response=response, ax=ax, **options)
        figure = plots.new_figure(5.0 * len(names), 4.0, len(names))
        for panel, name in zip(figure.axes, names, strict=True):
            draw(model, *args, response=name, ax=panel, **options)
        return figure

    return drawn


class GrowthPlotting:
    """Plots of growth curves on `ax`; `data` is a table as in `fit`, None for the data of the fit.

    Where the model has several responses, `response` names the one to draw; without it a figure of one panel each is
    drawn and returned.
    """

    fitted_: "Fitted"

    @_each_response
    def plot_trajectories(
        self,
        X: Any = None,
        *,
        data: bool = True,
        times: Any = None,
        level: float | None = 0.95,
        response: str | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Class means with pointwise bands over the subjects' own lines, each in the colour of its most probable class.

        X : the subjects, a table as in `fit`; None for those of the fit. Means are at their covariates, averaged by
            class as in `trajectories`.
        data : whether to draw subjects, fainter the less sure their class is; of more than 2000 a random sample is, and
            the plot says so. level : None draws no bands.
        """
        fitted, shown = self.fitted_, _shown(self.fitted_, response)
        rows = restricted(*rows_of(self, X, None))
        grid = _with_knots(self, _times_in(fitted, rows)) if times is None else _distinct(fitted, times)
        share = responsibilities_of(fitted, rows)
        table = average_trajectories(self, X, grid, 0.95 if level is None else level, responsibility=share)
        grid, band = _band(shown.rows(table), level)
        strands = _strands(fitted, _some_of(fitted, rows, share), shown) if boolean("data", data) else None
        named = _with_shares(names_of(fitted, names), share)
        ax = plots.trajectories(grid, band, ax=ax, strands=strands, names=named)
        return _label(self.fitted_, ax, shown)

    @_each_response
    def plot_profiles(
        self,
        X: Any,
        *,
        labels: Sequence[str] | None = None,
        times: Any = None,
        level: float | None = None,
        response: str | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Mean trajectories of each class at the covariate profiles that the rows of X are: a line style a profile.

        labels : of the profiles; None tells the values that differ. level : of pointwise bands, None draws none.
        """
        times, shown = None if times is None else _distinct(self.fitted_, times), _shown(self.fitted_, response)
        table = self.trajectories(X, times, level=0.95 if level is None else level)  # type: ignore[attr-defined]
        table = shown.rows(table)
        key = table.columns[0]
        found = [_band(part, level) for _, part in table.groupby(key, sort=False)]
        labels = _labels(X, len(found)) if labels is None else list(labels)
        if len(labels) != len(found):
            raise DataError(f"labels must hold {len(found)} texts, one a profile, got {len(labels)}")
        named = names_of(self.fitted_, names)
        ax = plots.profiles(found[0][0], [band for _, band in found], labels, ax=ax, names=named)
        return _label(self.fitted_, ax, shown)

    def plot_knots(self, *, level: float = 0.95, names: Sequence[str] | None = None, ax: Any = None) -> Any:
        """Knots (or rates) of each class with Wald intervals; observed times below knots."""
        check_is_fitted(self, "fitted_")
        require_growth(self.fitted_, "plot_knots()")
        known = {name for f in growth_families(self.fitted_) if f.curve is not None for name in f.curve.nonlinear}
        table = self.tidy(level)  # type: ignore[attr-defined]
        table = table[table["parameter"].str.split("[").str[0].isin(known) & (table["term"] == "Intercept")]
        if table.empty:
            raise DataError("the curve has no knots or rates: there is nothing to plot")
        are_knots = all(name.startswith("knot") for name in known)
        shown = time_label(self.fitted_) if are_knots else ", ".join(sorted(known))
        times = _fit_times(self) if are_knots and shown == time_column(self.fitted_) else None
        ax = plots.knots(table, times, ax=ax, names=names_of(self.fitted_, names))
        ax.set_xlabel(plots.plain(shown))
        return ax

    @_each_response
    def plot_observed(
        self,
        data: Any = None,
        *,
        kind: str = "subject",
        bins: int = 12,
        response: str | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Observed means in bins of time (points, 95% intervals) against predicted ones (lines), by class.

        Rows count with responsibilities. kind : "subject" predicts each row given its subject's responses, which
        stays fair where subjects drop out; "class" by the class and covariates alone.
        """
        fitted, shown, known = self.fitted_, _shown(self.fitted_, response), choice("kind", kind, KINDS)
        rows = restricted(*rows_of(self, data, None))
        parts = [_explained(fitted, part, known, shown) for part in _batches(fitted, rows)]
        times, values, share, means = (np.concatenate(leaf, axis=-1) for leaf in zip(*parts, strict=True))
        found = plots.bin_times(times, bins)
        observed, predicted = (plots.bin_means(each, share, found) for each in (values, means))
        ax = plots.observed_means(observed, predicted, found.centre, ax=ax, names=names_of(fitted, names))
        return _label(fitted, ax, shown)

    @_each_response
    def plot_residuals_by_time(
        self,
        data: Any = None,
        *,
        kind: str = "subject",
        response: str | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Residuals over time, classes averaged with responsibilities. Means that bend away from 0 or a changing spread
        tell of a wrong curve or residual structure.

        kind : "subject" takes off what is known of the subject; "class" the class's mean alone. Of more than 2000
        subjects a random sample is drawn, and the plot says so.
        """
        some = _some_of(self.fitted_, restricted(*rows_of(self, data, None)))
        seen = _explained(self.fitted_, some.table, choice("kind", kind, KINDS), _shown(self.fitted_, response))
        residual = seen.values - (seen.means * seen.share).sum(axis=0)
        named = names_of(self.fitted_, names)
        ax = plots.residuals_by_time(seen.times, residual, seen.share.T, ax=ax, names=named, remark=some.remark)
        ax.set(xlabel=plots.plain(time_column(self.fitted_)), ylabel="Residual")
        return ax

    @_each_response
    def plot_changes(
        self,
        times: Any = None,
        *,
        level: float | None = 0.95,
        response: str | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Rates of change of each class between times, those of `changes()`, as steps with pointwise bands."""
        return _steps(self, times, level, _shown(self.fitted_, response), names, ax)


def _shown(fitted: "Fitted", response: str | None) -> _Shown:
    names = outcome_names(fitted)
    if response is None and len(names) > 1:
        raise OptionError(f"the model has several responses; response= must be one of {', '.join(map(repr, names))}")
    place = 0 if response is None else names.index(choice("response", response, names))
    return _Shown(place, names[place])


def _distinct(fitted: "Fitted", times: Any) -> np.ndarray:
    found: np.ndarray = np.unique(checked_times(fitted, times, None))
    return found


def _with_knots(model: Any, known: np.ndarray) -> np.ndarray:
    """A grid over the known times in which knots are points, so that lines bend where classes do."""
    times, table = checked_times(model.fitted_, None, known), model.tidy()
    knots = table.loc[table["parameter"].str.startswith("knot") & (table["term"] == "Intercept"), "estimate"]
    inside = knots[(knots > times.min()) & (knots < times.max())]
    return times if any(f.levels for f in growth_families(model.fitted_)) else np.union1d(times, inside)


def _codes(fitted: "Fitted", table: Any) -> np.ndarray:
    """(row,) the number of the row's subject."""
    return number_units(Table(table).raw(str(fitted.unit_name))[0])[0]


def _some_of(fitted: "Fitted", table: Any, share: np.ndarray | None = None) -> _Some:
    """At most `DRAWN` subjects, chosen at random but always the same."""
    code = _codes(fitted, table)
    count = int(code.max(initial=-1)) + 1
    if count <= DRAWN:
        return _Some(table, share, "")
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:DRAWN])
    some = restricted(table, np.flatnonzero(np.isin(code, chosen)))
    return _Some(some, None if share is None else share[chosen], f"{DRAWN:,} of {count:,} subjects are drawn")


def _batches(fitted: "Fitted", table: Any) -> Iterator[Any]:
    """The rows of `BATCH` subjects at a time."""
    code = _codes(fitted, table)
    for first in range(0, int(code.max(initial=-1)) + 1, BATCH):
        yield restricted(table, np.flatnonzero((code >= first) & (code < first + BATCH)))


def _times_in(fitted: "Fitted", table: Any) -> np.ndarray:
    """Finite times of rows."""
    times = Table(table).column(time_column(fitted)).numbers()
    return times[np.isfinite(times)]


def _seen_in(fitted: "Fitted", new: Any, table: Any, shown: _Shown) -> _Seen:
    """The rows whose response is there."""
    values = observed_values(fitted, new, shown.place)
    seen = np.isfinite(values)
    if not seen.any():
        raise DataError("no row has a response: there is nothing to plot")
    return _Seen(_times_in(fitted, table)[seen], values[seen], new.unit[seen], np.flatnonzero(seen))


def _explained(fitted: "Fitted", table: Any, kind: str, shown: _Shown) -> _Explained:
    """Observed rows with what the model says of them."""
    new = new_data.with_response(fitted, table)
    seen = _seen_in(fitted, new, table, shown)
    rows = new_data.read(fitted, table, response=False, by_unit=False).data.take(seen.rows)
    subjects = subjects_of(fitted, new)
    if kind == "subject":
        found = subject_class_means(fitted, subjects, rows, seen.code)
        means = np.stack([each.mean[shown.place] for each in found])
    else:
        means = expert_means_at(fitted, rows)[:, shown.place]
    return _Explained(seen.times, seen.values, subjects.responsibility[seen.code].T, means)


def _strands(fitted: "Fitted", some: _Some, shown: _Shown) -> plots.Strands:
    assert some.share is not None
    seen = _seen_in(fitted, new_data.with_response(fitted, some.table), some.table, shown)
    order = np.lexsort((seen.times, seen.code))
    code = seen.code[order]
    cuts = np.flatnonzero(np.diff(code)) + 1
    responsibility = some.share[code[np.concatenate([[0], cuts])]]
    return plots.Strands(
        np.split(seen.times[order], cuts),
        np.split(seen.values[order], cuts),
        responsibility.argmax(axis=1),
        responsibility.max(axis=1),
        some.remark,
    )


def _band(table: pd.DataFrame, level: float | None) -> tuple[np.ndarray, plots.Band]:
    """Times (time,) and means (class, time) of one profile."""
    wide = {
        name: table.pivot(index="expert", columns="time", values=name) for name in ("mean", "conf_low", "conf_high")
    }
    values = [part.to_numpy(float) for part in wide.values()]
    times = wide["mean"].columns.to_numpy(float)
    return times, plots.Band(*values) if level is not None else plots.Band(values[0])


def _steps(model: Any, times: Any, level: float | None, shown: _Shown, names: Sequence[str] | None, ax: Any) -> Any:
    table = shown.rows(model.changes(times=times, level=0.95 if level is None else level))
    rates = table[table["quantity"] == "rate"]
    ends = [rates.assign(time=rates[side]).rename(columns={"estimate": "mean"}) for side in ("begin", "end")]
    parts = [_band(end, level) for end in ends]
    grid = np.stack([end for end, _ in parts], axis=1).ravel()
    band = plots.Band(*(np.repeat(leaf, 2, axis=1) for leaf in parts[0][1] if leaf is not None))
    ax = plots.trajectories(grid, band, ax=ax, names=names_of(model.fitted_, names))
    ax.set(xlabel=plots.plain(time_column(model.fitted_)), ylabel=plots.plain(f"Rate of change of {shown.name}"))
    return ax


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


def _label(fitted: "Fitted", ax: Any, shown: _Shown) -> Any:
    ax.set(xlabel=plots.plain(time_column(fitted)), ylabel=plots.plain(shown.name))
    return ax
