"""Score tests: would a covariate add to the gate, to an expert, or to both? Answered at the fit, without refitting."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixstat.estimators.methods.extending import extended, places_of
from mixstat.estimators.model.assembly import Assembled
from mixstat.estimators.model.fitting import Standardized, prepare, standardize
from mixstat.estimators.model.state import Fitted, Training
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.precision import double
from mixstat.fit.problem import Problem
from mixstat.inference import natural
from mixstat.inference.hypotheses import ChiSquare, score_test


def score_tests(model: Any, training: Training, terms: list[str], to: str | Sequence[str]) -> pd.DataFrame:
    """One Rao test a term: term, to, statistic, df, p_value."""
    places = " + ".join(places_of(to))
    rows = [{"term": term, "to": places, **_test(model, training, term, to)._asdict()} for term in terms]
    return pd.DataFrame(rows)


@double
def _test(model: Any, training: Training, term: str, to: str | Sequence[str]) -> ChiSquare:
    fitted: Fitted = model.fitted_
    request = model._request(training.formula)
    request = request._replace(plan=extended(request.plan, term, to))
    prepared = prepare(training.table, request, training.sample_weight)
    lost = len(fitted.sample.kept) - len(prepared.sample.kept)
    if lost:
        raise DataError(f"{term!r} is missing in {lost} of the rows of the fit; drop them and refit before testing it")
    larger = standardize(request, prepared)
    known = values_by_name(fitted)
    names = [label.name for label in prepared.assembled.named.labels]
    if not set(known) <= set(names):
        raise DataError(f"adding {term!r} changes the coding of other terms; refit the larger model and compare")
    theta = embedded(fitted, prepared.assembled, larger)
    at = Problem(*larger.model).evaluate_likelihood(theta)
    if abs(at.log_likelihood - fitted.solution.log_likelihood) > 1e-6 * (1 + abs(at.log_likelihood)):
        raise DataError("the table has changed since the model was fitted; refit before testing")
    return score_test(at.gradient, at.information, len(theta) - len(fitted.theta))


def embedded(fitted: Fitted, assembled: Assembled, larger: Standardized) -> np.ndarray:
    """theta of a larger model at the fit: what it has more is 0."""
    known = values_by_name(fitted)
    phi = np.array([known.get(label.name, 0.0) for label in assembled.named.labels])
    phi = natural.translated(phi, fitted.assembled.mixture, assembled.mixture)
    return larger.ties.contract(np.linalg.solve(larger.jacobian, phi))


def values_by_name(fitted: Fitted) -> Mapping[str, float]:
    """All coefficients by name, fixed ones included."""
    return {label.name: value for label, value in zip(fitted.assembled.named.labels, fitted.phi, strict=True)}


def terms_of(add: Any) -> list[str]:
    """Terms to be tested one by one; "a + b" is one joint test."""
    terms = [add] if isinstance(add, str) else list(add)
    if not terms or not all(isinstance(term, str) and term.strip() and "~" not in term for term in terms):
        raise OptionError(f"add must be terms such as 'age' or ['age', 'sex + income'], got {add!r}")
    return terms
