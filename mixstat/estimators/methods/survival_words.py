"""Survival in words: the baseline that kappa's interval suggests, and the shape of a hazard."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.moments import require_survival
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.model import new_data
from mixstat.estimators.model.report import labels_of
from mixstat.exceptions import OptionError
from mixstat.families.survival import APGW
from mixstat.inference.prediction import row_predictors

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

INFINITE = 6.0
"""log(kappa + 1) that no data tell from an infinite one."""
NAMES = ((0.0, "log-logistic (kappa = 0; with lambda free Burr XII)"), (float(np.log(2.0)), "Weibull (kappa = 1)"))


class SurvivalWords:
    """Methods that say in words what a fit of survival times found."""

    fitted_: "Fitted"

    def suggested_baseline(self, *, level: float = 0.95) -> str:
        """The named baselines that the profile-likelihood interval of kappa holds.

        Several names if it holds several, "cure" if it lies below 0, "Gompertz type" if it runs to infinity, or "none
        of the named ones".
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "suggested_baseline()")
        labels = [label for label in labels_of(self.fitted_) if label.parameter == "kappa1"]
        if len(labels) != 1:
            raise OptionError("suggested_baseline() needs one estimated kappa: baseline=None, shape=None")
        if float(self.fitted_.theta[labels_of(self.fitted_).index(labels[0])]) > INFINITE:
            low, high = INFINITE, np.inf
        else:
            row = self.profile([labels[0].name], level).iloc[0]  # type: ignore[attr-defined]
            low, high = float(row["conf_low"]), float(row["conf_high"])
        found = [name for value, name in NAMES if low <= value <= high]
        found += ["Gompertz type (kappa infinite)"] if high > INFINITE else []
        found += ["cure (kappa below 0)"] if high < 0 else []
        return " or ".join(found) or "none of the named ones"

    def hazard_shape(self, X: Any = None) -> pd.DataFrame:
        """The shape of each expert's hazard for the rows of X (None: of the fit): rowid, expert, gamma, kappa, shape.

        Increasing where gamma >= 1 and kappa gamma >= 1, decreasing where both are at most 1, up then down where only
        gamma is above 1, a bathtub where only kappa gamma is.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "hazard_shape()")
        fitted = self.fitted_
        new = new_data.read(fitted, restricted(*rows_of(self, X, None)), response=False, by_unit=False)
        predictors = row_predictors(fitted.assembled.mixture, fitted.phi, new.data)
        parts: list[pd.DataFrame] = []
        for template, values in zip(fitted.assembled.stacks, predictors, strict=True):
            family = template[0][0].family
            if not isinstance(family, APGW):
                raise OptionError(f"hazard_shape() is for the adapted power generalised Weibull, not {family.name!r}")
            for eta in values[0][:, 0]:
                gamma, kappa = _gamma_and_kappa(family, eta)
                columns = {"rowid": np.arange(len(gamma)), "expert": len(parts) + 1, "gamma": gamma, "kappa": kappa}
                parts.append(pd.DataFrame({**columns, "shape": _shape(gamma, kappa)}))
        return pd.concat(parts, ignore_index=True)


def _gamma_and_kappa(family: APGW, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = dict(zip((parameter.name for parameter in family.parameters), eta, strict=True))
    gamma = np.exp(known["gamma"]) if "gamma" in known else np.ones(eta.shape[1])
    if family.kappa is not None:
        return gamma, np.full(eta.shape[1], family.kappa)
    return gamma, np.where(known["kappa1"] > INFINITE, np.inf, np.expm1(np.minimum(known["kappa1"], INFINITE)))


def _shape(gamma: np.ndarray, kappa: np.ndarray) -> np.ndarray:
    late = kappa * gamma
    constant = (np.abs(gamma - 1) < 1e-9) & (np.abs(late - 1) < 1e-9)
    words = ["constant", "increasing", "decreasing", "up then down"]
    cases = [constant, (gamma >= 1) & (late >= 1), (gamma <= 1) & (late <= 1), gamma > 1]
    return np.select(cases, words, "bathtub")
