"""Ordinal tests: whether slopes are the same at every cut, and whether covariates act on the scale."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.model.report import facts_of
from mixstat.estimators.model.state import Training, training_of
from mixstat.exceptions import DataError, OptionError
from mixstat.families.ordinal import Ordinal
from mixstat.inference.brant import brant
from mixstat.inference.criteria import aic
from mixstat.inference.hypotheses import likelihood_ratio

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

ALL = "all terms"
COLUMNS = ["term", "statistic", "df", "p_value", "log_likelihood", "aic", "status"]
MAIN, SEPARATE, SCALE = "0.0", "0.0.separate", "0.0.scale"
"""Keys of the formulas of an ordinal regression."""
SHORT = 1e-6
"""Share of a log-likelihood by which a larger model may end below a smaller one for rounding."""


class OrdinalTests:
    """Tests of an `OrdinalRegression` without a penalty. They need the data of the fit."""

    fitted_: "Fitted"

    def test_proportional_odds(self) -> pd.DataFrame:
        """Likelihood-ratio tests of parallel slopes against slopes of each cut: of all terms together, and one by one.

        Columns: term ("all terms" first), statistic, df, p_value, log_likelihood and aic of the larger model, status.
        Where slopes of the larger model run to infinity (a rare category is separated) the statistic is that of the
        likelihood's limit, and status says so; where it cannot be fitted the statistic is missing, and status says
        why. After slopes="separate" the smaller model is fitted for it.
        """
        base, training = _base(self, "test_proportional_odds()")
        whole = _compared(base, _refitted(base, training, slopes="separate", separate=None), ALL)
        return pd.DataFrame([whole, *_nominal(base, training)], columns=COLUMNS)

    def nominal_test(self) -> pd.DataFrame:
        """Likelihood-ratio tests of parallel slopes term by term, as `nominal_test` of R's ordinal.

        Terms that have slopes of each cut already are not tested. Columns as in `test_proportional_odds`.
        """
        base, training = _base(self, "nominal_test()")
        return pd.DataFrame(_nominal(base, training), columns=COLUMNS)

    def scale_test(self) -> pd.DataFrame:
        """Likelihood-ratio tests of effects on the log scale term by term, as `scale_test` of R's ordinal.

        Terms of `scale=` are not tested. Columns as in `test_proportional_odds`.
        """
        base, training = _base(self, "scale_test()")
        known = _terms(base.fitted_, SCALE)
        rows = []
        for term in dict.fromkeys([*_terms(base.fitted_, MAIN), *_terms(base.fitted_, SEPARATE)]):
            if term not in known:
                scale = term if base.scale is None else f"{base.scale.strip().removeprefix('~')} + {term}"
                rows.append(_compared(base, _refitted(base, training, scale=scale, **_last(base, term)), term))
        return pd.DataFrame(rows, columns=COLUMNS)

    def brant_test(self) -> pd.DataFrame:
        """Brant's test (1990, Biometrics 46) of proportional odds: of all terms together, and term by term.

        Compares the slopes of logistic regressions of y > k, one a cut, and needs no larger model. Columns: term ("all
        terms" first), statistic, df, p_value, status (why there is none: a cut's regression has no maximum).
        """
        base, training = _base(self, "brant_test()")
        family = law_of(base.fitted_)
        if (family.kind, family.link) != ("cumulative", "logit") or base.separate is not None or base.scale is not None:
            raise OptionError(
                "brant_test() is for cumulative logits with parallel slopes; test_proportional_odds() is for all"
            )
        return _brant(base.fitted_, training)


def _base(model: Any, what: str) -> tuple[Any, Training]:
    """The fit with parallel slopes that is tested, and its data."""
    check_is_fitted(model, "fitted_")
    fitted = model.fitted_
    if fitted.assembled.named.penalty.any():
        raise OptionError(f"{what} is for fits without penalty=; after one, see selection_stability()")
    training = training_of(model)
    if model.slopes == "parallel":
        return model, training
    return _refitted(model, training, slopes="parallel", separate=None), training


def _refitted(model: Any, training: Training, **options: Any) -> Any:
    """The model with other options, fitted; or the sentence that says why it cannot be."""
    other = clone(model).set_params(**options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return other._fit_training(training)
    except (DataError, OptionError) as error:
        return f"not fitted: {error}"


def _nominal(base: Any, training: Training) -> list[dict]:
    """A row a term with parallel slopes."""
    held = [] if base.separate is None else [base.separate.strip().removeprefix("~")]
    return [
        _compared(base, _refitted(base, training, separate=" + ".join([*held, term])), term)
        for term in _terms(base.fitted_, MAIN)
    ]


def _last(model: Any, term: str) -> dict[str, str]:
    """The formula with the term moved to its end: equal forms compile once."""
    return {} if model.formula is None else {"formula": f"{model.formula} - ({term}) + {term}"}


def _compared(base: Any, larger: Any, term: str) -> dict:
    if isinstance(larger, str):
        return {"term": term, "statistic": np.nan, "df": pd.NA, "p_value": np.nan, "status": larger}
    facts = facts_of(larger.fitted_)
    row = {"term": term, "df": facts["n_parameters"] - base.n_parameters_, "status": larger.status_}
    if not larger.converged_:
        return row | {"statistic": np.nan, "p_value": np.nan}
    value = facts["log_likelihood"]
    row |= {"log_likelihood": value, "aic": aic(value, facts["n_parameters"])}
    if value < base.log_likelihood_ - SHORT * (1 + abs(value)):
        return row | {"statistic": np.nan, "p_value": np.nan, "status": "ended below the smaller model"}
    test = likelihood_ratio(base.log_likelihood_, value, row["df"])
    return row | {"statistic": test.statistic, "p_value": test.p_value}


def _terms(fitted: "Fitted", key: str) -> list[str]:
    """Terms of a formula that have a coefficient."""
    return list(_columns(fitted, key))


def _columns(fitted: "Fitted", key: str) -> dict[str, list[int]]:
    """Places of the columns of each term in the matrix of a formula, without intercept and collinear columns."""
    found: dict[str, list[int]] = {}
    for place, (name, term) in enumerate(zip(*fitted.schema.columns.get(key, ((), ())), strict=True)):
        if term != "1" and f"{key}:{name}" not in fitted.dropped:
            found.setdefault(term, []).append(place)
    return found


def _brant(fitted: "Fitted", training: Training) -> pd.DataFrame:
    sample = fitted.sample
    rows = fitted.schema.transform(restricted(training.table, sample.kept), response=True)
    if rows.offsets:
        raise OptionError("brant_test() does not take an offset into account; use test_proportional_odds()")
    terms, (response, *_) = _columns(fitted, MAIN), rows.responses or []
    used = [place for places in terms.values() for place in places]
    order = {place: number for number, place in enumerate(used)}
    groups = {ALL: range(len(used))} | {term: [order[place] for place in places] for term, places in terms.items()}
    family = law_of(fitted)
    code = _codes(response, family.levels)
    alive = sample.row_weight > 0
    x = rows.matrices[MAIN].values[:, used][alive]
    tests, failed = brant(code[alive], x, sample.row_weight[alive], family.cuts, groups)
    status = "" if not failed else f"the logistic regression of y > {_named(failed, family.levels)} has no maximum"
    return pd.DataFrame([{"term": term, **test._asdict(), "status": status} for term, test in tests.items()])


def law_of(fitted: "Fitted") -> Ordinal:
    """The law of the categories, with their levels."""
    return cast(Ordinal, fitted.assembled.stacks[0][0][0].family)


def _codes(response: Any, levels: tuple) -> np.ndarray:
    """0, 1, ... of the response's categories."""
    values = np.asarray(response.values, dtype=float)
    if response.levels is not None:
        return values
    return np.searchsorted(np.array(levels, dtype=float), values).astype(float)


def _named(cuts: Iterable[int], levels: tuple) -> str:
    return ", ".join(repr(levels[cut - 1]) for cut in cuts)
