"""What every estimator does: fit, report, predict. Subclasses say what their plan is."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags, RegressorTags

from mixstat.core.family import Family
from mixstat.estimators.extras import Extra
from mixstat.estimators.methods.classifying import Classifying
from mixstat.estimators.methods.distributing import Distributing
from mixstat.estimators.methods.effects import Effects
from mixstat.estimators.methods.external import External
from mixstat.estimators.methods.growing import Growing
from mixstat.estimators.methods.growth_plots import GrowthPlotting
from mixstat.estimators.methods.interoperability import Interoperability
from mixstat.estimators.methods.persistence import Saving
from mixstat.estimators.methods.plotting import Plotting
from mixstat.estimators.methods.predicting import Predicting, family_of, is_categorical
from mixstat.estimators.methods.relabelling import Relabelling
from mixstat.estimators.methods.reporting import Reporting
from mixstat.estimators.methods.resampling import Resampling
from mixstat.estimators.methods.sampling import Sampling
from mixstat.estimators.methods.survival_checks import SurvivalChecks
from mixstat.estimators.methods.survival_contrasts import SurvivalContrasts
from mixstat.estimators.methods.survival_plots import SurvivalPlotting
from mixstat.estimators.methods.survival_words import SurvivalWords
from mixstat.estimators.methods.surviving import Surviving
from mixstat.estimators.methods.testing import Testing
from mixstat.estimators.model import report
from mixstat.estimators.model.arrays import is_structured, table_from_arrays, table_with_times
from mixstat.estimators.model.checks import column_name
from mixstat.estimators.model.fitting import fit_model
from mixstat.estimators.model.plan import Plan
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.state import Fitted, Request, Training, uninterrupted
from mixstat.estimators.model.tables import join_response, refuse_array
from mixstat.exceptions import ConvergenceWarning, LocalOptimumWarning, OptionError
from mixstat.fit.options import Options
from mixstat.results.tables import starts_table

SEVERAL = ("multivariate_gaussian", "diagonal_gaussian")
"""Families of several responses."""
SOUND = ("converged", "EM stopped")
"""How a status begins that is no reason to warn."""
FEW_STARTS, RARELY = 4, 0.2
"""Starts from which they have to agree; the share of those carried on that is too few."""


class MixtureEstimator(
    Predicting,
    Reporting,
    Testing,
    Resampling,
    Relabelling,
    Classifying,
    External,
    Sampling,
    Effects,
    Growing,
    Surviving,
    SurvivalContrasts,
    SurvivalChecks,
    SurvivalWords,
    Distributing,
    Plotting,
    GrowthPlotting,
    SurvivalPlotting,
    Interoperability,
    Saving,
    BaseEstimator,
):
    """Base of `Regression` and `MixtureOfExperts`."""

    fitted_: Fitted
    _training: Training
    cluster: str | None

    def _plan(self, formula: str | None) -> Plan:
        raise NotImplementedError

    def _options(self) -> Options:
        raise NotImplementedError

    def _unit_column(self) -> str | None:
        raise NotImplementedError

    def _scale_penalty(self) -> float:
        return 0.0

    def _extras(self) -> tuple[Extra, ...]:
        return ()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        formula = self._representative().formula
        tags.target_tags.required = formula is None
        tags.target_tags.multi_output = family_of(self).name in SEVERAL
        if is_categorical(self):
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags(poor_score=True)
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags(poor_score=True)
        tags.input_tags.string = formula is not None
        return tags

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> "MixtureEstimator":
        """Fit by maximum likelihood.

        X is a table (pandas, polars, pyarrow) where the model has a formula, else an array (row, column) with y
        (row,). `sample_weight` is an array of non-negative numbers or the name of a column. Rows with a missing value
        in any column used are dropped, and counted in `summary()`. The table is referred to (not copied) until the
        estimator is pickled, for the methods that look at the data again.
        """
        if sample_weight is not None and isinstance(sample_weight, str) and self._representative().formula is None:
            raise OptionError("sample_weight names a column, which needs a formula and a table; pass an array")
        table, formula = self._table(X, y, reset=True)
        self._search(Training(table, formula, sample_weight))
        self._warn()
        return self

    def _fit_training(self, training: Training) -> "MixtureEstimator":
        """Fit as one step of larger work, which an interrupt ends."""
        self._search(training)
        uninterrupted(self.fitted_)
        return self

    def _search(self, training: Training) -> None:
        """The best fit, after an interrupt the best so far."""
        self.fitted_, self._problem = fit_model(training.table, self._request(training.formula), training.sample_weight)
        self._training = training
        self._learn(training.formula)

    def _request(self, formula: str | None) -> Request:
        return Request(
            self._plan(formula),
            self._options(),
            self._extras(),
            self._unit_column(),
            column_name("cluster", self.cluster),
            getattr(self, "prior_classes", None),
            self._scale_penalty(),
            getattr(self, "start", None),
            generator(getattr(self, "random_state", None)),
            formula is not None,
        )

    def _table(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, str | None]:
        """(table, formula made in array mode or None). With a formula y must agree with the table's response."""
        if is_structured(y):
            return table_with_times(self, X, y, self._representative().formula, reset=reset)
        if self._representative().formula is None:
            family = family_of(self)
            several = family.name in (*SEVERAL, "binomial")
            return table_from_arrays(self, X, y, reset=reset, several=several, numeric=not family.coded)
        refuse_array(X)
        if y is None:
            return X, None
        return join_response(X, y, list(self._plan(None).main.values())), None

    def _learn(self, formula: str | None) -> None:
        fitted = self.fitted_
        facts = report.facts_of(fitted)
        self.log_likelihood_ = float(facts["log_likelihood"])
        self.n_parameters_ = int(facts["n_parameters"])
        self.n_units_, self.n_rows_ = facts["n_units"], facts["n_rows"]
        self.converged_ = bool(fitted.solution.verdict.converged)
        self.n_iter_ = max(int(fitted.solution.iterations), 1)
        self.status_ = report.status(fitted)
        self.starts_ = starts_table(fitted.solution.starts)
        if formula is None or not hasattr(self, "n_features_in_"):
            self.feature_names_in_ = np.array(fitted.schema.raw_columns, dtype=object)
            self.n_features_in_ = len(self.feature_names_in_)
        categories = self._family().categories
        if categories:
            self.classes_ = np.array(categories)

    def _family(self) -> Family:
        return self.fitted_.assembled.stacks[0][0][0].family

    def _warn(self) -> None:
        self._warn_of_crossing()
        if self.fitted_.interrupted:
            warnings.warn(f"fit was interrupted; {self.status_}", ConvergenceWarning, stacklevel=3)
        elif not self.status_.startswith(SOUND):
            warnings.warn(self.status_, ConvergenceWarning, stacklevel=3)
        elif self._is_rarely_reached():
            warnings.warn(f"{self.status_}; raise n_init", LocalOptimumWarning, stacklevel=3)

    def _is_rarely_reached(self) -> bool:
        """Of more than `FEW_STARTS`, at most one, or one in five of those carried on, came to the reported optimum."""
        (reached, carried), several = report.hits(self.fitted_), self.fitted_.assembled.mixture.classes > 1
        asked = several and len(self.starts_) > FEW_STARTS
        return asked and carried > 0 and reached <= max(1, RARELY * carried)

    def __getstate__(self) -> dict:
        state = dict(super().__getstate__())
        for name in ("_problem", "_training"):
            state.pop(name, None)
        return state
