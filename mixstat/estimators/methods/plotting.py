"""Plotting: what a fitted estimator shows of itself. Matplotlib loads on first use; no figure enters pyplot's state."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods import grids
from mixstat.estimators.methods.interoperability import location_names
from mixstat.estimators.methods.over_time import outcome_names, time_column
from mixstat.estimators.methods.shown import expert_means, numeric_responses, observed, shown_response
from mixstat.estimators.model import new_data
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.checks import level as checked
from mixstat.exceptions import DataError, OptionError
from mixstat.formula.frame import Table
from mixstat.inference.gate_effects import GateEffects, gate_effects
from mixstat.results import plots

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted, Training

HOLD = ("median", "average")


class Plotting:
    """Methods that draw a fit on `ax` and return the axes; those of a new figure (None) show themselves in a notebook.

    `data` is a table as in `fit`, None for the data of the fit (which a pickled model does not hold). `names` renames
    the classes, experts first.
    """

    fitted_: "Fitted"
    starts_: pd.DataFrame
    _training: "Training"

    def plot(self, data: Any = None, y: Any = None) -> Any:
        """An overview, one figure: coefficients and, where there are such, gate, fit or trajectories, responsibilities,
        starts."""
        check_is_fitted(self, "fitted_")
        panels: dict[str, Any] = {}
        if len(self.tidy()):  # type: ignore[attr-defined]
            panels["Coefficients"] = self.plot_coefficients
        if grids.gate_covariates(self.fitted_):
            panels["Gate"] = lambda ax: self.plot_gate(data=data, ax=ax)
        numeric = numeric_responses(self.fitted_)
        if self.fitted_.plan.repeated:
            for name in outcome_names(self.fitted_):
                title = "Trajectories" if len(numeric) == 1 else f"Trajectories of {name}"
                panels[title] = partial(self.plot_trajectories, data, response=name)  # type: ignore[attr-defined]
        elif numeric and self.fitted_.schema.raw_columns:
            panels["Fit"] = lambda ax: self.plot_fit(data, y=y, response=numeric[0].name, ax=ax)
        if self.fitted_.assembled.mixture.classes > 1:
            panels["Responsibilities"] = lambda ax: self.plot_responsibilities(data, y, ax=ax)
        panels["Starts"] = self.plot_starts
        return _overview(panels)

    def plot_coefficients(
        self,
        parameter: str | None = None,
        *,
        level: float = 0.95,
        exponentiate: bool = False,
        intercepts: bool = False,
        labels: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Estimates with Wald intervals, a row a term and a colour an expert.

        parameter : one of `tidy()`'s, such as "mean", "sigma" or "gate"; all location parameters if None.
        intercepts : whether to show them beside slopes; a parameter that has only intercepts shows them.
        exponentiate : exp(estimate) on a log axis (rate ratios, odds ratios). labels : new names of terms.
        """
        check_is_fitted(self, "fitted_")
        table = _chosen(self.fitted_, self.tidy(level), parameter, intercepts)  # type: ignore[attr-defined]
        height = 1.0 + 0.32 * table["term"].nunique() + 0.1 * len(table)
        ax = plots.new_figure(6.4, max(height, 2.2)).axes[0] if ax is None else ax
        plots.coefficients(table, ax=ax, exponentiate=exponentiate, labels=labels, names=names_of(self.fitted_, names))
        ax.set_xlabel(f"{'exp(estimate)' if exponentiate else 'Estimate'} ({level:.0%} interval)")
        plots.legend(ax, least=1 if self.fitted_.assembled.mixture.classes > 1 else 2)
        return ax

    def plot_gate(
        self,
        covariate: str | None = None,
        data: Any = None,
        *,
        hold: str = "median",
        level: float | None = 0.95,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """The probability of each class along a covariate of the gate (the first if None), with confidence bands.

        hold : "median" holds the other covariates at their medians and most frequent levels; "average" averages the
            probabilities over the units of `data`, each with its own other covariates.
        level : of the pointwise bands, by the delta method on the logit scale; None draws none.
        """
        check_is_fitted(self, "fitted_")
        choice("hold", hold, HOLD)
        covariate = _gate_covariate(self.fitted_, covariate)
        frame = grids.by_unit(self.fitted_, _frame(self, data, None))
        grid = grids.grid_over(frame, covariate)
        if hold == "median":
            table = grids.held(frame, self.fitted_.schema.raw_columns, covariate, grid)
            designs: Iterable[np.ndarray] = grids.gate_design(self.fitted_, table)[:, None]
        else:
            designs = (grids.gate_design(self.fitted_, part) for part in grids.varied(frame, covariate, grid))
        effects = _effects(self, designs, level)
        x = grid.position if grid.levels is None else np.array(grid.levels)
        low, high = (None, None) if level is None else effects[1:]
        ax = plots.gate_effects(x, effects.probability, low=low, high=high, ax=ax, **_classes(self.fitted_, names))
        ax.set_xlabel(plots.plain(covariate))
        return ax

    def plot_fit(
        self,
        data: Any = None,
        x: str | None = None,
        *,
        y: Any = None,
        response: str | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """The response against the column `x`, points coloured by responsibility, and each expert's mean along `x`.

        Other covariates stand at their medians and most frequent levels. x : the location's first covariate if
        None, of growth curves the time.
        response : which one, where the model has several. y : the response in array mode.
        """
        check_is_fitted(self, "fitted_")
        shown = shown_response(self.fitted_, response)
        x = _axis_covariate(self.fitted_, x)
        frame = _frame(self, data, y, response=True, more=[x])
        new = new_data.with_response(self.fitted_, frame)
        values = observed(self.fitted_, shown, new)
        grid = grids.grid_over(frame, x)
        means = expert_means(self.fitted_, grids.held(frame, self.fitted_.schema.raw_columns, x, grid), shown)
        responsibility = new_data.posterior(self.fitted_, new).responsibility
        responsibility = responsibility if new.unit is None else responsibility[new.unit]
        seen, place = np.isfinite(values), grids.positions(frame, x, grid)
        ax = plots.fitted_means(
            place[seen],
            values[seen],
            responsibility[seen],
            grid.position,
            means,
            levels=grid.levels,
            names=names_of(self.fitted_, names),
            ax=ax,
        )
        ax.set(xlabel=plots.plain(x), ylabel=plots.plain(shown.name))
        return ax

    def plot_responsibilities(
        self, data: Any = None, y: Any = None, *, names: Sequence[str] | None = None, ax: Any = None
    ) -> Any:
        """Histograms of the units' responsibilities, a colour a class, on a square-root scale.

        Units count with their weights in the data of the fit, and equally in other data.
        """
        check_is_fitted(self, "fitted_")
        if self.fitted_.assembled.mixture.classes == 1:
            raise DataError("the model has one class, so all responsibilities are 1: there is nothing to plot")
        new = new_data.with_response(self.fitted_, _frame(self, data, y, response=True))
        responsibility = new_data.posterior(self.fitted_, new).responsibility
        weight = self.fitted_.sample.weight if data is None else None
        return plots.responsibilities(responsibility, weight=weight, ax=ax, **_classes(self.fitted_, names))

    def plot_starts(self, *, ax: Any = None) -> Any:
        """The log-likelihood that each start reached, from best to worst, by kind; the best is ringed."""
        check_is_fitted(self, "fitted_")
        return plots.starts(self.starts_, ax=ax)


def _overview(panels: Mapping[str, Any]) -> Any:
    """Panels by title on one figure, three a row."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = plots.new_figure(4.9 * columns, 3.9 * rows, columns, rows=rows)
    for ax, (title, draw) in zip(figure.axes, panels.items(), strict=False):
        draw(ax=ax)
        ax.set_title(title, loc="left")
    for ax in figure.axes[len(panels) :]:
        ax.remove()
    return figure


def _frame(model: Any, data: Any, y: Any, *, response: bool = False, more: Sequence[str] = ()) -> pd.DataFrame:
    """The columns that the model uses (and `more`), on the rows of the fit or on new ones, without missing values."""
    fitted = model.fitted_
    table, rows = grids.rows_of(model, data, y)
    covariates = [*fitted.schema.raw_columns, *more]
    frame = grids.plain_frame(table, [*covariates, *(fitted.schema.response_columns if response else ())], rows)
    missing = {name: int(frame[name].isna().sum()) for name in covariates if frame[name].isna().any()}
    if missing:
        raise DataError(f"rows with missing values cannot be plotted; by column: {missing}; drop or fill them first")
    opened = Table(table, rows)
    named = [fitted.unit_name] if fitted.unit_name is not None and response else []
    optional = [name for name in (fitted.unit_name, *fitted.known.columns) if name in opened.names]
    for name in dict.fromkeys([*named, *optional]):
        frame[name] = opened.raw(name)[0]
    return frame


def names_of(fitted: "Fitted", names: Sequence[str] | None) -> list[str]:
    """Names of the classes: as given, or of the experts (`rename`), then Noise, Point mass at 0."""
    experts, classes = fitted.assembled.mixture.experts, fitted.assembled.mixture.classes
    if names is not None and len(names) != classes:
        raise OptionError(f"names must hold {classes} names, one a class, got {list(names)!r}")
    if names is not None:
        return [str(name) for name in names]
    atoms = ["" if extra.atom() is None else f" at {extra.atom():g}" for extra in fitted.extras]
    extras = [extra.name.replace("_", " ").capitalize() for extra in fitted.extras[: classes - experts]]
    return list(fitted.expert_names) + [a + b for a, b in zip(extras, atoms, strict=True)]


def _classes(fitted: "Fitted", names: Sequence[str] | None) -> dict[str, Any]:
    return {"names": names_of(fitted, names), "experts": fitted.assembled.mixture.experts}


def _chosen(fitted: "Fitted", table: pd.DataFrame, parameter: str | None, intercepts: bool) -> pd.DataFrame:
    """Rows of `tidy()` of one parameter or of all locations, terms told apart by their parameter."""
    known = list(dict.fromkeys(table["parameter"]))
    if parameter is not None:
        choice("parameter", parameter, known)
    wanted = location_names(fitted) if parameter is None else {parameter}
    table = table[table["parameter"].isin(wanted)]
    slopes = table[table["term"] != "Intercept"]
    table = table if intercepts or slopes.empty else slopes
    if table.empty:
        raise DataError(f"no location coefficient was estimated; give parameter=, one of {known}")
    if table["parameter"].nunique() > 1:
        table = table.assign(term=table["parameter"] + ": " + table["term"])
    return table


def _gate_covariate(fitted: "Fitted", covariate: str | None) -> str:
    known = grids.gate_covariates(fitted)
    if not known:
        raise DataError("the gate has no covariates, so class probabilities are constant: there is nothing to plot")
    return known[0] if covariate is None else choice("covariate", covariate, known)


def _effects(model: Any, designs: Iterable[np.ndarray], level: float | None) -> GateEffects:
    fitted = model.fitted_
    mixture = fitted.assembled.mixture
    size = int(np.prod(mixture.gate.shape))
    zero = np.zeros((size, size))
    covariance = zero if level is None else grids.gate_covariance(fitted, model.covariance())
    coefficients = fitted.phi[-size:].reshape(mixture.gate.shape)
    return gate_effects(coefficients, covariance, designs, 0.95 if level is None else checked(level))


def _axis_covariate(fitted: "Fitted", x: str | None) -> str:
    if x is not None:
        return x
    if fitted.plan.repeated:
        return time_column(fitted)
    known = [*grids.location_covariates(fitted), *fitted.schema.raw_columns]
    if not known:
        raise OptionError("the model has no covariates; x= names the column for the horizontal axis")
    return known[0]
