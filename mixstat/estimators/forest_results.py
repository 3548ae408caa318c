"""Results of a covariate forest: ranks, tests, what changes along a covariate, plots, and a proposal."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.candidates import Candidate
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import integer
from mixstat.estimators.model.state import training_of
from mixstat.estimators.proposing import Proposal, propose
from mixstat.exceptions import OptionError
from mixstat.inference.score_splits import Instability
from mixstat.inference.score_trees import Grown, mean_parameters
from mixstat.results import forest_tables
from mixstat.results.plots import forest as plots


class ForestResults:
    """Methods of a fitted `CovariateForest`."""

    model: Any
    model_: Any
    covariates_: list[str]
    importances_: np.ndarray
    _candidates: list[Candidate]
    _grown: list[Grown]
    _tests: list[Instability | None]

    def importance(self) -> pd.DataFrame:
        """Candidates by rank: mean drop of a unit's out-of-bag log-likelihood when the covariate is permuted among the
        units, with the standard error over trees (of this sample: more trees shrink it), and how many trees use it.
        """
        check_is_fitted(self, "importances_")
        used = np.array([tree.used for tree in self._grown])
        return forest_tables.importance(self.covariates_, self.importances_, used)

    def tests(self) -> pd.DataFrame:
        """The instability of the one-class model along each candidate, all units and the candidate alone: the
        statistic, its kind, directions and p-value (not adjusted for the number of candidates).
        """
        check_is_fitted(self, "importances_")
        return forest_tables.tests(self.covariates_, [c.covariate.kind for c in self._candidates], self._tests)

    def partial_dependence(self, covariate: str, *, points: int = 20) -> pd.DataFrame:
        """The model's coefficients as one covariate is set to a value for all units, averaged over units and trees.

        Long: covariate, value (quantiles of numbers, all levels otherwise), parameter, term, estimate.
        """
        check_is_fitted(self, "importances_")
        if covariate not in self.covariates_:
            raise OptionError(f"{covariate!r} is no candidate; these are: {', '.join(self.covariates_)}")
        candidate, fitted = self._candidates[self.covariates_.index(covariate)], self.model_.fitted_
        shown, values = candidate.points(integer("points", points, 2))
        theta = mean_parameters(
            [tree.tree for tree in self._grown],
            [c.covariate.values for c in self._candidates],
            fitted.sample.weight,
            (self.covariates_.index(covariate), values),
        )
        estimate = report.to_user_coefficients(fitted, theta)
        return forest_tables.dependence(covariate, shown, report.labels_of(fitted), estimate)

    def plot_importance(self, *, ax: Any = None) -> Any:
        """Importance by rank, with two standard errors to either side; returns the axes."""
        return plots.importance(self.importance(), ax=ax)

    def plot_convergence(self, *, ax: Any = None) -> Any:
        """Importance over the number of trees, the leading covariates in colour: flat lines mean enough trees."""
        check_is_fitted(self, "importances_")
        return plots.convergence(self.covariates_, self.importances_, ax=ax)

    def propose(
        self, k: int | None = None, *, model: Any = None, within: str | list[str] = "location", level: float = 0.05
    ) -> Proposal:
        """Which covariates to put into the gate and which within the classes, by tests on a mixture without them.

        k : leading covariates that are tested; by default those with an importance of two standard errors or more.
        model : a fitted MixtureOfExperts; by default the forest's own mixture, fitted to its data without the gate
            where that names a candidate.
        within : what "within class" means: a parameter (or several) as in `score_test(to=)`.

        For each covariate, score tests of putting it into the gate or within the classes alone (`*_alone_p_value`, as
        `score_test`), and likelihood-ratio tests of either beside the other (`*_p_value`), by Newton from the fit. A
        part is recommended where the latter's p-value is below level / (2k); where neither is, but one alone would be,
        the data do not tell which ("either"). Where a refit does not converge, the test alone decides, and a note
        says so. `propose(...).fit(df)` refits the mixture with what is proposed; `.model` is that mixture, not fitted.

        Covariates are tested one at a time, after they were selected on the same data: p-values are too small, and
        correlated covariates stand in for each other. Fit the proposed model, drop what it does not need, and confirm
        on other data.
        """
        check_is_fitted(self, "importances_")
        given = self.model if model is None else model
        return propose(
            self.importance(), given, training_of(self), k=k, within=within, level=level, known=model is not None
        )
