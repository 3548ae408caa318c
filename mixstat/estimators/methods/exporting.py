"""Exporting: draws of any kind, with what the sample says of them, as groups for ArviZ."""

from typing import Any

import numpy as np

from mixstat.estimators.methods import observed
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.problem import Problem
from mixstat.inference.posterior import unit_log_likelihoods
from mixstat.results.draws import PosteriorDraws
from mixstat.results.inference_data import Group, coefficient_group, draw_group, row_group, unit_group

KINDS = ("laplace", "posterior", "bootstrap")


def groups(fitted: Fitted, problem: Problem | None, draws: Any, *, kind: str, log_likelihood: bool) -> dict[str, Group]:
    """Coefficients; statistics of the sampler; the log-likelihood if asked for; the responses if `problem` has them."""
    values = _values(draws, len(fitted.theta))
    name = "bootstrap" if kind == "bootstrap" else "posterior"
    found = {name: coefficient_group(report.labels_of(fitted), values)}
    if isinstance(draws, PosteriorDraws):
        found["sample_stats"] = draw_group(_statistics(draws))
    if log_likelihood and kind != "bootstrap":
        found["log_likelihood"] = _pointwise(fitted, problem, values)
    if problem is not None:
        found["observed_data"] = row_group(observed.responses(fitted, problem), list(fitted.sample.kept))
    return found


def _pointwise(fitted: Fitted, problem: Problem | None, values: np.ndarray) -> Group:
    if problem is None:
        raise DataError(
            "to_arviz() needs the training data for the log-likelihood, which a saved model does not hold; refit, or "
            "pass log_likelihood=False"
        )
    change = (values - fitted.theta).reshape(-1, len(fitted.theta))
    theta = fitted.solution.theta + np.linalg.solve(fitted.jacobian, change.T).T
    alive = fitted.sample.weight > 0
    by_unit = unit_log_likelihoods(problem, theta)[:, alive].reshape(*values.shape[:2], -1)
    return unit_group(observed.name(fitted), by_unit, list(observed.units(fitted)[alive]))


def kind_of(draws: Any, kind: str | None) -> str:
    """The kind asked for, or that of the draws."""
    own = "posterior" if isinstance(draws, PosteriorDraws) else "bootstrap" if hasattr(draws, "theta") else None
    own = "laplace" if draws is None else own
    if kind is None and own is None:
        raise OptionError("to_arviz() takes kind='laplace', 'posterior' or 'bootstrap' with an array of draws")
    wanted = choice("kind", own if kind is None else kind, KINDS)
    if own is not None and wanted != own:
        raise OptionError(
            f"kind={wanted!r} does not suit these draws ({own}); pass m.sample_posterior(), m.bootstrap(), or an array"
        )
    return wanted


def _values(draws: Any, size: int) -> np.ndarray:
    """(chain, draw, coefficient); converged replicates alone of a bootstrap."""
    values = draws.values if isinstance(draws, PosteriorDraws) else getattr(draws, "theta", draws)
    values = np.asarray(values, dtype=np.float64)
    if not isinstance(draws, PosteriorDraws) and hasattr(draws, "converged"):
        values = values[np.asarray(draws.converged)]
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[2] != size:
        raise OptionError(f"draws must be (draw, {size}) or (chain, draw, {size}) coefficients, got {values.shape}")
    if not np.isfinite(values).all():
        raise DataError(f"draws hold {int((~np.isfinite(values)).sum())} numbers that are not finite; leave them out")
    return values


def _statistics(draws: PosteriorDraws) -> dict[str, np.ndarray]:
    """By the names of the ArviZ schema."""
    return {
        "lp": draws.log_posterior,
        "diverging": draws.diverging,
        "acceptance_rate": draws.acceptance,
        "energy": draws.energy,
        "n_steps": draws.steps,
    }
