"""Rare events: how well a fit predicts that a row is in a rare category (or in one of several)."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.model import new_data
from mixstat.estimators.model.checks import choice, integer
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.units import check_weight
from mixstat.exceptions import OptionError
from mixstat.formula.frame import Table
from mixstat.inference import rare_events
from mixstat.inference.rare_events import Forecast
from mixstat.results import plots

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

GROUPED = ("events", "rows")


class RareEvents:
    """Methods of a regression of ordered categories about one event: the response is in a category, or in some.

    `rare` names the category (a list: several together); None is the one of least predicted probability on average. X
    is a table with the response (with y in array mode), None for the data of the fit, on which all models look too
    good: `compare_rare` scores rows that were left out.
    """

    fitted_: "Fitted"

    def cumulative_proba(self, X: Any) -> np.ndarray:
        """P(y <= k | x) of all categories but the last, (row, K - 1)."""
        return np.cumsum(self.predict_proba(X), axis=1)[:, :-1]  # type: ignore[attr-defined]

    def rare_scores(self, X: Any = None, y: Any = None, *, rare: Any = None, sample_weight: Any = None) -> pd.DataFrame:
        """One row: event, n, events, mean_predicted, log_loss, brier, average_precision (the area under precision over
        recall), auc, osce (squared calibration error: sorted predictions in groups of 100 rows or ten groups), and
        calibration_intercept and calibration_slope, 0 and 1 of calibrated predictions."""
        name, forecast = forecast_of(self, X, y, rare, sample_weight)
        return pd.DataFrame([{"event": name, **scores_of(forecast)}])

    def rare_calibration(
        self,
        X: Any = None,
        y: Any = None,
        *,
        rare: Any = None,
        groups: int = 5,
        by: str = "events",
        level: float = 0.95,
        sample_weight: Any = None,
    ) -> pd.DataFrame:
        """Predicted against observed shares in groups of rows of similar prediction.

        by : groups of equal numbers of expected "events", which tell most of a rare one, or of equal numbers of "rows".

        Returns group, n, events, predicted (mean), observed, conf_low, conf_high (Wilson's interval).
        """
        _, forecast = forecast_of(self, X, y, rare, sample_weight)
        table = pd.DataFrame(_grouped(forecast, groups, by, level)._asdict())
        table.insert(0, "group", np.arange(1, len(table) + 1))
        return table

    def plot_rare_calibration(
        self,
        X: Any = None,
        y: Any = None,
        *,
        rare: Any = None,
        groups: int = 5,
        by: str = "events",
        level: float = 0.95,
        ax: Any = None,
    ) -> Any:
        """`rare_calibration` with its intervals, on square-root axes."""
        name, forecast = forecast_of(self, X, y, rare, None)
        return plots.rare_calibration({"": _grouped(forecast, groups, by, level)}, name, ax=ax)

    def precision_recall(self, X: Any = None, y: Any = None, *, rare: Any = None) -> pd.DataFrame:
        """threshold, precision and recall of taking the rows with predictions at or above each threshold."""
        _, forecast = forecast_of(self, X, y, rare, None)
        return pd.DataFrame(
            dict(zip(("threshold", "precision", "recall"), rare_events.precision_recall(forecast), strict=True))
        )

    def plot_precision_recall(self, X: Any = None, y: Any = None, *, rare: Any = None, ax: Any = None) -> Any:
        """Precision over recall; the grey line is the share of events, what guessing attains."""
        _, forecast = forecast_of(self, X, y, rare, None)
        _, precision, recall = rare_events.precision_recall(forecast)
        return plots.precision_recall({"": (precision, recall)}, share_of(forecast), ax=ax)


def forecast_of(model: Any, X: Any, y: Any, rare: Any, sample_weight: Any) -> tuple[str, Forecast]:
    """(what the event is called, its predictions in the rows of X)."""
    check_is_fitted(model, "fitted_")
    fitted = model.fitted_
    table = restricted(*rows_of(model, X, y))
    new = new_data.with_response(fitted, table)
    code = next(iter((new.responses or {}).values())).values[0].astype(int)
    chances = _chances(model, X, table)
    chosen = [int(chances.mean(axis=0).argmin())] if rare is None else named_places(rare, model.classes_)
    if sample_weight is not None:
        given = Table(table).raw(sample_weight)[0] if isinstance(sample_weight, str) else sample_weight
        weight = check_weight(given, len(code), "sample_weight")
    else:
        weight = fitted.sample.row_weight if X is None else np.ones(len(code))
    chance = np.clip(chances[:, chosen].sum(axis=1), 0.0, 1.0)
    return called(model.classes_[chosen]), Forecast(chance, np.isin(code, chosen).astype(float), weight)


def _chances(model: Any, X: Any, table: Any) -> np.ndarray:
    """Probabilities of the categories (row, category); arrays are given without the response that `table` has."""
    if X is not None:
        found: np.ndarray = model.predict_proba(X)
        return found
    if model._representative().formula is None:
        values = pd.DataFrame(table).drop(columns=list(model.fitted_.schema.response_columns))
        return _chances(model, values if hasattr(model, "feature_names_in_") else values.to_numpy(), None)
    return _chances(model, table, None)


def named_places(rare: Any, classes: np.ndarray) -> list[int]:
    """Places of the categories that `rare` names."""
    given = list(rare) if isinstance(rare, list | tuple | set | np.ndarray) else [rare]
    known = list(classes)
    unknown = [category for category in given if category not in known]
    if unknown or not given or len(set(given)) == len(known):
        raise OptionError(f"rare must name one or more of the categories {known}, not all of them; got {rare!r}")
    return sorted({known.index(category) for category in given})


def called(categories: np.ndarray) -> str:
    return " or ".join(map(str, categories))


def share_of(forecast: Forecast) -> float:
    return float(np.average(forecast.event, weights=forecast.weight))


def scores_of(forecast: Forecast) -> dict[str, float]:
    """The columns of `rare_scores` but the event's name."""
    weight = forecast.weight
    intercept, slope = rare_events.recalibration(forecast)
    return {
        "n": float(weight.sum()),
        "events": float(weight @ forecast.event),
        "mean_predicted": float(np.average(forecast.chance, weights=weight)),
        "log_loss": rare_events.mean(rare_events.log_losses(forecast), weight)[0],
        "brier": rare_events.mean(rare_events.brier_losses(forecast), weight)[0],
        "average_precision": rare_events.average_precision(forecast),
        "auc": rare_events.auc(forecast),
        "osce": rare_events.osce(forecast),
        "calibration_intercept": intercept,
        "calibration_slope": slope,
    }


def _grouped(forecast: Forecast, count: int, by: str, level: float) -> rare_events.Groups:
    return rare_events.groups(forecast, integer("groups", count, 2), choice("by", by, GROUPED), checked(level))
