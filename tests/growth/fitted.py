"""Growth models fitted once a process to a part of the achievement data, and their means written out."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

import mixstat as ms
from tests.growth import brute_force as bf

FORMULA = "math ~ bilinear(grade) + absences"


@cache
def table(children: int = 100) -> pd.DataFrame:
    data = ms.datasets.load_achievement()
    return data[data["child"].isin(data["child"].unique()[:children])].reset_index(drop=True)


@cache
def mixture() -> ms.MixtureOfExperts:
    """Two bilinear classes under a gate."""
    expert = ms.GrowthCurve(FORMULA, unit="child", between="~ approach")
    model = ms.MixtureOfExperts(expert, gate="~ ses", n_experts=2, n_init=2, random_state=1, verbose=0)
    return model.fit(table())


@cache
def alone() -> ms.GrowthCurve:
    """One class whose growth factors are columns."""
    formula = "math ~ bs(grade, df=3, degree=2) + absences"
    model = ms.GrowthCurve(formula, unit="child", random="1", time="grade", verbose=0)
    return model.fit(table(60))


@cache
def plain() -> ms.GrowthCurve:
    """A line without random coefficients."""
    return ms.GrowthCurve("math ~ linear(grade)", unit="child", random="none", verbose=0).fit(table(60))


@cache
def joint() -> ms.MixtureOfExperts:
    """Covariates modelled jointly."""
    expert = ms.GrowthCurve(
        "math ~ linear(grade)", unit="child", between="~ approach", random="intercept", covariates="joint"
    )
    return ms.MixtureOfExperts(expert, gate="~ ses", n_init=2, random_state=1, verbose=0).fit(table(60))


class Values(NamedTuple):
    """Estimates of one class, read from `tidy()`."""

    factors: np.ndarray  # (factor, constant and approach)
    knot: float
    absences: float
    psi: np.ndarray
    variance: float

    def reference(self) -> bf.GrowthClass:
        """The class for brute force; `kappa` acts on absences."""
        trajectory = bf.Trajectory(bf.bilinear, self.factors[:, 0], [self.knot])
        return bf.GrowthClass(
            trajectory, self.psi, bf.iid(self.variance), beta=self.factors[:, 1:], kappa=self.absences
        )

    def mean(self, time: np.ndarray, approach: float = 0.0, absences: float | np.ndarray = 0.0) -> np.ndarray:
        """The trajectory."""
        level, first, second = self.factors @ np.array([1.0, approach])
        bend = first * np.minimum(time, self.knot) + second * np.maximum(time - self.knot, 0.0)
        return level + bend + self.absences * absences


def values_at(model: ms.MixtureOfExperts, theta: np.ndarray) -> tuple[list[Values], np.ndarray]:
    """Both classes, and the gate's (intercept, slope), from shown coefficients in the order of `tidy()`."""
    names = {name: float(value) for name, value in zip(model.coefficient_names_, theta, strict=True)}
    factors = ("intercept", "slope1", "slope2")

    def one(k: int) -> Values:
        psi = np.zeros((3, 3))
        for j, i in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]:
            term = factors[j] if i == j else f"{factors[j]},{factors[i]}"
            psi[j, i] = psi[i, j] = names[f"{k}:random_covariance:{term}"]
        table = np.array([[names[f"{k}:{f}:Intercept"], names[f"{k}:{f}:approach"]] for f in factors])
        knot, absences = names[f"{k}:knot:Intercept"], names[f"{k}:mean:absences"]
        return Values(table, knot, absences, psi, names[f"{k}:residual_variance:Intercept"])

    return [one(1), one(2)], np.array([names["2:gate:Intercept"], names["2:gate:ses"]])


def values(model: ms.MixtureOfExperts) -> tuple[list[Values], np.ndarray]:
    """At the estimates."""
    return values_at(model, model.tidy()["estimate"].to_numpy())


def unit_of(rows: pd.DataFrame) -> bf.Unit:
    """One child for brute force, missing scores as NaN."""
    first = rows.iloc[0]
    return bf.Unit(
        rows["math"].to_numpy(float),
        rows["grade"].to_numpy(float),
        x=np.array([first["approach"]]),
        g=np.array([first["ses"]]),
        v=rows["absences"].to_numpy(float),
    )
