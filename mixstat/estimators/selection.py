"""Selection: how many experts, or which options. Criteria and held-out likelihood of every candidate."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from mixstat.estimators.mixture import require_mixture
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice, integer
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.state import Training, given_or_training
from mixstat.estimators.option_grid import Candidate, candidates_of
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.progress import counting, warn_of_interrupt
from mixstat.inference.prediction import training_posterior

CRITERIA = ("aic", "bic", "sabic", "caic", "icl")
FACTS = ("log_likelihood", "n_parameters", "aic", "bic", "sabic", "caic", "icl", "entropy")
SEARCH = ("smallest_class", "hits", "carried", "converged", "status")


class Selection(NamedTuple):
    """Fits of one model with several numbers of experts, or with several options.

    `table` has a row a candidate: `n_experts` or the options, `log_likelihood`, `n_parameters`, the criteria (smaller
    is better), relative `entropy`, share of the `smallest_class`, `hits` of the best optimum among the starts `carried`
    to one, `converged` and `status`; with cross-validation also `held_out` and `held_out_std_error`, the mean held-out
    log-likelihood of a unit (larger is better). `models` holds the fits by number of experts, or by row of the table.
    """

    table: pd.DataFrame
    models: dict[int, Any]

    def best(self, criterion: str = "bic") -> Any:
        """The fit with the best criterion: one of aic, bic, sabic, caic, icl (smallest), held_out (largest).

        Fits that are no certified maximum are passed over where others are.
        """
        known = [*CRITERIA, *(["held_out"] if "held_out" in self.table else [])]
        values = self.table[choice("criterion", criterion, known)].astype(float)
        if values.isna().all():
            raise DataError("no candidate could be fitted; see the table's status")
        sound = self.table["converged"].eq(True) & values.notna()
        values = values[sound] if sound.any() else values
        row = values.idxmax() if criterion == "held_out" else values.idxmin()
        return self.models[int(self.table.loc[row, "n_experts"]) if "n_experts" in self.table else int(row)]

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
    over: Mapping[str, Sequence[Any]] | None = None,
    covariates: Sequence[str] | None = None,
    sample_weight: Any = None,
    cv: int | None = None,
    random_state: Any = None,
) -> Selection:
    """Fit `model` with each number of experts, or with each combination of options, and compare.

    model : MixtureOfExperts, fitted (X may then be left out: its data are used) or not; with `over` or `covariates` any
        estimator.
    over : arguments of the constructor and their values: all combinations are fitted instead of numbers of experts.
    covariates : of a SurvivalRegression, what the covariates of its formula act on: some of "aft", "ph", "aft+power",
        "ph+power", "both".
    cv : number of folds (of whole units) for the held-out log-likelihood; None leaves it out.

    Criteria and the bootstrap likelihood-ratio test (`bootstrap_lrt`) may disagree: AIC tends to too many experts, ICL
    prefers well-separated ones (McLachlan and Peel, 2000, chapter 6). A candidate that cannot be fitted is a row with
    its reason. Shows progress; an interrupt returns the rows that are done, with a warning.
    """
    training = given_or_training(model, X, y, sample_weight)
    if over is None and covariates is None:
        candidates = _numbers(model, n_experts)
    else:
        candidates = candidates_of(model, over, covariates)
    folds = None if cv is None else integer("cv", cv, 2)
    seed = int(generator(random_state).integers(2**63))
    rows, models = _compare(candidates, training, folds, seed)
    held_out = () if folds is None else ("held_out", "held_out_std_error")
    shown = [*candidates[0].keys, *FACTS, *held_out, *SEARCH]
    return Selection(pd.DataFrame(rows).reindex(columns=shown), models)


def _numbers(model: Any, n_experts: Sequence[int]) -> list[Candidate]:
    require_mixture(model)
    numbers = [integer("n_experts", k, 1) for k in n_experts]
    if not numbers:
        raise OptionError("n_experts is empty; give numbers such as range(1, 6)")
    return [Candidate({"n_experts": number}, model._resized(number)) for number in numbers]


def _compare(
    candidates: list[Candidate], training: Training, folds: int | None, seed: int
) -> tuple[list[dict], dict[int, Any]]:
    """Rows of the table, and fits by number of experts or by row; after an interrupt those that are done."""
    rows: list[dict] = []
    models: dict[int, Any] = {}
    silent = not getattr(candidates[0].model, "verbose", 1)
    with counting("candidates", len(candidates), silent=silent) as advance:
        try:
            for place, candidate in enumerate(candidates):
                row, fitted = _row(candidate, training)
                if fitted is not None:
                    models[candidate.keys.get("n_experts", place)] = fitted
                    row |= {} if folds is None else _held_out(fitted, training, folds, seed)
                rows.append(row)
                advance()
        except KeyboardInterrupt:
            if not rows:
                raise
            warn_of_interrupt("select()", len(rows), len(candidates))
    return rows, models


def _row(candidate: Candidate, training: Training) -> tuple[dict, Any]:
    """(facts, the fit), or the reason why there is none."""
    keys, model = candidate
    try:
        model._fit_training(training)
    except (DataError, OptionError) as error:
        return {**keys, "status": f"not fitted: {error}"}, None
    fitted = model.fitted_
    hits, carried = report.hits(fitted)
    facts = report.facts_of(fitted) | {"smallest_class": report.class_sizes(fitted).min(), "hits": hits}
    facts |= {"carried": carried, "status": model.status_}
    return {**keys, **{name: facts[name] for name in (*FACTS, *SEARCH)}}, model


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
