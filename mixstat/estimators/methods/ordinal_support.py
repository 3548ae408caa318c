"""Ordinal support: which slopes of a penalised fit are kept again with other weights, and a refit of those kept."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.model.checks import choice, integer, number
from mixstat.estimators.model.fitting import prepare, standardize
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.report import labels_of, zeroed
from mixstat.estimators.model.state import training_of
from mixstat.exceptions import OptionError
from mixstat.fit.fused_model import Placed, placed
from mixstat.fit.precision import double
from mixstat.fit.progress import counting
from mixstat.inference import support
from mixstat.results.selection_stability import SelectionStability

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

STEPS = 15
"""Penalties of a stability path beside the fit's own."""


class OrdinalSupport:
    """Methods of a penalised `OrdinalRegression`, whose naive standard errors are not given. They need the data."""

    fitted_: "Fitted"

    @double
    def selection_stability(
        self,
        replicates: int = 100,
        *,
        weights: str = "exponential",
        threshold: float = 0.75,
        path: bool = False,
        level: float = 0.95,
        random_state: Any = None,
    ) -> SelectionStability:
        """How often each slope is kept when the rows are weighed anew and the model is fitted again.

        weights : "exponential" (the Bayesian bootstrap, in which every row of a rare category stays), "multinomial"
            (Efron's bootstrap), or "half" (stability selection: halves of the rows of each category in complementary
            pairs, with a bound on the number of slopes that are stable by chance).
        threshold : share of replicates from which a slope is called stable.
        path : whether to follow larger penalties as well, for `plot_path`.
        level : of the quantiles `low` and `high`.

        The penalty stays what it is: after `OrdinalRegressionCV` its choice does not vary. Shows progress; an interrupt
        returns what is done.
        """
        check_is_fitted(self, "fitted_")
        kind, count = choice("weights", weights, support.KINDS), integer("replicates", replicates, 2)
        least = number("threshold", threshold, high=1.0)
        if not least > 0.5:
            raise OptionError(f"threshold must be above 0.5, got {threshold!r}")
        place, scale = _placed(self)
        penalties = _penalties(place) if path else np.array([place.lam])
        rows = place.fused.rows
        drawn = support.draws(generator(random_state), rows.weight, rows.code, kind)
        with counting("replicates", count, silent=not self.verbose) as advance:  # type: ignore[attr-defined]
            psi = support.resample(place.fused, penalties, drawn, count, advance=advance)
        return _stability(self.fitted_, place, 0.0 - psi / scale, penalties, (kind, least, level))

    def refit_selected(self) -> Any:
        """A debiased refit: maximum likelihood of the slopes that this fit keeps, the others fixed at zero.

        Returns an unpenalised fit. Its standard errors and tests take the selection as given, and are too small for
        what was chosen by the same data; `selection_stability` tells how far the selection is to be trusted.
        """
        check_is_fitted(self, "fitted_")
        if not self.fitted_.assembled.named.penalty.any():
            raise OptionError("refit_selected() is of a fit with penalty=; this one has none, and needs no refit")
        from mixstat.estimators.ordinal_refit import refitted

        labels, gone = labels_of(self.fitted_), zeroed(self.fitted_)
        zeros = frozenset((label.parameter, label.term) for label, zero in zip(labels, gone, strict=True) if zero)
        return refitted(self, zeros)


def _placed(model: Any) -> tuple[Placed, np.ndarray]:
    """The problem of a penalised fit, and the scales of its columns in the user's units."""
    training = training_of(model)
    request = model._request(training.formula)
    prepared = prepare(training.table, request, training.sample_weight)
    standardized = standardize(request, prepared)
    place = placed(standardized.model.weighted(1 / prepared.sample.weight_unit))
    if place is None:
        raise OptionError(
            "selection_stability() needs a penalty, a link other than 'cauchit', and no scale=, offset, shared= or "
            "fixed=; bootstrap() resamples other fits"
        )
    jacobian = np.diag(model.fitted_.jacobian)
    return place, 1.0 / jacobian[place.slopes]


def _penalties(place: Placed) -> np.ndarray:
    """From the least penalty under which no slope moves down to the fit's own."""
    largest = place.fused.largest()
    if largest <= place.lam:
        return np.array([place.lam])
    return np.append(np.geomspace(largest, place.lam, STEPS + 1)[:-1], place.lam)


def _stability(
    fitted: "Fitted", place: Placed, slopes: np.ndarray, penalties: np.ndarray, asked: tuple[str, float, float]
) -> SelectionStability:
    kind, threshold, level = asked
    labels, theta = labels_of(fitted), fitted.theta[place.slopes].ravel()
    names = [labels[at] for at in place.slopes.ravel()]
    flat = slopes.reshape(len(slopes), len(penalties), -1)
    last, kept = flat[:, -1], (flat != 0).mean(axis=0)
    with np.errstate(invalid="ignore"):
        same = np.where(theta != 0, (np.sign(last) == np.sign(theta)).mean(axis=0), np.nan)
    low, high = np.quantile(last, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    named = {"parameter": [name.parameter for name in names], "term": [name.term for name in names]}
    found = {"estimate": theta, "kept": kept[-1], "same_sign": same, "low": low, "high": high}
    table = pd.DataFrame(named | found | {"stable": kept[-1] >= threshold})
    path = pd.concat(
        [pd.DataFrame({"penalty": lam, **named, "kept": share}) for lam, share in zip(penalties, kept, strict=True)],
        ignore_index=True,
    )
    average = float((last != 0).sum(axis=1).mean())
    bound = support.bound(average, last.shape[1], threshold) if kind == "half" else np.nan
    return SelectionStability(table, path, threshold, bound, len(slopes), kind, {"This fit": float(penalties[-1])})
