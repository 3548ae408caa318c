"""Comparing fits: tables side by side, and how their classes correspond."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.base import MixtureEstimator
from mixstat.estimators.methods.plotting import names_of
from mixstat.estimators.model import report
from mixstat.exceptions import OptionError
from mixstat.results import plots
from mixstat.results.comparison import Comparison, Fit

Models = Mapping[str, MixtureEstimator] | Sequence[MixtureEstimator]


def compare(models: Models, *, stars: bool = False, standard_errors: str = "below", digits: int = 3) -> Comparison:
    """Fitted models side by side: `compare({"two": m2, "three": m3})`, or a list, numbered (1), (2), ...

    Numbers of experts, families and terms may differ; a coefficient that a model lacks leaves a blank. Experts are
    matched by number. See `Comparison` for the options.
    """
    named = _named(models)
    _warn_of_responses(named)
    fits = [Fit(name, model.tidy(), _statistics(model)) for name, model in named]
    return Comparison(fits, stars=stars, standard_errors=standard_errors, digits=digits)


def _named(models: Models) -> list[tuple[str, MixtureEstimator]]:
    if isinstance(models, Mapping):
        pairs = [(str(name), model) for name, model in models.items()]
    elif isinstance(models, list | tuple):
        pairs = [(f"({place})", model) for place, model in enumerate(models, start=1)]
    else:
        raise OptionError(f"compare takes a dictionary or a list of fitted models, got {type(models).__name__}")
    if not pairs:
        raise OptionError("compare needs at least one fitted model, got none")
    for name, model in pairs:
        if not isinstance(model, MixtureEstimator):
            raise OptionError(f"compare takes fitted models; {name!r} is of type {type(model).__name__}")
        check_is_fitted(model, "fitted_")
    if len({name for name, _ in pairs}) < len(pairs):
        raise OptionError(f"compare needs distinct names, got {[name for name, _ in pairs]}")
    return pairs


def _warn_of_responses(named: list[tuple[str, MixtureEstimator]]) -> None:
    """Likelihoods of different responses do not compare (covariates modelled jointly are responses as well)."""
    found = {name: report.responses_of(model.fitted_) for name, model in named}
    if len({frozenset(responses) for responses in found.values()}) > 1:
        listed = "; ".join(f"{name}: {', '.join(responses)}" for name, responses in found.items())
        warnings.warn(
            f"log-likelihood, AIC and BIC do not compare: the models have different responses ({listed})",
            UserWarning,
            stacklevel=3,
        )


def _statistics(model: MixtureEstimator) -> dict[str, Any]:
    families = dict.fromkeys(outcome.family.name for outcome in model.fitted_.plan.outcomes)
    return {**report.facts_of(model.fitted_), "families": ", ".join(families)}


def plot_confusion(
    first: MixtureEstimator,
    second: MixtureEstimator,
    data: Any,
    y: Any = None,
    *,
    assignment: str = "modal",
    titles: tuple[str, str] = ("First fit", "Second fit"),
    ax: Any = None,
) -> Any:
    """How the classes of two fits of the same units correspond: a heat map of joint counts.

    data : a table with the columns and responses of both (y in array mode). assignment : "modal" counts
    each unit in its most probable classes; "soft" sums products of responsibilities.
    """
    for model in (first, second):
        check_is_fitted(model, "fitted_")
    counts = plots.joint_counts(
        first.responsibilities(data, y), second.responsibilities(data, y), assignment=assignment
    )
    named = {"first": names_of(first.fitted_, None), "second": names_of(second.fitted_, None)}
    return plots.confusion(counts, titles=titles, ax=ax, **named)


def plot_criteria(table: Any, *, ax: Any = None) -> Any:
    """Information criteria against the number of experts, from a table such as `select` returns."""
    return plots.criteria(table, ax=ax)
