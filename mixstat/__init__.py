"""mixstat: statistical mixture-of-experts modelling, from a formula to an honest maximum."""

from mixstat import datasets
from mixstat.core.family import Family, Parameter
from mixstat.estimators.extras import Noise, PointMass
from mixstat.estimators.joint import Joint
from mixstat.estimators.mixture import MixtureOfExperts
from mixstat.estimators.regression import Regression
from mixstat.exceptions import (
    CollinearityWarning,
    ConvergenceWarning,
    DataError,
    FormulaError,
    LocalOptimumWarning,
    OptionError,
    UnseenLevelError,
)
from mixstat.formula import register_transform

__version__ = "0.1.0"

__all__ = [
    "CollinearityWarning",
    "ConvergenceWarning",
    "DataError",
    "Family",
    "FormulaError",
    "Joint",
    "LocalOptimumWarning",
    "MixtureOfExperts",
    "Noise",
    "OptionError",
    "Parameter",
    "PointMass",
    "Regression",
    "UnseenLevelError",
    "datasets",
    "register_transform",
]
