"""Survival plots: fitted survival over what was seen, hazards, hazard ratios, calibration, residuals."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.moments import checked_times, known_times, require_survival
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.methods.survival_checks import grouped, times_of
from mixstat.estimators.methods.surviving import profiles_of
from mixstat.estimators.model.checks import boolean, choice
from mixstat.exceptions import OptionError
from mixstat.families.survival.times import Times
from mixstat.inference import kaplan_meier
from mixstat.results import plots
from mixstat.results.plots.survival import AtRisk, Curve, risk_times

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

LABELS = {
    "survival": "Survival",
    "hazard": "Hazard",
    "cumulative_hazard": "Cumulative hazard",
    "density": "Density",
}


class SurvivalPlotting:
    """Plots of survival times on `ax`; X is a table with the response, None for the data of the fit."""

    fitted_: "Fitted"

    def plot_survival(
        self,
        X: Any = None,
        *,
        by: str | None = None,
        km: bool = True,
        at_risk: bool = True,
        times: Any = None,
        level: float | None = 0.95,
        ax: Any = None,
    ) -> Any:
        """Fitted survival, averaged over the rows (of each level of `by`), over Kaplan-Meier's steps.

        km : steps of what was seen (Turnbull's for intervals), with late entries taken into account, and `at_risk`
            numbers under the axis. level : None draws no bands.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "plot_survival()")
        grid = _from_zero(self, X, times)
        table = self.curves(  # type: ignore[attr-defined]
            restricted(*rows_of(self, X, None)), grid, by=True if by is None else by, level=level or 0.95
        )
        groups = grouped(self, X, by)
        lines = []
        for key, seen, weight in groups:
            mine = table if by is None else table[table[by] == key[by]]
            steps = _steps(seen, weight, level) if boolean("km", km) else None
            lines.append(_line("All" if by is None else f"{by} = {key[by]}", grid, mine, level, steps))
        risk = _at_risk(groups, grid) if km and boolean("at_risk", at_risk) and not _intervals(groups) else None
        return plots.survival_curves(lines, LABELS["survival"], at_risk=risk, ax=ax)

    def plot_curves(
        self,
        X: Any = None,
        *,
        kind: str = "hazard",
        by_class: bool = False,
        times: Any = None,
        level: float | None = 0.95,
        ax: Any = None,
    ) -> Any:
        """Hazard, cumulative hazard, density or survival of the rows of X, a line each (at most eight).

        X : profiles; None for one typical profile. by_class : each expert's curve of the first profile.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "plot_curves()")
        choice("kind", kind, tuple(LABELS))
        profiles = profiles_of(self, X)
        grid = known_times(self) if times is None else checked_times(times)
        table = self.curves(profiles, grid, kind=kind, by_class=by_class, level=level or 0.95)  # type: ignore[attr-defined]
        column = "expert" if by_class else "rowid"
        chosen = table[table["rowid"] == 0] if by_class else table
        names = list(chosen[column].unique())
        if len(names) > 8:
            raise OptionError(f"plot_curves() draws at most 8 profiles, got {len(names)}; choose some rows of X")
        shown = self.fitted_.expert_names
        lines = [
            _line(_name(name, shown) if by_class else f"row {name}", grid, chosen[chosen[column] == name], level, None)
            for name in names
        ]
        return plots.survival_curves(lines, LABELS[kind], ax=ax)

    def plot_hazard_ratio(
        self, variable: str, times: Any = None, X: Any = None, *, step: Any = None, level: float = 0.95, ax: Any = None
    ) -> Any:
        """`hazard_ratio` over time with its band, of the first profile."""
        grid = known_times(self) if times is None else checked_times(times)
        table = self.hazard_ratio(variable, grid, X, step=step, level=level)  # type: ignore[attr-defined]
        first = table[table["rowid"] == 0]
        lines = [
            _line(f"{variable}: {name}", grid, first[first["contrast"] == name], level, None)
            for name in first["contrast"].unique()
        ]
        ax = plots.survival_curves(lines, "Hazard ratio", ax=ax)
        ax.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
        return ax

    def plot_calibration(self, time: float, X: Any = None, *, groups: int = 5, ax: Any = None) -> Any:
        """`calibration` at one time."""
        table = self.calibration(time, X, groups=groups)  # type: ignore[attr-defined]
        columns = (table[name].to_numpy() for name in ("predicted", "observed", "conf_low", "conf_high"))
        return plots.survival_calibration(*columns, ax=ax)

    def plot_cox_snell(self, X: Any = None, *, ax: Any = None) -> Any:
        """Kaplan-Meier's estimate of the Cox-Snell residuals against the unit exponential they follow if the model is
        true."""
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "plot_cox_snell()")
        residual = self.survival_residuals(X, "cox_snell")  # type: ignore[attr-defined]
        seen, weight = times_of(self, X)
        zero = np.zeros(len(residual))
        as_times = Times(zero, residual, np.where(seen.censored, np.inf, residual), zero)
        steps = _steps(as_times, weight, 0.95)
        grid = np.linspace(0.0, float(residual.max()), 101)
        return plots.survival_curves([Curve("Unit exponential", grid, np.exp(-grid), None, steps)], "Survival", ax=ax)


def _from_zero(model: Any, X: Any, times: Any) -> np.ndarray:
    if times is not None:
        return checked_times(times)
    seen, _ = times_of(model, X)
    return np.linspace(0.0, float(seen.last.max()), 101)


def _line(label: str, grid: np.ndarray, table: pd.DataFrame, level: float | None, steps: Any) -> Curve:
    band = None if level is None else (table["conf_low"].to_numpy(), table["conf_high"].to_numpy())
    return Curve(label, grid, table["estimate"].to_numpy(), band, steps)


def _steps(times: Times, weight: np.ndarray, level: float | None) -> tuple:
    found = kaplan_meier.estimate(times, weight, level or 0.95)
    last = float(times.last[weight > 0].max())
    if not len(found.time) or last <= found.time[-1]:
        return found.time, found.survival, found.conf_low, found.conf_high
    return np.append(found.time, last), *(np.append(part, part[-1]) for part in found[1:4])


def _intervals(groups: list[tuple[dict, Times, np.ndarray]]) -> bool:
    return any(times.between.any() for _, times, _ in groups)


def _at_risk(groups: list[tuple[dict, Times, np.ndarray]], grid: np.ndarray) -> AtRisk:
    ticks = risk_times(float(grid[-1]))
    places = np.maximum(ticks, 1e-12)
    numbers = [np.round(kaplan_meier.number_at_risk(times, weight, places), 1) for _, times, weight in groups]
    return AtRisk(ticks, np.array(numbers))


def _name(expert: int, names: Any) -> str:
    return names[expert - 1] if expert <= len(names) else "Never"
