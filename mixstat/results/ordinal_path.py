"""The path of an ordinal regression: fits along falling penalties, each with its certificate."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.fit.fused import Point
from mixstat.inference.criteria import aic, bic
from mixstat.results.plots.paths import losses, penalty_path


class OrdinalPath(NamedTuple):
    """Fits along falling penalties.

    `table` has a row a penalty: `penalty`, `loss` (cross-validated), its
    `std_error` over folds, `log_likelihood`, `nonzero` slopes, `aic`, `bic`
    (parameters that are not zero), `objective` (mean penalised loss), `kkt_residual`, `duality_gap` (NaN where the dual
    is not known: other links and kinds, elastic nets), `crossed` training rows and `iterations`. `coefficients` is
    long: `penalty`, `parameter`, `term`, `standardized` (slopes of covariates with unit variance). `marks` are
    penalties by label.
    """

    table: pd.DataFrame
    coefficients: pd.DataFrame
    marks: Mapping[str, float]
    scoring: str

    def plot(self, *, ax: Any = None) -> Any:
        """Standardised slopes against the penalty, a colour a term, a dash a parameter; returns the axes."""
        moving = self.coefficients.groupby(["parameter", "term"])["standardized"].transform(lambda s: s.abs().max()) > 0
        return penalty_path(self.coefficients[moving], self.marks, by="parameter", of="Slope", ax=ax)

    def plot_loss(self, *, ax: Any = None) -> Any:
        """Cross-validated loss against the penalty, with one standard error over folds; returns the axes."""
        return losses(self.table, self.marks, of=self.scoring.replace("_", "-").capitalize(), ax=ax)

    def __repr__(self) -> str:
        return self.table.to_string(index=False)


def ordinal_path(
    points: Sequence[Point],
    names: Sequence[tuple[str, str]],
    left_out: np.ndarray,
    crossed: np.ndarray,
    marks: Mapping[str, float],
    scoring: str,
    weight: float,
    units: int,
) -> OrdinalPath:
    """Points with the (parameter, term) of their slopes in order, losses `left_out` (penalty, fold), and how many rows
    of the data `crossed` (penalty,).

    `weight` is that of all `units`.
    """
    rows, slopes = [], []
    for point, folds, crossing in zip(points, left_out, crossed, strict=True):
        log_likelihood, nonzero = -weight * point.loss, int((point.psi != 0).sum())
        parameters = nonzero + len(point.intercept)
        rows.append(
            {
                "penalty": point.lam,
                "loss": folds.mean(),
                "std_error": folds.std(ddof=1) / np.sqrt(len(folds)) if np.isfinite(folds).all() else np.nan,
                "log_likelihood": log_likelihood,
                "nonzero": nonzero,
                "aic": aic(log_likelihood, parameters),
                "bic": bic(log_likelihood, parameters, units),
                "objective": point.objective,
                "kkt_residual": point.kkt,
                "duality_gap": point.gap,
                "crossed": int(crossing),
                "iterations": point.iterations,
            }
        )
        slopes += [(point.lam, *name, -value) for name, value in zip(names, point.psi.ravel(), strict=True)]
    table = pd.DataFrame(slopes, columns=["penalty", "parameter", "term", "standardized"])
    return OrdinalPath(pd.DataFrame(rows), table, marks, scoring)
