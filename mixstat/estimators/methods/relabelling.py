"""Relabelling: experts in another order, another reference class of the gate, names for experts."""

import re
from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.model import report
from mixstat.estimators.model.checks import integer
from mixstat.exceptions import OptionError
from mixstat.fit.order import permute
from mixstat.inference import natural
from mixstat.inference.labels import relabelling

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted


class Relabelling:
    """Methods that give the same fit with other labels. Each returns a new estimator and fits nothing."""

    fitted_: "Fitted"

    def reorder(self, order: Sequence[int]) -> Self:
        """The fit with expert `order[j]` (1-based) in place j; the gate's reference becomes the new first expert."""
        check_is_fitted(self, "fitted_")
        fitted = self.fitted_
        places = _checked(order, fitted)
        other = _copied(self)
        other.fitted_ = _reordered(fitted, places)
        other.status_ = _renumbered(other.status_, places)
        if hasattr(self, "_problem"):
            problem = self._problem
            other._problem = problem.replace(prior=np.asarray(problem.design.prior)[:, places])
        return other

    def relevel(self, reference: int) -> Self:
        """The fit with expert `reference` (1-based) first, hence the gate's reference; the others keep their order."""
        check_is_fitted(self, "fitted_")
        count = self.fitted_.assembled.mixture.experts
        if integer("reference", reference, 1) > count:
            raise OptionError(f"reference must be an expert from 1 to {count}, got {reference}")
        return self.reorder([reference, *(k for k in range(1, count + 1) if k != reference)])

    def rename(self, names: Mapping[int, str] | Sequence[str]) -> Self:
        """The fit with names for experts, shown in `summary()` and plots: {1: "low", 2: "high"} or all in order."""
        check_is_fitted(self, "fitted_")
        current = list(self.fitted_.expert_names)
        given = dict(names) if isinstance(names, Mapping) else dict(enumerate(names, start=1))
        if not isinstance(names, Mapping) and len(given) != len(current):
            raise OptionError(f"rename() takes {len(current)} names, one an expert, got {len(given)}")
        for number, name in given.items():
            if integer("expert", number, 1) > len(current) or not isinstance(name, str) or not name.strip():
                raise OptionError(f"rename() maps experts 1 to {len(current)} to names, got {number!r}: {name!r}")
            current[number - 1] = name
        if len(set(current)) < len(current):
            raise OptionError(f"names of experts must differ, got {current}")
        other = _copied(self)
        other.fitted_ = self.fitted_._replace(names=tuple(current))
        return other


def _copied(model: Any) -> Any:
    """A copy that still knows the data of the fit, which a pickled one does not."""
    other = copy(model)
    for name in ("_problem", "_training"):
        if hasattr(model, name):
            setattr(other, name, getattr(model, name))
    return other


def _checked(order: Sequence[int], fitted: "Fitted") -> np.ndarray:
    """(class,) old place of each new one, extras kept at the end."""
    mixture = fitted.assembled.mixture
    wanted = [integer("order", number, 1) for number in order]
    if sorted(wanted) != list(range(1, mixture.experts + 1)):
        raise OptionError(f"order must hold each of 1 to {mixture.experts} once, got {list(order)}")
    places = np.array([*(number - 1 for number in wanted), *range(mixture.experts, mixture.classes)])
    form = np.repeat(np.arange(len(mixture.groups)), [group.copies for group in mixture.groups])
    if (form[places[: mixture.experts]] != form).any():
        raise OptionError("experts of different form (a list of experts) cannot change places")
    return places


def _reordered(fitted: "Fitted", places: np.ndarray) -> "Fitted":
    mixture, ties = fitted.assembled.mixture, fitted.assembled.named.ties
    matrix = relabelling(report.coefficients_of(fitted), places)
    phi, theta = permute(mixture, fitted.phi, places), matrix @ fitted.theta
    if not np.allclose(theta, natural.shown(mixture, phi)[ties.representative], rtol=1e-9, atol=1e-12):
        raise OptionError("these experts cannot change places: fixed= or dropped coefficients differ between them")
    names = tuple(fitted.expert_names[place] for place in places[: mixture.experts])
    solution, inverse = fitted.solution, np.linalg.inv(matrix)
    solution = solution._replace(
        theta=matrix @ solution.theta,
        phi=permute(mixture, solution.phi, places),
        gradient=None if solution.gradient is None else inverse.T @ solution.gradient,
        information=None if solution.information is None else inverse.T @ solution.information @ inverse,
        products=None if solution.products is None else inverse.T @ solution.products @ inverse,
        class_weight=solution.class_weight[places],
        verdict=solution.verdict._replace(status=_renumbered(solution.verdict.status, places)),
    )
    jacobian, known = matrix @ fitted.jacobian @ inverse, fitted.known.reordered(places)
    return fitted._replace(solution=solution, phi=phi, theta=theta, jacobian=jacobian, names=names, known=known)


def _renumbered(status: str, places: np.ndarray) -> str:
    """A status with its expert numbers as they are now."""
    new = {str(old + 1): str(place + 1) for place, old in enumerate(places)}

    def swap(found: re.Match) -> str:
        numbers = (new.get(number, number) for number in found.group(2).split(", "))
        return found.group(1) + ", ".join(sorted(numbers, key=int))

    return re.sub(r"(expert )(\d+(?:, \d+)*)", swap, status)
