"""State: what an estimator asks for, and everything that a fitted one knows."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from mixstat.estimators.extras import Extra
from mixstat.estimators.model.assembly import Assembled
from mixstat.estimators.model.plan import Plan
from mixstat.estimators.model.sample import Known, Sample
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.options import Options
from mixstat.fit.solution import Solution
from mixstat.fit.standardize import Scaling
from mixstat.formula import Schema


class Request(NamedTuple):
    """What an estimator asks for.

    `from_arrays`: as scikit-learn expects, fewer observations than parameters are then a warning, not an error.
    """

    plan: Plan
    options: Options
    extras: tuple[Extra, ...]
    unit: str | None
    cluster: str | None
    prior_classes: Any
    scale_penalty: float
    start: Any
    rng: np.random.Generator
    from_arrays: bool


class Training(NamedTuple):
    """What a model was fitted to: the table by reference, the formula made for arrays or None, the weights given."""

    table: Any
    formula: str | None
    sample_weight: Any


def training_of(model: Any) -> Training:
    """What `model` was fitted to."""
    known: Training | None = getattr(model, "_training", None)
    if known is None:
        raise DataError("the data are needed: give them, or a fitted model that was not saved or pickled since")
    return known


def given_or_training(model: Any, X: Any, y: Any, sample_weight: Any) -> Training:
    """The data given, or where X is None those that `model` was fitted to."""
    if X is not None:
        table, formula = clone(model)._table(X, y, reset=True)
        return Training(table, formula, sample_weight)
    known = training_of(model)
    if sample_weight is not None:
        raise OptionError("sample_weight belongs to X; a fitted model has its own")
    return known


class Fitted(NamedTuple):
    """Everything a fitted estimator knows; coefficients on the user's scale.

    `jacobian` (theta, theta) maps standardised free parameters to the user's scale, so that a covariance C of the
    former is `jacobian C jacobian'` on the latter.
    """

    plan: Plan
    schema: Schema
    assembled: Assembled
    extras: tuple[Extra, ...]
    extra_states: tuple[list, ...]
    unit_name: str | None
    sample: Sample
    solution: Solution
    scaling: Scaling
    phi: np.ndarray
    theta: np.ndarray
    jacobian: np.ndarray
    dropped: tuple[str, ...]
    interrupted: bool
    names: tuple[str, ...] = ()  # of the experts, if the user gave any
    known: Known = Known()

    @property
    def expert_names(self) -> tuple[str, ...]:
        """What experts are called: "Expert 1", ... unless the user renamed them."""
        return self.names or tuple(f"Expert {k + 1}" for k in range(self.assembled.mixture.experts))

    @property
    def atoms(self) -> tuple[float, ...]:
        """Values of the point masses."""
        return atoms_of(self.extras)


def uninterrupted(fitted: Fitted) -> Fitted:
    """A fit that came to its end; the interrupt that cut it short is passed on."""
    if fitted.interrupted:
        raise KeyboardInterrupt
    return fitted


def atoms_of(extras: tuple[Extra, ...]) -> tuple[float, ...]:
    """Values of the point masses among extra blocks."""
    return tuple(atom for atom in (extra.atom() for extra in extras) if atom is not None)
