"""Selection: how many experts. Criteria and held-out likelihood over a range of K."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from mixstat.estimators.mixture import require_mixture
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice, integer
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.state import Training, given_or_training
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.progress import counting
from mixstat.inference.prediction import training_posterior

CRITERIA = ("aic", "bic", "sabic", "caic", "icl")
COLUMNS = (
    *("n_experts", "log_likelihood", "n_parameters", "aic", "bic", "sabic", "caic", "icl", "entropy"),
    *("smallest_class", "hits", "carried", "converged", "status"),
)


class Selection(NamedTuple):
    """Fits of one model with several numbers of experts.

    `table` has a row a number of experts: `log_likelihood`, `n_parameters`, the criteria (smaller is better), relative
    `entropy`, share of the `smallest_class`, `hits` of the best optimum among the starts `carried` to one, `converged`
    and `status`; with cross-validation also `held_out` and `held_out_std_error`, the mean held-out log-likelihood of a
    unit (larger is better). `models` holds the fits by number of experts.
    """

    table: pd.DataFrame
    models: dict[int, Any]

    def best(self, criterion: str = "bic") -> Any:
        """The fit with the best criterion: one of aic, bic, sabic, caic, icl (smallest), held_out (largest)."""
        known = [*CRITERIA, *(["held_out"] if "held_out" in self.table else [])]
        values = self.table[choice("criterion", criterion, known)].astype(float)
        if values.isna().all():
            raise DataError("no number of experts could be fitted; see the table's status")
        row = values.idxmax() if criterion == "held_out" else values.idxmin()
        return self.models[int(self.table.loc[row, "n_experts"])]

    def __repr__(self) -> str:
        return self.table.drop(columns="status").to_string(index=False)

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False, escape=True)


def select(
    model: Any,
    X: Any = None,
    y: Any = None,
    *,
    n_experts: Sequence[int] = range(1, 6),
    sample_weight: Any = None,
    cv: int | None = None,
    random_state: Any = None,
) -> Selection:
    """Fit `model` with each number of experts and compare.

    model : MixtureOfExperts, fitted (X may then be left out: its data are used) or not.
    cv : number of folds (of whole units) for the held-out log-likelihood; None leaves it out.

    Criteria and the bootstrap likelihood-ratio test (`bootstrap_lrt`) may disagree: AIC tends to too many experts, ICL
    prefers well-separated ones (McLachlan and Peel, 2000, chapter 6). A number of experts that cannot be fitted is a
    row with its reason.
    """
    require_mixture(model)
    training = given_or_training(model, X, y, sample_weight)
    numbers = [integer("n_experts", k, 1) for k in n_experts]
    if not numbers:
        raise OptionError("n_experts is empty; give numbers such as range(1, 6)")
    folds = None if cv is None else integer("cv", cv, 2)
    seed = int(generator(random_state).integers(2**63))
    rows, models = [], {}
    with counting("n_experts", len(numbers), silent=not getattr(model, "verbose", 1)) as advance:
        for number in numbers:
            candidate = model._resized(number)
            row, fitted = _row(candidate, training)
            if fitted is not None:
                models[number] = fitted
                row |= {} if folds is None else _held_out(fitted, training, folds, seed)
            rows.append(row)
            advance()
    shown = [*COLUMNS[:9], *([] if folds is None else ["held_out", "held_out_std_error"]), *COLUMNS[9:]]
    return Selection(pd.DataFrame(rows).reindex(columns=shown), models)


def _row(candidate: Any, training: Training) -> tuple[dict, Any]:
    """(facts, the fit), or the reason why there is none."""
    number = candidate.n_experts
    try:
        candidate._fit_training(training)
    except DataError as error:
        return {"n_experts": number, "status": f"not fitted: {error}"}, None
    fitted = candidate.fitted_
    hits, carried = report.hits(fitted)
    facts = report.facts_of(fitted) | {"smallest_class": report.class_sizes(fitted).min(), "hits": hits}
    facts |= {"carried": carried, "status": candidate.status_}
    return {name: facts[name] for name in COLUMNS}, candidate


def _held_out(model: Any, training: Training, folds: int, seed: int) -> dict[str, float]:
    """Mean held-out log-likelihood of a unit and its standard error. Held-out units stay in the data with weight 0."""
    sample = model.fitted_.sample
    alive = np.flatnonzero(sample.weight > 0)
    if len(alive) < folds:
        raise OptionError(f"cv={folds} folds need as many units, got {len(alive)}")
    fold = np.full(len(sample.weight), -1)
    fold[np.random.default_rng(seed).permutation(alive)] = np.arange(len(alive)) % folds
    log_density = np.zeros(len(fold))
    for left_out in range(folds):
        weight = np.zeros(sample.n_given)
        of_rows = fold if sample.unit is None else fold[sample.unit]
        weight[sample.kept] = np.where(of_rows == left_out, 0.0, sample.row_weight)
        part = clone(model)._fit_training(training._replace(sample_weight=weight))
        mine = fold == left_out
        log_density[mine] = training_posterior(part._problem, part.fitted_.solution.phi).log_density[mine]
    weight, values = sample.weight[alive], log_density[alive]
    mean = np.average(values, weights=weight)
    error = np.sqrt((weight**2 * (values - mean) ** 2).sum()) / weight.sum()
    return {"held_out": float(mean), "held_out_std_error": float(error)}
