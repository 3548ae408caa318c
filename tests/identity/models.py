"""The fitted two-expert mixture of every family: gate covariate, offset, weights and a formula for the scale."""

from functools import cache
from typing import NamedTuple

import pandas as pd

import mixstat as ms
from tests.identity.simulate import mixture_frame

SECOND = {
    "gaussian": "sigma",
    "student_t": "sigma",
    "lognormal": "sigma",
    "gamma": "shape",
    "inverse_gaussian": "shape",
    "beta": "precision",
    "negative_binomial": "dispersion",
    "multivariate_gaussian": "sigma",
    "diagonal_gaussian": "sigma",
}
"""The parameter that gets its own formula, where a family has one."""

LEFT = {"binomial": "cbind(y, failures)", "multivariate_gaussian": "cbind(y, z)", "diagonal_gaussian": "cbind(y, z)"}


class Fit(NamedTuple):
    """A fitted model and its data."""

    model: ms.MixtureOfExperts
    frame: pd.DataFrame


def expert(family: str) -> ms.Regression:
    """The regression of one expert."""
    formulas = {SECOND[family]: "~ s"} if family in SECOND else {}
    return ms.Regression(f"{LEFT.get(family, 'y')} ~ x + offset(o)", family=family, **formulas)


def mixture(family: str, **options) -> ms.MixtureOfExperts:
    """The unfitted mixture; few starts, as the data separate well."""
    settings = {"n_init": 3, "random_state": 1, "verbose": 0, **options}
    return ms.MixtureOfExperts(expert(family), gate="~ v", n_experts=2, **settings)


@cache
def fitted(family: str) -> Fit:
    """The fit with default penalty; one a process."""
    frame = mixture_frame(family)
    return Fit(mixture(family).fit(frame, sample_weight="w"), frame)
