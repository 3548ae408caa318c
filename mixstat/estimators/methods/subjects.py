"""Subjects: what a fitted growth model says of random coefficients and trajectories of subjects with responses."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.stats import norm

from mixstat.core.design import Data
from mixstat.estimators.model import new_data
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import OptionError
from mixstat.families.gaussian import Gaussian
from mixstat.families.growth.mixed import MixedModel
from mixstat.inference.distribution import ExpertLaw, Law
from mixstat.inference.prediction import row_predictors
from mixstat.inference.trajectories import (
    Moments,
    RandomCoefficients,
    as_shown,
    given_earlier,
    marginal_moments,
    mix,
    moved_means,
    random_coefficients,
)

if TYPE_CHECKING:
    from mixstat.estimators.model.new_data import NewData


class Given(NamedTuple):
    """One class at the rows of a design: its family, predictors (P, row) and data (m, row)."""

    family: MixedModel
    eta: np.ndarray
    data: np.ndarray


class Subjects(NamedTuple):
    """Responsibilities (subject, class) given the responses; classes, random coefficients in each, and their names."""

    responsibility: np.ndarray
    given: list[Given]
    classes: list[RandomCoefficients]
    names: tuple[tuple[str, ...], ...]


def classes_at(fitted: Fitted, data: Data) -> list[Given]:
    """Every class at the rows of `data`."""
    mixture = fitted.assembled.mixture
    found = []
    for group, values in zip(mixture.groups, row_predictors(mixture, fitted.phi, data), strict=True):
        for outcome, stacked in zip(group.outcomes, values, strict=True):
            if isinstance(outcome.family, MixedModel):
                response = data.responses[outcome.data]
                found += [Given(outcome.family, eta[0], response[0]) for eta in stacked]
    return found


def subjects_of(fitted: Fitted, new: "NewData") -> Subjects:
    """Bayes' rule for classes and for random coefficients in each of them."""
    classes = classes_at(fitted, new.data)
    found = [random_coefficients(*each) if each.family.random_names else _no_deviation(each) for each in classes]
    names = tuple(each.family.random_names for each in classes)
    return Subjects(new_data.posterior(fitted, new).responsibility, classes, found, names)


def _no_deviation(given: Given) -> RandomCoefficients:
    rows, size = given.eta.shape[1], len(given.family.random_names)
    zero = np.zeros((size, rows))
    return RandomCoefficients(zero, Moments(zero, np.zeros((size, size, rows))))


def averaged(subjects: Subjects, *, deviations: bool) -> Moments:
    """Random coefficients, or their deviations, over classes, which must have the same ones."""
    if len(set(subjects.names)) > 1:
        listed = "; ".join(", ".join(names) or "none" for names in subjects.names)
        raise OptionError(f"experts with different random coefficients ({listed}) have no average of them")
    pairs = zip(subjects.given, subjects.classes, strict=True)
    shown = [as_shown(given.family, given.eta, each) for given, each in pairs]
    parts = [each.deviation if deviations else each.total for each in shown]
    return mix(parts, subjects.responsibility)


def subject_means(fitted: Fitted, subjects: Subjects, data: Data, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (outcome, row) of rows of one occasion, given all that is known of their subject
    `code`."""
    found = mix(subject_class_means(fitted, subjects, data, code), subjects.responsibility[code])
    return found.mean, np.sqrt(np.einsum("oon->on", found.covariance))


def subject_class_means(fitted: Fitted, subjects: Subjects, data: Data, code: np.ndarray) -> list[Moments]:
    """Of each class: means (outcome, row) of rows of one occasion, given the class and all that is known of their
    subject."""
    parts = []
    for each, known in zip(classes_at(fitted, data), subjects.classes, strict=True):
        deviation = Moments(known.deviation.mean[:, code], known.deviation.covariance[:, :, code])
        parts.append(moved_means(*each, deviation))
    return parts


def expert_means_at(fitted: Fitted, data: Data) -> np.ndarray:
    """(class, outcome, row): means of rows of one occasion, given the class and covariates alone."""
    return np.stack([moved_means(*each, _no_deviation(each).deviation).mean for each in classes_at(fitted, data)])


def occasion_laws(fitted: Fitted, new: "NewData", *, outcome: int = 0, earlier: bool = False) -> tuple[Law, ...]:
    """Every class's normal law of an outcome in each row of `new`, alone or given all earlier occasions of its
    subject."""
    assert new.grid is not None
    laws: list[Law] = []
    for each in classes_at(fitted, new.data):
        moments, at = marginal_moments(*each), each.family.read(each.data)
        order = _in_time(len(at.y), each.family.dimension, outcome)
        moments = Moments(moments.mean[order], moments.covariance[np.ix_(order, order)])
        mean, spread = moments.mean, np.sqrt(np.einsum("jjn->jn", moments.covariance))
        if earlier:
            mean, spread = given_earlier(moments, at.y[order], at.seen[order])
        own = slice(None, None, each.family.dimension)
        values = [new.grid.gather(mean[own]), np.log(new.grid.gather(spread[own]))]
        laws.append(ExpertLaw(Gaussian(), np.stack(values)))
    return tuple(laws)


def occasion_densities(fitted: Fitted, new: "NewData") -> np.ndarray:
    """(class, row) log-density of what was observed in each row of `new` given its subject's earlier occasions."""
    assert new.grid is not None
    found = []
    for each in classes_at(fitted, new.data):
        moments, at, outcomes = marginal_moments(*each), each.family.read(each.data), each.family.dimension
        order = _in_time(len(at.y), outcomes, 0)
        moments = Moments(moments.mean[order], moments.covariance[np.ix_(order, order)])
        mean, spread = given_earlier(moments, at.y[order], at.seen[order])
        logs = np.where(at.seen[order] > 0, norm.logpdf(at.y[order], mean, spread), 0.0)
        found.append(new.grid.gather(logs.reshape(-1, outcomes, logs.shape[1]).sum(axis=1)))
    return np.stack(found)


def _in_time(places: int, outcomes: int, first: int) -> np.ndarray:
    """The places of all outcomes by occasion, one outcome before the others."""
    by_outcome = np.arange(places).reshape(outcomes, -1)
    return np.concatenate([by_outcome[first : first + 1], np.delete(by_outcome, first, axis=0)]).T.ravel()


def observed_outcomes(fitted: Fitted, new: Any) -> np.ndarray:
    """(outcome, row) the responses, NaN where they are missing."""
    slot = fitted.assembled.stacks[0][0][0]
    assert isinstance(slot.family, MixedModel)
    at = slot.family.read(new.responses[slot.plan.key].data)
    known = np.where(at.seen > 0, at.y, np.nan).reshape(slot.family.dimension, -1, at.y.shape[1])
    values: np.ndarray = new.grid.gather(known)
    return values


def observed_values(fitted: Fitted, new: Any, outcome: int = 0) -> np.ndarray:
    """(row,) the response of one outcome."""
    values: np.ndarray = observed_outcomes(fitted, new)[outcome]
    return values
