"""The comparison of models of a rare event on rows that were left out of their fits."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.inference import rare_events
from mixstat.inference.rare_events import Forecast
from mixstat.results.plots import rare_events as plots

LOSSES = {"log_loss": rare_events.log_losses, "brier": rare_events.brier_losses}


class RareComparison(NamedTuple):
    """Scores of left-out rows, a model a row of `table`, in the order of the models.

    `log_loss` and `brier` with `_std_error` over rows, and `_change` from the first model (negative is better) with its
    `_change_std_error`, that of paired differences; `average_precision`, `auc`, `osce`, `calibration_intercept` and
    `calibration_slope` as in `rare_scores`; `mean_predicted`; `not_converged`, of how many folds. `predictions` has a
    row a left-out row: `row` (its position in the data), `event`, `weight` and a column a model.
    """

    event: str
    table: pd.DataFrame
    predictions: pd.DataFrame
    forecasts: Mapping[str, Forecast]

    @classmethod
    def of(
        cls, event: str, forecasts: Mapping[str, Forecast], failed: Mapping[str, int], positions: np.ndarray
    ) -> "RareComparison":
        """From forecasts of the same rows by model, folds without convergence, and positions of the rows."""
        first = next(iter(forecasts.values()))
        rows = [
            {"model": name, **_scores(each, first), "not_converged": failed[name]} for name, each in forecasts.items()
        ]
        chances = {name: forecast.chance for name, forecast in forecasts.items()}
        predictions = pd.DataFrame({"row": positions, "event": first.event, "weight": first.weight, **chances})
        return cls(event, pd.DataFrame(rows), predictions, forecasts)

    def plot_calibration(self, *, groups: int = 5, by: str = "events", level: float = 0.95, ax: Any = None) -> Any:
        """Observed against predicted shares in groups of left-out rows, as `plot_rare_calibration`."""
        found = {name: rare_events.groups(each, groups, by, level) for name, each in self.forecasts.items()}
        return plots.calibration(found, self.event, ax=ax)

    def plot_precision_recall(self, *, ax: Any = None) -> Any:
        """Precision over recall of left-out rows."""
        curves = {name: rare_events.precision_recall(each)[1:] for name, each in self.forecasts.items()}
        first = next(iter(self.forecasts.values()))
        return plots.precision_recall(curves, float(np.average(first.event, weights=first.weight)), ax=ax)

    def __repr__(self) -> str:
        return self.table.to_string(index=False)

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False, escape=True)


def _scores(forecast: Forecast, first: Forecast) -> dict[str, float]:
    found = {}
    for name, loss in LOSSES.items():
        found[name], found[f"{name}_std_error"] = rare_events.mean(loss(forecast), forecast.weight)
        with np.errstate(invalid="ignore"):
            gaps = loss(forecast) - loss(first)
        found[f"{name}_change"], found[f"{name}_change_std_error"] = rare_events.mean(gaps, forecast.weight)
    intercept, slope = rare_events.recalibration(forecast)
    return found | {
        "average_precision": rare_events.average_precision(forecast),
        "auc": rare_events.auc(forecast),
        "osce": rare_events.osce(forecast),
        "calibration_intercept": intercept,
        "calibration_slope": slope,
        "mean_predicted": float(np.average(forecast.chance, weights=forecast.weight)),
    }
