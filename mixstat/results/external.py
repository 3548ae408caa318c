"""Results of analyses of external variables: `Membership` (covariates of the classes) and `Distal` (outcomes)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from mixstat.formula import Schema
from mixstat.inference.external import Logit
from mixstat.inference.hypotheses import ChiSquare, wald
from mixstat.results.summary import Section, Summary
from mixstat.results.tables import standard_errors, wald_columns

KEY = "membership"
"""The formula's name in a membership's schema."""


@dataclass(frozen=True, eq=False, repr=False)
class External:
    """What both results share. `facts` and `notes` are lines of the summary."""

    covariance: np.ndarray
    log_likelihood: float | None
    converged: bool
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Estimates with standard errors and Wald intervals."""
        raise NotImplementedError

    def _sections(self, level: float) -> Iterator[Section]:
        raise NotImplementedError

    def summary(self, level: float = 0.95) -> Summary:
        """Text (print it) and HTML (show it in a notebook)."""
        facts = [*self.facts]
        if self.log_likelihood is not None:
            facts.append(("Log-likelihood", f"{self.log_likelihood:.4f}"))
        return Summary(type(self).__name__, facts, list(self._sections(level)), self.notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().to_html()


@dataclass(frozen=True, eq=False, repr=False)
class Membership(External):
    """Multinomial logit of the classes on covariates, reference class 1; `coefficients` (class - 1, column).

    `covariance` (parameter, parameter) is in the order of `tidy()`. `log_likelihood` is that of the last step, None
    where its weights are no likelihood (BCH, no correction).
    """

    schema: Schema
    coefficients: np.ndarray

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.schema.column_names(KEY)

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """class, term, estimate, std_error, statistic, p_value, conf_low, conf_high; classes 2, 3, ... against 1."""
        keys = {
            "class": np.repeat(np.arange(2, len(self.coefficients) + 2), len(self.terms)),
            "term": list(self.terms) * len(self.coefficients),
        }
        return pd.DataFrame(keys | wald_columns(self.coefficients.ravel(), standard_errors(self.covariance), level))

    def test(self) -> pd.DataFrame:
        """Wald test of each term over all classes: term, statistic, df, p_value."""
        owners = np.array(self.schema.term_labels(KEY) * len(self.coefficients))
        estimate, rows = self.coefficients.ravel(), []
        for term in dict.fromkeys(owners):
            found = _test(np.eye(len(estimate))[owners == term], estimate, self.covariance)
            rows.append(("Intercept" if term == "1" else term, *found))
        return pd.DataFrame(rows, columns=["term", *ChiSquare._fields])

    def predict_proba(self, new: Any) -> np.ndarray:
        """Class probabilities given the covariates, (row, class); missing values are an error."""
        matrix = self.schema.transform(new).matrices[KEY]
        return np.exp(Logit(matrix.values).log_probability(self.coefficients.ravel()))

    def _sections(self, level: float) -> Iterator[Section]:
        table = self.tidy(level)
        yield Section("Class membership (multinomial logit, reference class 1)", table)
        yield Section("Wald tests over all classes", self.test())


@dataclass(frozen=True, eq=False, repr=False)
class Distal(External):
    """Means of an outcome by class, or proportions of its `levels` (empty for a mean); `estimates` (class, column).

    `covariance` (class * column, class * column) is in the order of `tidy()`.
    """

    outcome: str
    levels: tuple[Any, ...]
    estimates: np.ndarray

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """class, term ("mean" or the level), estimate, std_error, conf_low, conf_high."""
        classes, columns = self.estimates.shape
        estimate, error = self.estimates.ravel(), standard_errors(self.covariance)
        half = norm.ppf(0.5 + level / 2) * error
        return pd.DataFrame(
            {
                "class": np.repeat(np.arange(1, classes + 1), columns),
                "term": [str(name) for name in self.levels or ("mean",)] * classes,
                "estimate": estimate,
                "std_error": error,
                "conf_low": estimate - half,
                "conf_high": estimate + half,
            }
        )

    def test(self) -> ChiSquare:
        """Wald test that all classes have the same means (proportions): statistic, df, p_value."""
        contrasts = [self._contrast(0, other) for other in range(1, len(self.estimates))]
        matrix = np.concatenate(contrasts) if contrasts else np.zeros((0, self.estimates.size))
        return _test(matrix, self.estimates.ravel(), self.covariance)

    def pairwise(self) -> pd.DataFrame:
        """One row a pair of classes: difference and std_error (of a mean), statistic, df, p_value (unadjusted)."""
        rows = []
        for first, second in combinations(range(len(self.estimates)), 2):
            matrix = self._contrast(first, second)
            shown: dict[str, Any] = {"class": first + 1, "other": second + 1}
            if not self.levels:
                shown["difference"] = float(matrix[0] @ self.estimates.ravel())
                shown["std_error"] = float(np.sqrt(matrix[0] @ self.covariance @ matrix[0]))
            rows.append({**shown, **_test(matrix, self.estimates.ravel(), self.covariance)._asdict()})
        return pd.DataFrame(rows)

    def _contrast(self, first: int, second: int) -> np.ndarray:
        """Means of class `second` minus those of `first`, (column, class * column)."""
        classes, columns = self.estimates.shape
        difference = np.eye(classes)[second] - np.eye(classes)[first]
        return np.kron(difference, np.eye(columns))

    def _sections(self, level: float) -> Iterator[Section]:
        kind = "Proportions" if self.levels else "Means"
        yield Section(f"{kind} of {self.outcome} by class", self.tidy(level))
        if len(self.estimates) > 1:
            yield Section("Wald test of equality", pd.DataFrame([self.test()]))
            yield Section("Pairs of classes", self.pairwise())


def _test(matrix: np.ndarray, estimate: np.ndarray, covariance: np.ndarray) -> ChiSquare:
    if not len(matrix):
        return ChiSquare(0.0, 0, 1.0)
    return wald(estimate, covariance, matrix, np.zeros(len(matrix)))
