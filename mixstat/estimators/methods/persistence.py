"""Persistence: `save` writes what a fitted estimator knows without its training data, `load` builds it again."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixstat.core.family import Family
from mixstat.estimators.methods.stored import describe, restore
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import DataError, MixstatError, OptionError
from mixstat.results import archive

if TYPE_CHECKING:
    from mixstat.estimators.base import MixtureEstimator

DAMAGED = (TypeError, KeyError, ValueError, AttributeError, IndexError, OverflowError, RecursionError, MemoryError)
"""What a file that was tampered with may raise where its parts do not fit."""


class Saving:
    """The method that writes a fitted estimator."""

    fitted_: Fitted

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted model to one file, JSON and arrays of numbers, that `mixstat.load` reads.

        The file holds no training data beyond weights and which rows form a unit. A loaded model predicts, simulates
        and reports as this one does; robust covariances, and whatever else looks at the training data, need a refit.
        After `algorithm="em"` the file has standard errors if they were asked for before (`tidy()`). `start` and
        `prior_classes` (unless it names columns) are data and not stored, nor is a `random_state` that is no whole
        number: a loaded model has None there. An existing file is replaced at once.

        Raises DataError where names and numbers cannot tell the model: a family that is not registered, a subclass of
        an estimator, arguments that were changed after `fit`.
        """
        check_is_fitted(self, "fitted_")
        content = archive.pack(*describe(self))
        try:
            again = restore(archive.unpack(content), {}).fitted_
        except MixstatError as error:
            raise DataError(f"the model could not be loaded again, so it is not saved: {error}") from error
        if not _is_same(again, self.fitted_):
            raise DataError("the constructor's arguments are not those of the fit; set them back, or fit again")
        archive.write(path, content)


def load(path: str | os.PathLike, *, families: Iterable[Family] = ()) -> "MixtureEstimator":
    """The fitted estimator that `save` wrote.

    `families` are instances of families that are not registered here. Functions added by `register_transform` have to
    be registered before. The file is checked as data from a stranger: nothing in it is executed, and DataError is
    raised where anything is not as `save` writes it.
    """
    supplied = list(families)
    if not all(isinstance(family, Family) for family in supplied):
        raise OptionError("families must be a list of instances of Family, such as families=[MyFamily()]")
    try:
        return restore(archive.unpack(archive.read(path)), {family.name: family for family in supplied})
    except MixstatError as error:
        raise DataError(f"{str(path)!r} cannot be loaded: {error}") from error
    except DAMAGED as error:
        raise DataError(f"{str(path)!r} cannot be loaded: it is damaged ({type(error).__name__}: {error})") from error


def _is_same(one: Fitted, other: Fitted) -> bool:
    """Whether two states describe one model; the numbers are known to be equal."""
    mine, its = one.assembled, other.assembled
    return (
        (one.plan, one.extras, one.unit_name, one.names) == (other.plan, other.extras, other.unit_name, other.names)
        and (mine.mixture, mine.stacks, mine.named.labels) == (its.mixture, its.stacks, its.named.labels)
        and np.array_equal(mine.named.ties.index, its.named.ties.index)
        and np.array_equal(mine.named.ties.value, its.named.ties.value)
        and np.array_equal(one.sample.row_weight, other.sample.row_weight)
    )
