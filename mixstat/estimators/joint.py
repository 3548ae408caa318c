"""Joint: several outcomes of one unit as one expert, f_k(y_1, ..., y_J) = prod_j f_kj(y_j)."""

from collections.abc import Sequence

from sklearn.base import BaseEstimator

from mixstat.estimators.regression import Regression
from mixstat.exceptions import FormulaError


class Joint(BaseEstimator):
    """The product of several outcomes, independent given the expert, wherever one expert stands.

    A latent class model is `MixtureOfExperts(Joint([Regression("item1 ~ 1", family="binomial"), ...]))`. Rows with
    some responses missing are kept: what is observed informs the likelihood (full information).

    Parameters
    ----------
    outcomes : sequence of Regression
        Each with a formula of its own response.
    """

    def __init__(self, outcomes: Sequence[Regression]):
        self.outcomes = outcomes

    @property
    def experts(self) -> list[Regression]:
        """The outcomes, checked."""
        outcomes = list(self.outcomes)
        if not outcomes or not all(isinstance(outcome, Regression) for outcome in outcomes):
            raise FormulaError("Joint takes a non-empty list of Regression, one an outcome of the unit")
        missing = [index for index, outcome in enumerate(outcomes) if outcome.formula is None]
        if missing:
            raise FormulaError(f"outcome {missing[0] + 1} of Joint has no formula; every outcome names its response")
        return outcomes
