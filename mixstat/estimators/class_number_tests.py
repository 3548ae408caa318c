"""Tests of the number of experts: parametric-bootstrap likelihood ratio, and Vuong-Lo-Mendell-Rubin."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.estimators.mixture import require_mixture
from mixstat.estimators.model.checks import integer
from mixstat.estimators.model.fitting import Prepared, maximize_prepared, prepare, with_draws
from mixstat.estimators.model.new_data import NewData
from mixstat.estimators.model.outputs import draw
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.state import Fitted, Request, Training, given_or_training, uninterrupted
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.progress import counting, warn_of_interrupt
from mixstat.inference.vuong import vuong_lo_mendell_rubin


class BootstrapLRT(NamedTuple):
    """Test of `n_experts` against one more.

    `statistic` 2 (l_1 - l_0); `p_value` = (1 + number of replicates at or above it) / (1 + replicates);
    `replicates` their statistics (a replicate that failed is NaN and counts as exceeding); `failed` and `negative`
    count replicates that could not be fitted, and those whose larger model came out below the smaller one.
    """

    n_experts: int
    statistic: float
    p_value: float
    replicates: np.ndarray
    failed: int
    negative: int
    log_likelihoods: tuple[float, float]

    def tidy(self) -> pd.DataFrame:
        """The test in one row."""
        row = {"n_experts": self.n_experts, "alternative": self.n_experts + 1, "statistic": self.statistic}
        row |= {"p_value": self.p_value, "replicates": len(self.replicates)}
        return pd.DataFrame([row | {"failed": self.failed, "negative": self.negative}])


def bootstrap_lrt(
    model: Any,
    X: Any = None,
    y: Any = None,
    *,
    n_experts: int | None = None,
    replicates: int = 200,
    n_init: int = 5,
    sample_weight: Any = None,
    random_state: Any = None,
) -> BootstrapLRT:
    """Parametric-bootstrap likelihood-ratio test of K against K + 1 experts.

    Responses are drawn from the fit with K experts at the rows' own covariates and weights; both models are fitted to
    each draw, both from `n_init` starts and K also from the estimate that made the draw. The usual chi-square does not
    hold, because K experts lie on the boundary of K + 1 (McLachlan, 1987, Applied Statistics 36).

    model : MixtureOfExperts, fitted (X may be left out) or not; `n_experts` is K, by default the model's.
    n_init : starts of each fit to a draw; the observed data are fitted with the model's own.

    Shows progress; an interrupt returns the test on the replicates that are done, with a warning.
    """
    require_mixture(model)
    training = given_or_training(model, X, y, sample_weight)
    count = integer("replicates", replicates, 1)
    smaller = integer("n_experts", model.n_experts if n_experts is None else n_experts, 1)
    pair = [_Side.of(model, training, k, integer("n_init", n_init, 1)) for k in (smaller, smaller + 1)]
    drawn = _statistics(pair, count, generator(random_state), silent=not model.verbose)
    null, alternative = (side.fitted.solution.log_likelihood for side in pair)
    statistic = 2 * (alternative - null)
    exceeding = int((np.isnan(drawn) | (drawn >= statistic - 1e-9)).sum())
    return BootstrapLRT(
        smaller,
        float(statistic),
        (1 + exceeding) / (1 + len(drawn)),
        drawn,
        int(np.isnan(drawn).sum()),
        int((drawn < -1e-6).sum()),
        (null, alternative),
    )


class _Side(NamedTuple):
    """One of the two models: how it is fitted to draws, its rows, and its fit to the observed data."""

    request: Request
    prepared: Prepared
    fitted: Fitted

    @classmethod
    def of(cls, model: Any, training: Training, number: int, n_init: int) -> "_Side":
        candidate = model._resized(number)
        if candidate.prior_classes is not None:
            raise OptionError("bootstrap_lrt() is for models without prior_classes")
        request = candidate._request(training.formula)
        prepared = prepare(training.table, request, training.sample_weight)
        fitted = uninterrupted(maximize_prepared(request, prepared)[0])
        quiet = replace(request.options, n_init=n_init, verbose=0)
        return cls(request._replace(options=quiet), prepared, fitted)

    def log_likelihood(self, draws: list[np.ndarray], rng: np.random.Generator, start: Any = None) -> float:
        request = self.request._replace(rng=rng, start=start)
        fitted, _ = maximize_prepared(request, with_draws(request, self.prepared, draws))
        return uninterrupted(fitted).solution.log_likelihood


class _Warm(NamedTuple):
    """A fitted state where `start=` expects a fitted estimator."""

    fitted_: Fitted


def _statistics(pair: list[_Side], count: int, rng: np.random.Generator, *, silent: bool) -> np.ndarray:
    """Of `count` replicates, after an interrupt of those that are done."""
    statistics: list[float] = []
    with counting("bootstrap LRT", count, silent=silent) as advance:
        try:
            for _ in range(count):
                statistics.append(_replicate(pair, rng))
                advance()
        except KeyboardInterrupt:
            if not statistics:
                raise
            warn_of_interrupt("bootstrap_lrt()", len(statistics), count)
    return np.array(statistics)


def _replicate(pair: list[_Side], rng: np.random.Generator) -> float:
    """The statistic of one draw from the smaller model, NaN where a fit fails."""
    small, large = pair
    rows, sample = small.prepared, small.prepared.sample
    seeds = rng.spawn(3)
    draws = draw(small.fitted, NewData(rows.data, rows.responses, sample.design_unit, len(sample.kept)), seeds[0])
    try:
        null = small.log_likelihood(draws, seeds[1], _Warm(small.fitted))
        if small.fitted.assembled.mixture.experts > 1:
            null = max(null, small.log_likelihood(draws, seeds[1]))
        return 2 * (large.log_likelihood(draws, seeds[2]) - null)
    except DataError:
        return np.nan


def vuong_test(
    model: Any, X: Any = None, y: Any = None, *, n_experts: int | None = None, sample_weight: Any = None
) -> pd.DataFrame:
    """Vuong-Lo-Mendell-Rubin test of K against K + 1 experts, with and without the adjustment of its statistic.

    2 (l_1 - l_0) is compared with the weighted chi-square of Vuong (1989, Econometrica 57) from both models' scores and
    information; the adjusted statistic is divided by 1 + 1 / (d log n), d the difference in parameters (Lo, Mendell
    and Rubin, 2001, Biometrika 88). Known limit: K experts lie on the boundary of K + 1, where the theory's regularity
    conditions fail (Jeffries, 2003, Biometrika 90); its size can be far from nominal. Prefer `bootstrap_lrt`.

    Returns one row: n_experts, alternative, statistic, p_value, adjusted_statistic, adjusted_p_value.
    """
    require_mixture(model)
    training = given_or_training(model, X, y, sample_weight)
    smaller = integer("n_experts", model.n_experts if n_experts is None else n_experts, 1)
    fits = [model._resized(k)._fit_training(training) for k in (smaller, smaller + 1)]
    found = vuong_lo_mendell_rubin(*((fit._problem, fit.fitted_.solution.theta) for fit in fits))
    return pd.DataFrame([{"n_experts": smaller, "alternative": smaller + 1, **found._asdict()}])
