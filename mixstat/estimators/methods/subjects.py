"""Subjects: what a fitted growth model says of random coefficients and trajectories of subjects with responses."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mixstat.core.design import Data
from mixstat.estimators.model import new_data
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import OptionError
from mixstat.families.gaussian import Gaussian
from mixstat.families.growth import Growth
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

    family: Growth
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
            if isinstance(outcome.family, Growth):
                response = data.responses[outcome.data]
                found += [Given(outcome.family, eta[0], response[0]) for eta in stacked]
    return found


def subjects_of(fitted: Fitted, new: "NewData") -> Subjects:
    """Bayes' rule for classes and for random coefficients in each of them."""
    classes = classes_at(fitted, new.data)
    found = [random_coefficients(*each) if each.family.random else _no_deviation(each) for each in classes]
    names = tuple(each.family.random_names for each in classes)
    return Subjects(new_data.posterior(fitted, new).responsibility, classes, found, names)


def _no_deviation(given: Given) -> RandomCoefficients:
    rows, size = given.eta.shape[1], len(given.family.random)
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
    """Means and standard deviations (row,) of rows of one occasion, given all that is known of their subject `code`."""
    found = mix(subject_class_means(fitted, subjects, data, code), subjects.responsibility[code])
    return found.mean[0], np.sqrt(found.covariance[0, 0])


def subject_class_means(fitted: Fitted, subjects: Subjects, data: Data, code: np.ndarray) -> list[Moments]:
    """Of each class (1, row): means of rows of one occasion, given the class and all that is known of their subject."""
    parts = []
    for each, known in zip(classes_at(fitted, data), subjects.classes, strict=True):
        deviation = Moments(known.deviation.mean[:, code], known.deviation.covariance[:, :, code])
        mean, variance = moved_means(*each, deviation)
        parts.append(Moments(mean[None], variance[None, None]))
    return parts


def expert_means_at(fitted: Fitted, data: Data) -> np.ndarray:
    """(class, row): means of rows of one occasion, given the class and covariates alone."""
    return np.stack([moved_means(*each, _no_deviation(each).deviation)[0] for each in classes_at(fitted, data)])


def occasion_laws(fitted: Fitted, new: "NewData", *, earlier: bool = False) -> tuple[Law, ...]:
    """Every class's normal law of each row of `new`, alone or given the earlier occasions of its subject."""
    assert new.grid is not None
    laws: list[Law] = []
    for each in classes_at(fitted, new.data):
        moments = marginal_moments(*each)
        at = each.family.read(each.data)
        mean, spread = moments.mean, np.sqrt(np.einsum("jjn->jn", moments.covariance))
        if earlier:
            mean, spread = given_earlier(moments, at.y, at.seen)
        laws.append(ExpertLaw(Gaussian(), np.stack([new.grid.gather(mean), np.log(new.grid.gather(spread))])))
    return tuple(laws)


def observed_values(fitted: Fitted, new: Any) -> np.ndarray:
    """(row,) the response, NaN where it is missing."""
    slot = fitted.assembled.stacks[0][0][0]
    assert isinstance(slot.family, Growth)
    at = slot.family.read(new.responses[slot.plan.key].data)
    values: np.ndarray = new.grid.gather(np.where(at.seen > 0, at.y, np.nan))
    return values
