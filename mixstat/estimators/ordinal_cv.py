"""OrdinalRegressionCV: the penalty of an ordinal regression by cross-validation along its path."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.model.checks import choice, column_name, integer, number
from mixstat.estimators.model.fitting import Prepared, prepare, standardize
from mixstat.estimators.model.random import generator
from mixstat.estimators.model.state import Training
from mixstat.estimators.ordinal import OrdinalRegression
from mixstat.exceptions import DataError, OptionError
from mixstat.fit.crossing import WAYS, uncrossed
from mixstat.fit.fused import Fused, Point, Rows, probabilities
from mixstat.fit.fused_model import Placed, placed
from mixstat.fit.precision import double
from mixstat.formula.frame import Table
from mixstat.results.ordinal_path import ordinal_path

SCORES = ("log_loss", "brier", "error")
RULES = ("best", "one_se")


class OrdinalRegressionCV(OrdinalRegression):
    """An `OrdinalRegression` whose penalty is chosen by cross-validation, and fitted with it to all rows.

    Parameters
    ----------
    formula, link, kind, slopes, separate, scale, shared, fixed, unit, cluster : as in `OrdinalRegression`
    l1_ratio, penalize_first, penalty_factors, crossing, tol, max_iter, verbose : as in `OrdinalRegression`
    penalties : sequence of float, optional
        Without, `n_penalties` in equal steps of their logarithm from the least one under which no slope moves down to
        the share `smallest` of it.
    cv : int, splitter of scikit-learn, or pairs of (training, left out) places
        A number makes folds that are stratified by category, and keep the groups of `groups` together. A category with
        fewer rows than folds is an error; in array mode a warning, and there are as many folds as it has rows.
    groups : str, optional
        Column of groups of rows.
    scoring : {"log_loss", "brier", "error"}
        Mean loss of the rows left out: -log P(y), sum_k (1[y = k] - P(k))^2, or 1[most probable category is not y].
        A row whose own category has no positive probability has an infinite log-loss.
    rule : {"best", "one_se"}
        The penalty of least loss, or the largest within one standard error (over folds) of it. With
        crossing="report" penalties whose fit to all rows crosses are chosen only where all do.
    n_jobs : int, optional
        Processes over folds.
    random_state : int or Generator
        Of the folds.

    Notes
    -----
    Attributes: `penalty_`, `penalties_`, `losses_` (penalty, fold), `path_` (the fits to all rows, with a certificate
    each), and those of `OrdinalRegression`. Covariates are standardised within each training part.
    """

    def __init__(
        self,
        formula: str | None = None,
        *,
        link: str = "logit",
        kind: str = "cumulative",
        slopes: str = "shrunken",
        separate: str | None = None,
        scale: str | None = None,
        shared: str | Sequence[str] = (),
        fixed: Mapping[str, float] | None = None,
        unit: str | None = None,
        cluster: str | None = None,
        l1_ratio: float = 1.0,
        penalize_first: bool = True,
        penalty_factors: Mapping[str, float] | None = None,
        crossing: str = "report",
        penalties: Sequence[float] | None = None,
        n_penalties: int = 100,
        smallest: float = 1e-4,
        cv: Any = 5,
        groups: str | None = None,
        scoring: str = "log_loss",
        rule: str = "best",
        n_jobs: int | None = None,
        random_state: Any = 0,
        tol: float = 1e-9,
        max_iter: int = 200,
        verbose: int = 1,
    ):
        super().__init__(
            formula,
            link=link,
            kind=kind,
            slopes=slopes,
            separate=separate,
            scale=scale,
            shared=shared,
            fixed=fixed,
            unit=unit,
            cluster=cluster,
            l1_ratio=l1_ratio,
            penalize_first=penalize_first,
            penalty_factors=penalty_factors,
            crossing=crossing,
            tol=tol,
            max_iter=max_iter,
            verbose=verbose,
        )
        self.penalties = penalties
        self.n_penalties = n_penalties
        self.smallest = smallest
        self.cv = cv
        self.groups = groups
        self.scoring = scoring
        self.rule = rule
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def penalty(self) -> float:
        """The penalty chosen; 1 before."""
        return getattr(self, "penalty_", 1.0)

    @penalty.setter
    def penalty(self, value: float) -> None:
        """`OrdinalRegression` has it as an argument."""

    def save(self, path: str | os.PathLike) -> None:
        """Write the fit to all rows with the penalty chosen, which `mixstat.load` reads as an `OrdinalRegression`."""
        check_is_fitted(self, "fitted_")
        alone = OrdinalRegression(**{name: getattr(self, name) for name in OrdinalRegression._get_param_names()})
        alone.__dict__.update({name: value for name, value in self.__dict__.items() if name.endswith("_")})
        alone.save(path)

    def _search(self, training: Training) -> None:
        choice("scoring", self.scoring, SCORES)
        choice("rule", self.rule, RULES)
        if hasattr(self, "penalty_"):
            del self.penalty_
        self._choose(training)
        super()._search(training)

    @double
    def _choose(self, training: Training) -> None:
        """Walk the path on all rows and on every training part."""
        request = self._request(training.formula)
        prepared = prepare(training.table, request, training.sample_weight)
        standardized = standardize(request, prepared)
        place = placed(standardized.model.weighted(1 / prepared.sample.weight_unit))
        if place is None:
            raise OptionError(
                "a path of penalties needs slopes that are penalised, a link other than 'cauchit', and no scale=, "
                "offset, shared= or fixed=; fit OrdinalRegression with one penalty= instead"
            )
        fused, rows = place.fused, prepared.sample.kept[place.used]
        groups = _groups(column_name("groups", self.groups) or self._unit_column(), training.table, rows)
        given = _given_folds(self.cv, rows)
        folds = given or _folds(self.cv, fused, groups, generator(self.random_state), training.formula is not None)
        _require_all_categories(fused, folds)
        self.penalties_ = _grid(self, fused)
        settings = (self.penalties_, self.scoring, self.crossing)
        losses = Parallel(n_jobs=self.n_jobs)(delayed(fold_losses)(fused, *fold, *settings) for fold in folds)
        self.losses_ = np.stack(losses, axis=1)
        points = walk(fused, self.penalties_, self.crossing)
        crossed = np.array([crossed_rows(fused, point) for point in points])
        best, chosen = _best(self, crossed)
        self.penalty_ = float(self.penalties_[chosen])
        marks = {"Least loss": float(self.penalties_[best]), "Chosen": self.penalty_}
        units, weight = int((prepared.sample.weight > 0).sum()), float(prepared.sample.weight.sum())
        names = _slope_names(place, prepared)
        self.path_ = ordinal_path(points, names, self.losses_, crossed, marks, self.scoring, weight, units)


def _best(model: OrdinalRegressionCV, crossed: np.ndarray) -> tuple[int, int]:
    """Places of the penalty of least loss, and of the one that the rule chooses among those that may be."""
    mean = model.losses_.mean(axis=1)
    if not np.isfinite(mean).any():
        raise DataError("every penalty left a row out to whose category it gives no probability; see crossing=")
    usable = np.isfinite(mean) & (crossed == 0)
    if model.crossing != "report" or not usable.any():
        usable = np.isfinite(mean)
    best, least = int(np.argmin(mean)), int(np.argmin(np.where(usable, mean, np.inf)))
    if model.rule == "best":
        return best, least
    error = model.losses_[least].std(ddof=1) / np.sqrt(model.losses_.shape[1])
    return best, int(np.flatnonzero(usable & (mean <= mean[least] + error))[0])


def _slope_names(place: Placed, prepared: Prepared) -> list[tuple[str, str]]:
    """(parameter, term) of the slopes in order."""
    named = prepared.assembled.named
    labels = [named.labels[at] for at in named.ties.representative]
    return [(labels[at].parameter, labels[at].term) for at in place.slopes.ravel()]


def _grid(model: OrdinalRegressionCV, fused: Fused) -> np.ndarray:
    """Falling penalties."""
    if model.penalties is not None:
        given = np.array([number("penalties", value) for value in model.penalties])
        if not len(given) or given.min() <= 0:
            raise OptionError("penalties must be positive numbers")
        return np.sort(given)[::-1]
    count, least = integer("n_penalties", model.n_penalties, 2), number("smallest", model.smallest, high=1.0)
    if not 0 < least < 1:
        raise OptionError(f"smallest must be between 0 and 1, got {model.smallest!r}")
    return fused.largest() * least ** np.linspace(0, 1, count)


def _groups(name: str | None, table: Any, rows: np.ndarray) -> np.ndarray | None:
    """Numbers of the groups of rows, if there is a column of them."""
    return None if name is None else np.unique(Table(table).raw(name)[0][rows].astype(str), return_inverse=True)[1]


Fold = tuple[np.ndarray, np.ndarray]
"""(training, left out) rows."""


def _given_folds(cv: Any, rows: np.ndarray) -> list[Fold]:
    """Folds that are given as places in the table; `rows` (row,) are the places of the rows that count."""
    if not isinstance(cv, Iterable) or isinstance(cv, str) or hasattr(cv, "split"):
        return []
    pairs = [tuple(_places(part, rows) for part in fold) for fold in cv]
    if not pairs or any(len(pair) != 2 or not all(map(len, pair)) for pair in pairs):
        raise OptionError("cv must be pairs of (training, left out) places of rows, none of them empty")
    return [(train, test) for train, test in pairs]


def _places(given: Any, rows: np.ndarray) -> np.ndarray:
    """Numbers among the rows that count of places in the table."""
    wanted = np.asarray(given)
    wanted = np.flatnonzero(wanted) if wanted.dtype == bool else wanted.astype(np.int64)
    return np.flatnonzero(np.isin(rows, wanted))


def _folds(cv: Any, fused: Fused, groups: np.ndarray | None, rng: np.random.Generator, lenient: bool) -> list[Fold]:
    code = fused.rows.code.astype(int)
    splitter = cv if hasattr(cv, "split") else _splitter(cv, code, groups, fused.family.levels, rng, lenient)
    return list(splitter.split(fused.rows.z, code, groups))


def _require_all_categories(fused: Fused, folds: list[Fold]) -> None:
    code, levels = fused.rows.code.astype(int), fused.family.levels
    for train, _ in folds:
        absent = sorted(set(range(len(levels))) - set(code[train]))
        if absent:
            raise DataError(
                f"a training part has no row of category {levels[absent[0]]!r}, of which there are "
                f"{(code == absent[0]).sum()} rows; use fewer folds, other groups, or merge the category"
            )


def _splitter(
    cv: Any, code: np.ndarray, groups: np.ndarray | None, levels: tuple, rng: np.random.Generator, lenient: bool
) -> Any:
    folds = integer("cv", cv, 2)
    places = np.arange(len(code)) if groups is None else groups
    held = [len(np.unique(places[code == k])) for k in range(len(levels))]
    rare = int(np.argmin(held))
    if held[rare] < folds:
        what = "rows" if groups is None else "groups of rows"
        few = f"category {levels[rare]!r} has {held[rare]} {what}, fewer than the {folds} folds that each need one"
        if not lenient or held[rare] < 2:
            raise DataError(f"{few}; use cv={max(held[rare], 2)} or merge the category with a neighbour")
        warnings.warn(f"{few}; cv={held[rare]} is used", UserWarning, stacklevel=7)
        folds = held[rare]
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return kind(folds, shuffle=True, random_state=int(rng.integers(2**31)))


def walk(fused: Fused, penalties: np.ndarray, crossing: str) -> list[Point]:
    """The path, where `crossing` asks for it of fits that do not cross."""
    points = fused.path(penalties)
    return [uncrossed(fused, point, crossing) for point in points] if crossing in WAYS else points


def crossed_rows(fused: Fused, point: Point) -> int:
    """Rows whose cumulative probabilities cross."""
    if fused.family.kind != "cumulative":
        return 0
    eta = point.intercept[:, None] + (fused.build @ point.psi) @ fused.rows.z.T
    return int((np.diff(eta, axis=0) < 0).any(axis=0).sum())


def fold_losses(
    fused: Fused, train: np.ndarray, test: np.ndarray, penalties: np.ndarray, scoring: str, crossing: str
) -> np.ndarray:
    """(penalty,) mean losses of the rows left out, of a path on the others, standardised among themselves."""
    rows = fused.rows
    weight = rows.weight[train] / rows.weight[train].sum()
    centre = weight @ rows.z[train]
    scale = np.sqrt(weight @ (rows.z[train] - centre) ** 2)
    scale[scale <= 1e-12] = 1.0
    part = replace(fused, rows=Rows((rows.z[train] - centre) / scale, rows.code[train], weight))
    law = replace(fused.family, rearranged=crossing != "report")
    z, code, share = (rows.z[test] - centre) / scale, rows.code[test].astype(int), rows.weight[test]
    losses = []
    for point in walk(part, penalties, crossing):
        chances = probabilities(law, point.intercept[:, None] + (fused.build @ point.psi) @ z.T)
        losses.append(float(share @ row_losses(chances, code, scoring) / share.sum()))
    return np.array(losses)


def row_losses(chances: np.ndarray, code: np.ndarray, scoring: str) -> np.ndarray:
    """(row,) losses of probabilities (category, row)."""
    own = chances[code, np.arange(len(code))]
    if scoring == "log_loss":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(own > 0, -np.log(own), np.inf)
    if scoring == "brier":
        return (chances**2).sum(axis=0) - 2 * own + 1
    return (chances.argmax(axis=0) != code).astype(float)
