"""compare_rare: logistic regression, proportional odds and shrunken fits of a rare category, by cross-validation."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from mixstat.estimators.methods.rare_events import called, named_places
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.model.checks import column_name, integer
from mixstat.estimators.model.fitting import prepare
from mixstat.estimators.model.random import generator
from mixstat.estimators.ordinal import OrdinalRegression
from mixstat.estimators.ordinal_cv import OrdinalRegressionCV
from mixstat.exceptions import DataError, OptionError
from mixstat.formula import split_gate
from mixstat.formula.frame import Table
from mixstat.inference.rare_events import Forecast
from mixstat.results.rare_events import RareComparison

INDICATOR = "rare_category"
"""Column of 0 and 1 that logistic regression is of."""
LOGISTIC, PARALLEL, SHRUNKEN = "logistic", "proportional odds", "shrunken"


def compare_rare(
    formula: str,
    data: Any,
    *,
    rare: Any = None,
    models: Mapping[str, Any] | None = None,
    cv: int = 5,
    repeats: int = 1,
    groups: str | None = None,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    random_state: Any = 0,
) -> RareComparison:
    """How well a rare category is predicted by logistic regression on it alone, by proportional odds, and by slopes
    that are shrunken towards proportional odds: scores of rows left out of the fits.

    formula : of the ordered response, "outcome ~ age + channel".
    rare : the category (a list: several together); None is the one of fewest rows.
    models : more estimators by name, such as {"partial": ms.OrdinalRegression(formula, separate="age")}, unfitted, of
        the same response; one of the three names "logistic", "proportional odds", "shrunken" replaces that model, None
        leaves it out. Theirs is `OrdinalRegressionCV(formula)` with 30 penalties, whose own folds are inside.
    cv, repeats : folds, which are stratified by category, so that each fits to some rows of the rare one; and how often
        rows are divided anew.
    groups : column of groups of rows that stay together.
    sample_weight : of rows, in fits and scores: an array or a column's name.
    n_jobs : processes over folds.

    Rows with a missing value in a column of the formula are left out.
    """
    model = OrdinalRegression(_ungated(formula), verbose=0)
    prepared = prepare(data, model._request(None), sample_weight)
    levels = prepared.responses["0.0"].family.levels  # type: ignore[attr-defined]
    code = prepared.responses["0.0"].values[0].astype(int)
    weight, kept = prepared.sample.row_weight, prepared.sample.kept
    shares = np.bincount(code, weight, len(levels))
    chosen = [int(shares.argmin())] if rare is None else named_places(rare, np.array(levels))
    table = _with_indicator(restricted(data, kept), np.isin(code, chosen))
    group = None if groups is None else Table(table).raw(str(column_name("groups", groups)))[0].astype(str)
    candidates = _candidates(formula, models)
    count, again = integer("cv", cv, 2), integer("repeats", repeats, 1)
    splits = _splits(code, group, levels, count, again, generator(random_state))
    jobs = Parallel(n_jobs=n_jobs)(
        delayed(_left_out)(candidates, table, weight, train, test, chosen) for train, test in splits
    )
    rows = np.concatenate([test for _, test in splits])
    forecasts, failed = {}, {}
    for name in candidates:
        chance = np.concatenate([job[name][0] for job in jobs])
        forecasts[name] = Forecast(chance, np.isin(code[rows], chosen).astype(float), weight[rows])
        failed[name] = sum(not job[name][1] for job in jobs)
    return RareComparison.of(called(np.array(levels)[chosen]), forecasts, failed, kept[rows])


def _ungated(formula: Any) -> str:
    if not isinstance(formula, str):
        raise OptionError(f"compare_rare takes a formula such as 'outcome ~ age + channel', got {formula!r}")
    plain, gate = split_gate(formula)
    if gate is not None:
        raise OptionError(f"{formula!r} names a gate after '|'; give a mixture in models= instead")
    return plain


def _candidates(formula: str, models: Mapping[str, Any] | None) -> dict[str, Any]:
    """The estimators by name."""
    usual: dict[str, Any] = {
        LOGISTIC: OrdinalRegression(f"{INDICATOR} ~ {formula.partition('~')[2]}", verbose=0),
        PARALLEL: OrdinalRegression(formula, verbose=0),
        SHRUNKEN: OrdinalRegressionCV(formula, n_penalties=30, smallest=1e-3, verbose=0),
    }
    given = usual | dict(models or {})
    found = {str(name): model for name, model in given.items() if model is not None}
    if len(found) < 1:
        raise OptionError("models= leaves nothing to compare")
    for name, model in found.items():
        if not hasattr(model, "predict_proba") or getattr(model, "formula", "") is None:
            raise OptionError(f"models= holds {name!r}, which is no model of categories with a formula: {model!r}")
    return found


def _with_indicator(table: Any, event: np.ndarray) -> pd.DataFrame:
    opened = Table(table)
    frame = pd.DataFrame({name: opened.column(name, infinite=True).series() for name in opened.names})
    return frame.assign(**{INDICATOR: event.astype(int)})


def _splits(
    code: np.ndarray, group: np.ndarray | None, levels: tuple, count: int, repeats: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(training, left out) rows of all folds; every training part has every category."""
    splits = []
    for _ in range(repeats):
        kind = StratifiedKFold if group is None else StratifiedGroupKFold
        splitter = kind(count, shuffle=True, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            splits += list(splitter.split(np.zeros((len(code), 1)), code, group))
    for train, _ in splits:
        absent = sorted(set(range(len(levels))) - set(code[train]))
        if absent:
            raise DataError(
                f"a training part has no row of category {levels[absent[0]]!r}, of which there are "
                f"{(code == absent[0]).sum()} rows; use fewer folds or other groups, or merge the category"
            )
    return splits


def _left_out(
    candidates: Mapping[str, Any],
    table: pd.DataFrame,
    weight: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    chosen: list[int],
) -> dict[str, tuple[np.ndarray, bool]]:
    """By model: probabilities of the event in the rows left out, and whether the fit converged."""
    found = {}
    for name, candidate in candidates.items():
        model = uncrossed(clone(candidate))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model.fit(table.iloc[train], sample_weight=weight[train])
        chances = model.predict_proba(table.iloc[test])
        places = [1] if name == LOGISTIC and chances.shape[1] == 2 else chosen
        found[name] = np.clip(chances[:, places].sum(axis=1), 0.0, 1.0), bool(model.converged_)
    return found


def uncrossed(model: Any) -> Any:
    """The model, with cumulative probabilities sorted in rows where they cross."""
    known = model.get_params()
    sorting = {"crossing": ("report", "rearrange"), "rearrange": (False, True)}
    named = {name: sorting.get(name.rpartition("__")[2]) for name in known}
    return model.set_params(**{name: pair[1] for name, pair in named.items() if pair and known[name] == pair[0]})
