"""Interoperability: fitted estimators as other packages read them; none of these packages is a dependency.

maketables looks for attributes of given names (its plug-in format); marginaleffects takes an object of its own base
class, which `to_marginaleffects` makes on demand.
"""

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.grids import plain_frame, rows_of
from mixstat.estimators.model import new_data, report
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.slots import by_key
from mixstat.exceptions import OptionError
from mixstat.inference import natural

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

KINDS = ("mean", "expert_mean", "gate")
STATISTICS = {
    "N": "n_units",
    "ll": "log_likelihood",
    "aic": "aic",
    "bic": "bic",
    "icl": "icl",
    "entropy": "entropy",
    "n_rows": "n_rows",
    "n_experts": "n_experts",
    "n_parameters": "n_parameters",
}
"""maketables' names of statistics, and ours."""


class Interoperability:
    """What other packages ask of a fit."""

    fitted_: "Fitted"

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """b, se, t, p, ci95l, ci95u, one row a coefficient under a name of its own ("expert 1, x")."""
        check_is_fitted(self, "fitted_")
        table = self.tidy(0.95)  # type: ignore[attr-defined]
        columns = ["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
        renamed = table[columns].set_axis(["b", "se", "t", "p", "ci95l", "ci95u"], axis=1)
        return renamed.set_axis(pd.Index(flat_names(self.fitted_, table), name="Coefficient"), axis=0)

    def __maketables_stat__(self, key: str) -> Any:
        """The statistic of this name, None where there is no such."""
        check_is_fitted(self, "fitted_")
        if key == "se_type":
            return "observed information"
        return report.facts_of(self.fitted_)[STATISTICS[key]] if key in STATISTICS else None

    @property
    def __maketables_depvar__(self) -> str:
        check_is_fitted(self, "fitted_")
        return ", ".join(self.fitted_.schema.response_columns)

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        return {"vcov_type": "observed information", "clustervar": None}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "n_parameters", "ll", "aic", "bic"]

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        labels = {"N": "Units", "icl": "ICL", "entropy": "Relative entropy", "n_rows": "Rows", "n_experts": "Experts"}
        return {**labels, "n_parameters": "Parameters"}

    def to_marginaleffects(self, data: Any = None, *, kind: str = "mean") -> Any:
        """This fit for marginaleffects: `avg_slopes(m.to_marginaleffects(data), variables="x")`.

        data : a table as in `fit`, None for the data of the fit. kind : "mean" E[y | x], by column for several
            responses and by category for a categorical one; "expert_mean" by expert; "gate" class probabilities.
        Needs the package marginaleffects (GPL-3, installed by the user). Standard errors come from `covariance()`;
        pass another as `vcov=`, such as `m.covariance("robust")`.
        """
        check_is_fitted(self, "fitted_")
        return _adapter(self, data, choice("kind", kind, KINDS))


def flat_names(fitted: "Fitted", table: pd.DataFrame) -> list[str]:
    """A distinct name of every row of `tidy()`: "x" of one expert alone, "expert 1, x", "shared, sigma, Intercept".

    The location's parameter is left out where there is only one. Neither a colon nor a bracket: maketables reads
    an interaction or a level from them.
    """
    single = fitted.assembled.mixture.classes == 1
    locations = location_names(fitted)
    names = []
    for expert, parameter, term in zip(table["expert"].fillna(0), table["parameter"], table["term"], strict=True):
        who = "gate" if parameter == GATE else "expert"
        parts = [] if single else [f"{who} {expert}" if expert else "shared"]
        shown = parameter.replace("[", "(").replace("]", ")")
        parts += [] if parameter == GATE or locations == {parameter} else [shown]
        names.append(", ".join([*parts, term]))
    return names


def location_names(fitted: "Fitted") -> set[str]:
    """What `tidy()` calls the location parameters."""
    several = fitted.plan.has_several_outcomes
    return {
        f"{parameter.name}[{slot.response}]" if several else parameter.name
        for slot in by_key(fitted.assembled.stacks).values()
        for parameter in slot.family.parameters
        if parameter.location
    }


