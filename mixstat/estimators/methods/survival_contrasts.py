"""Survival contrasts: hazard and time ratios of a change of one covariate, with intervals."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.effects import Answer, compare
from mixstat.estimators.methods.moments import at_times, checked_times, known_times, own_times, require_survival
from mixstat.estimators.methods.scene import Scene, rows_at
from mixstat.estimators.methods.settings import Contrast, change, contrasts_of
from mixstat.estimators.methods.surviving import joined_of, mixture_of, profiles_of, query_of, scene_of, values_of
from mixstat.exceptions import OptionError
from mixstat.inference.effects import row_jacobians, standard_errors

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

RATIO = "{high} / {low}"


class SurvivalContrasts:
    """Ratios of a change of one covariate; intervals are Wald's on the log scale."""

    fitted_: "Fitted"

    def hazard_ratio(
        self,
        variable: str,
        times: Any = None,
        X: Any = None,
        *,
        step: Any = None,
        level: float = 0.95,
        covariance: str = "information",
    ) -> pd.DataFrame:
        """h(t | changed) / h(t | as it is) over time, for a change of one covariate.

        X : profiles; None for one typical profile (medians, most frequent levels) of the data of the fit.
        step : as in `contrasts`: None adds 1 to a number and goes from the first level to each other one.

        Returns rowid, time, term, contrast, estimate, std_error, statistic, p_value, conf_low, conf_high.
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "hazard_ratio()")
        grid = known_times(self) if times is None else checked_times(times)
        scene = scene_of(self, profiles_of(self, X), "hazard", at_times(grid), None, None, covariance)
        found = contrasts_of(self.fitted_, scene.frame, variable, step, RATIO)
        return joined_of([compare(scene, variable, contrast, "ratio") for contrast in found], level, "log")

    def time_ratio(
        self,
        variable: str,
        q: Any = (0.25, 0.5, 0.75),
        X: Any = None,
        *,
        step: Any = None,
        level: float = 0.95,
        covariance: str = "information",
    ) -> pd.DataFrame:
        """t(q | changed) / t(q | as it is) over quantiles, for a change of one covariate; X and step as `hazard_ratio`.

        Constant exp(-slope) where covariates act on phi alone. Returns rowid, q, term, contrast, estimate, ...
        """
        check_is_fitted(self, "fitted_")
        require_survival(self.fitted_, "time_ratio()")
        levels = np.atleast_1d(np.asarray(q, dtype=float))
        scene = scene_of(self, profiles_of(self, X), "survival", at_times(np.ones(1)), None, None, covariance)
        found = contrasts_of(self.fitted_, scene.frame, variable, step, RATIO)
        return joined_of([self._time_ratio(scene, variable, c, levels) for c in found], level, "log")

    def _time_ratio(self, scene: Scene, variable: str, contrast: Contrast, levels: np.ndarray) -> Answer:
        sides = []
        for value in (contrast.low, contrast.high):
            frame = scene.frame.assign(**{variable: value})
            times = self.quantile(frame, levels).T  # type: ignore[attr-defined]
            if not np.isfinite(times).all():
                raise OptionError("some of the quantiles q are infinite (cured); ask for smaller ones")
            data = change(self.fitted_, scene.frame, variable, value)
            there = scene._replace(moments=own_times(times, levels))
            density = values_of(there._replace(target="density"), data)
            _, slope = row_jacobians(mixture_of(there), query_of(there), there.at, rows_at(there, data))
            sides.append((times, slope / (density * times)))
        (low, down), (high, up) = sides
        error = standard_errors(np.moveaxis(up - down, 0, -1), scene.at.covariance)
        rows = low.shape[1]
        keys = pd.DataFrame({"rowid": np.tile(np.arange(rows), len(levels)), "q": np.repeat(levels, rows)})
        ratio = high / low
        return keys.assign(term=variable, contrast=contrast.label), ratio.ravel(), (ratio * error).ravel()
