"""DebiasedOrdinalRegression: maximum likelihood of the slopes that a penalised ordinal regression keeps."""

import inspect
from collections.abc import Set
from typing import Any

import numpy as np

from mixstat.estimators.model.fitting import maximize_prepared, prepare
from mixstat.estimators.model.naming import Named
from mixstat.estimators.model.plan import OutcomePlan
from mixstat.estimators.model.state import Training, training_of
from mixstat.estimators.ordinal import OrdinalRegression
from mixstat.exceptions import OptionError
from mixstat.fit.precision import double
from mixstat.fit.ties import TieMap, Ties

WORDS = "debiased refit of selected slopes, whose errors take the selection as given"


class DebiasedOrdinalRegression(OrdinalRegression):
    """What `refit_selected()` of a penalised `OrdinalRegression` returns.

    The slopes that the penalised fit set to zero stay zero, the others are those of maximum likelihood. Standard
    errors, tests and criteria take the selection as given; the status says so.
    """

    _zeros: Set[tuple[str, str]] | None = None

    def _plan_outcome(self, key: str, formula: str) -> OutcomePlan:
        return super()._plan_outcome(key, formula)._replace(penalty=0.0, factors={})

    @double
    def _search(self, training: Training) -> None:
        if self._zeros is None:
            raise OptionError("a debiased refit is made by refit_selected() of a penalised fit, not by fit()")
        request = self._request(training.formula)
        prepared = prepare(training.table, request, training.sample_weight)
        assembled = prepared.assembled
        named = without(assembled.named, self._zeros)
        fitted, self._problem = maximize_prepared(request, prepared._replace(assembled=assembled._replace(named=named)))
        verdict = fitted.solution.verdict
        verdict = verdict._replace(status=f"{verdict.status}; {WORDS}")
        self.fitted_ = fitted._replace(solution=fitted.solution._replace(verdict=verdict))
        self._training = training
        self._learn(training.formula)


def without(named: Named, zeros: Set[tuple[str, str]]) -> Named:
    """The coefficients of these (parameter, term) fixed at zero."""
    gone = np.array([(label.parameter, label.term) in zeros for label in named.labels])
    index = np.where(gone, -1, named.ties.index)
    free = np.unique(index[index >= 0])
    order = np.full(len(named.penalty) + 1, -1)
    order[free] = np.arange(len(free))
    ties = Ties(TieMap(order[index], np.where(gone, 0.0, named.ties.value)))
    return named._replace(ties=ties, penalty=named.penalty[free], lasso_share=named.lasso_share[free])


def refitted(model: Any, zeros: Set[tuple[str, str]]) -> DebiasedOrdinalRegression:
    """The refit of a penalised fit's own data."""
    names = list(inspect.signature(OrdinalRegression.__init__).parameters)[1:]
    other = DebiasedOrdinalRegression(**{name: getattr(model, name) for name in names})
    other._zeros = zeros
    other._search(training_of(model))
    return other