def _adapter(model: Any, data: Any, kind: str) -> Any:
    """An instance of a subclass of marginaleffects' base class."""
    try:
        import polars as pl
        from marginaleffects.classes import ModelAbstract, ModelVault
    except ImportError as error:
        raise ImportError(
            "to_marginaleffects needs the package marginaleffects: pip install marginaleffects"
        ) from error

    class MixstatModel(ModelAbstract):
        """Predictions of a fit at moved coefficients; the rows that stand for the data are the data themselves."""

        def get_exog(self, newdata: Any) -> Any:
            return newdata

        def get_predict(self, params: Any, newdata: Any) -> Any:
            values, groups = predictions(moved(model, np.asarray(params, dtype=float)), newdata, kind)
            rowid = pl.Series("rowid", np.arange(len(values)), dtype=pl.Int32)
            if groups is None:
                return pl.DataFrame({"rowid": rowid, "estimate": values[:, 0]})
            parts = [
                pl.DataFrame({"rowid": rowid, "group": [group] * len(values), "estimate": column})
                for group, column in zip(groups, values.T, strict=True)
            ]
            return pl.concat(parts)

    frame = _model_frame(model, data)
    covariance = model.covariance()
    known = report.estimated(model.fitted_, covariance)
    vault = ModelVault(
        coef=model.fitted_.theta[known],
        coefnames=np.array(flat_names(model.fitted_, model.tidy())),
        formula=_formula(model.fitted_),
        variable_names=[*model.fitted_.schema.response_columns[:1], *model.fitted_.schema.raw_columns],
        modeldata=pl.DataFrame({name: _polars_column(frame[name], pl) for name in frame}),
        vcov=covariance[np.ix_(known, known)],
        package="mixstat",
    )
    return MixstatModel(model, vault)


def _formula(fitted: "Fitted") -> str:
    """The columns used, as a formula that says no more: marginaleffects reads names from it."""
    for name in (*fitted.schema.response_columns, *fitted.schema.raw_columns):
        if not name.isidentifier():
            raise OptionError(f"marginaleffects needs columns named like variables, not {name!r}; rename it and refit")
    return f"{fitted.schema.response_columns[0]} ~ {' + '.join(fitted.schema.raw_columns) or '1'}"


def _model_frame(model: Any, data: Any) -> pd.DataFrame:
    schema = model.fitted_.schema
    table, rows = rows_of(model, data, None)
    return plain_frame(table, [*schema.raw_columns, *schema.response_columns], rows)


def _polars_column(values: pd.Series, pl: Any) -> Any:
    """Levels as Categorical, which marginaleffects asks for; numbers and booleans as they are."""
    if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype == object:
        return pl.Series(values.astype(str).tolist(), dtype=pl.Categorical)
    return pl.Series(values.to_numpy())


def moved(model: Any, theta: np.ndarray) -> Any:
    """A copy of a fit with the estimated parameters at `theta` (user's scale), in the order of `tidy()`."""
    fitted = model.fitted_
    known = report.estimated(fitted, model.covariance())
    full = fitted.theta.copy()
    full[known] = theta
    other = copy(model)
    mixture, ties = fitted.assembled.mixture, fitted.assembled.named.ties
    other.fitted_ = fitted._replace(theta=full, phi=natural.hidden(mixture, ties.expand(full), fitted.phi))
    return other


def predictions(model: Any, table: Any, kind: str) -> tuple[np.ndarray, list[str] | None]:
    """(values (row, group), names of the groups or None for one alone)."""
    fitted = model.fitted_
    experts, classes = fitted.assembled.mixture.experts, fitted.assembled.mixture.classes
    if kind == "gate":
        new = new_data.read(fitted, table, response=False, by_unit=False)
        return new_data.row_gate(fitted, new), [f"class {k}" for k in range(1, classes + 1)]
    if kind == "expert_mean":
        means = model.predict(table, kind="expert_mean")
        if isinstance(means, list) or means.ndim != 2:
            raise OptionError("kind='expert_mean' needs one response of numbers; use kind='mean'")
        return means[:, :experts], [f"expert {k}" for k in range(1, experts + 1)]
    if model._family().categories:
        return model.predict_proba(table), [str(level) for level in model.classes_]
    mean = model.predict(table)
    if isinstance(mean, pd.DataFrame):
        return mean.to_numpy(float), [str(name) for name in mean.columns]
    names = fitted.schema.response_columns
    return (mean[:, None], None) if mean.ndim == 1 else (mean, list(names))
