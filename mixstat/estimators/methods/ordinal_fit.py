"""Ordinal fits: what an ordinal regression learns beside coefficients, and tables with either sign of its slopes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from mixstat.estimators.methods.reporting import Reporting
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import choice, column_name, integer, number, verbosity
from mixstat.estimators.model.ordinal_notes import SIGNS, certificate, standardized
from mixstat.families.ordinal.form import DIFFERENCE, OWN
from mixstat.fit.options import Options
from mixstat.results.summary import Summary

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted


class OrdinalFit(Reporting):
    """Attributes and tables of a fit."""

    fitted_: "Fitted"
    unit: str | None
    tol: float
    max_iter: int
    verbose: int
    _count_crossed: Callable[[], None]

    def _unit_column(self) -> str | None:
        return column_name("unit", self.unit)

    def _options(self) -> Options:
        return Options(
            tol=number("tol", self.tol),
            max_iter=integer("max_iter", self.max_iter, 1),
            verbose=verbosity(self.verbose),
        )

    def _learn(self, formula: str | None) -> None:
        super()._learn(formula)  # type: ignore[misc]
        self._count_crossed()
        self.objective_, self.kkt_residual_, self.duality_gap_ = certificate(self.fitted_)
        found = standardized(self.fitted_, getattr(self, "_problem", None))
        self.psi_standardized_, self.terms_standardized_ = found.psi, list(found.terms)
        if found.intercept is not None:
            self.intercept_standardized_ = found.intercept

    def tidy(self, level: float = 0.95, *, sign: str = "minus") -> pd.DataFrame:
        """Coefficients, one row an estimated parameter, with Wald statistics.

        sign : "minus" of cut - x'b, so that a positive slope makes high categories likelier (MASS, ordinal,
            statsmodels); "plus" of cut + x'b, the slopes of P(y <= k) (VGAM, ordinalNet).
        """
        table = super().tidy(level)
        return table if choice("sign", sign, tuple(SIGNS)) == "minus" else _mirrored(table)

    def summary(self, level: float = 0.95, *, sign: str = "minus") -> Summary:
        """Text (print it) and HTML (show it in a notebook); `sign` as in `tidy`."""
        table = self.tidy(level, sign=sign)
        return report.summarize(self.fitted_, table, type(self).__name__, sign=sign)


def _mirrored(table: pd.DataFrame) -> pd.DataFrame:
    """With slopes of the other sign."""
    turned = table.copy()
    slopes = table["parameter"].str.startswith(("location", OWN, DIFFERENCE))
    turned.loc[slopes, ["estimate", "statistic"]] = -table.loc[slopes, ["estimate", "statistic"]]
    ends = -table.loc[slopes, ["conf_high", "conf_low"]].to_numpy()
    turned.loc[slopes, ["conf_low", "conf_high"]] = ends
    return turned
