"""Classifying: units sorted into classes, how surely, and the table with everything a fit says of a row."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.over_time import outcome_names
from mixstat.estimators.methods.subjects import observed_outcomes, subject_means, subjects_of
from mixstat.estimators.model import new_data, outputs
from mixstat.exceptions import DataError
from mixstat.formula.frame import Table
from mixstat.inference import classification
from mixstat.results.classification import ClassificationTable

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.fit.problem import Problem


class Classifying:
    """Methods that sort units into classes."""

    fitted_: "Fitted"
    _problem: "Problem"

    def responsibilities(self, X: Any, y: Any = None) -> np.ndarray:
        """Posterior class probabilities."""
        raise NotImplementedError

    def _new_table(self, X: Any, y: Any) -> Any:
        raise NotImplementedError

    def classify(self, X: Any = None, y: Any = None) -> np.ndarray:
        """The most probable class of every unit given its response, 1, 2, ..., (unit,); of the fit's units if X is
        None."""
        return classification.modal_class(self._posterior_of(X, y)[0]) + 1

    def classification_table(self, X: Any = None, y: Any = None) -> ClassificationTable:
        """Average posterior probabilities, odds of correct classification and classification errors.

        Of the fit's units with their weights, or of the units of X, each with weight 1.
        """
        responsibility, weight = self._posterior_of(X, y)
        modal = classification.assign(responsibility, "modal")
        share = np.average(responsibility, axis=0, weights=weight)
        average = classification.average_posterior(responsibility, weight)
        errors = classification.classification_errors(responsibility, modal, weight)
        labels = pd.RangeIndex(1, len(share) + 1, name="class")
        classes = pd.DataFrame(
            {
                "class": np.arange(1, len(share) + 1),
                "units": modal[weight > 0].sum(axis=0).astype(int),
                "modal_share": np.average(modal, axis=0, weights=weight),
                "share": share,
                "average_posterior": np.diag(average),
                "odds_correct": classification.odds_of_correct_classification(average, share),
            }
        )
        modal_labels = labels.rename("modal_class")
        return ClassificationTable(
            classes, pd.DataFrame(average, modal_labels, labels), pd.DataFrame(errors, labels, modal_labels)
        )

    def augment(self, X: Any, y: Any = None, *, prefix: str = "") -> pd.DataFrame:
        """X as a pandas data frame with columns of the fit after its own, one row a row of X.

        fitted, residual : the mean given the covariates, and response minus it; for several responses fitted_<name>
            and residual_<name>, for a categorical one fitted_<name>[<level>], probabilities without residuals
        fitted_subject, residual_subject : of growth curves, the mean given the subject's responses too, as
            `predict(kind="subject")`; residuals are missing where the response is
        gate_<k>, responsibility_<k> : class probabilities before and after the response (of the row's unit) is seen
        class : the most probable class, 1, 2, ...
        density : of the response of the row's unit

        `prefix` goes before the new names; a name that X has already is an error.
        """
        check_is_fitted(self, "fitted_")
        table = self._new_table(X, y)
        frame = _frame(table)
        columns = {f"{prefix}{name}": values for name, values in _columns(self.fitted_, table).items()}
        taken = [name for name in columns if name in frame.columns]
        if taken:
            raise DataError(f"the table has a column {taken[0]!r} already; give another prefix=, such as 'fit_'")
        return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)

    def _posterior_of(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Responsibilities (unit, class) and weights (unit,)."""
        check_is_fitted(self, "fitted_")
        if X is not None:
            responsibility = self.responsibilities(X, y)
            return responsibility, np.ones(len(responsibility))
        if not hasattr(self, "_problem"):
            raise DataError("a saved model does not hold the training data; pass the table")
        fitted = self.fitted_
        return (
            classification.fitted_posterior(self._problem, fitted.solution.theta).responsibility,
            fitted.sample.weight,
        )


def _frame(table: Any) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return table
    opened = Table(table)
    return pd.DataFrame({name: opened.raw(name)[0] for name in opened.names})


def _columns(fitted: "Fitted", table: Any) -> dict[str, np.ndarray]:
    new = new_data.with_response(fitted, table)
    found = new_data.posterior(fitted, new)
    rows = new_data.read(fitted, table, response=False, by_unit=False)
    gate = new_data.row_gate(fitted, rows)
    unit = np.arange(new.rows) if new.unit is None else new.unit
    responsibility = found.responsibility[unit]
    columns = _fitted_means(fitted, rows, new, gate)
    if new.grid is not None:
        means = subject_means(fitted, subjects_of(fitted, new), rows.data, unit)[0]
        endings = [f"_{name}" for name in outcome_names(fitted)] if len(means) > 1 else [""]
        for ending, mean, value in zip(endings, means, observed_outcomes(fitted, new), strict=True):
            columns |= {f"fitted_subject{ending}": mean, f"residual_subject{ending}": value - mean}
    for k in range(gate.shape[1]):
        columns[f"gate_{k + 1}"] = gate[:, k]
    for k in range(gate.shape[1]):
        columns[f"responsibility_{k + 1}"] = responsibility[:, k]
    columns["class"] = classification.modal_class(responsibility) + 1
    columns["density"] = np.exp(found.log_density)[unit]
    return columns


def _fitted_means(
    fitted: "Fitted", rows: new_data.NewData, new: new_data.NewData, gate: np.ndarray
) -> dict[str, np.ndarray]:
    """fitted and residual columns; the mean of a grouped binomial is the probability, its residual a proportion's."""
    means, columns = outputs.class_means(fitted, rows), {}
    for mean in means:
        average = np.einsum("nkc,nk->nc", mean.values, gate)
        plain = len(means) == 1 and average.shape[1] == 1
        observed = _observed(mean.slot, new) if new.grid is None else observed_outcomes(fitted, new)
        for column, name in enumerate(mean.names[: average.shape[1]]):
            ending = "" if plain else f"_{name}"
            columns[f"fitted{ending}"] = average[:, column]
            if not mean.slot.family.categories:
                columns[f"residual{ending}"] = observed[column] - average[:, column]
    return columns


def _observed(slot: outputs.Slot, new: new_data.NewData) -> np.ndarray:
    """(column, row) the response, NaN where it is missing (one of several outcomes)."""
    response = (new.responses or {})[slot.plan.key]
    values = np.where(response.seen, response.values, np.nan)
    if slot.family.name == "binomial" and len(slot.responses) > 1:
        return values / np.where(response.seen, response.data[1], np.nan)
    return values
