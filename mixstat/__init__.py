"""mixstat: statistical mixture-of-experts modelling, from a formula to an honest maximum."""

from mixstat import datasets
from mixstat.core.family import Family, Parameter, Tails
from mixstat.estimators.class_number_tests import bootstrap_lrt, vuong_test
from mixstat.estimators.comparing import compare, plot_confusion, plot_criteria
from mixstat.estimators.extras import Never, Noise, PointMass
from mixstat.estimators.forest import CovariateForest
from mixstat.estimators.growth import GrowthCurve
from mixstat.estimators.joint import Joint
from mixstat.estimators.methods.persistence import load
from mixstat.estimators.methods.testing import likelihood_ratio_test
from mixstat.estimators.mixture import MixtureOfExperts
from mixstat.estimators.ordinal import OrdinalRegression
from mixstat.estimators.ordinal_cv import OrdinalRegressionCV
from mixstat.estimators.penalty_path import penalty_path
from mixstat.estimators.pooling import pool
from mixstat.estimators.regression import Regression
from mixstat.estimators.selection import select
from mixstat.estimators.survival import SurvivalRegression
from mixstat.exceptions import (
    CollinearityWarning,
    ConvergenceWarning,
    DataError,
    FormulaError,
    LocalOptimumWarning,
    OptionError,
    UnknownColumnError,
    UnseenLevelError,
)
from mixstat.families.growth.curves import register_curve
from mixstat.formula import register_transform, wide_to_long
from mixstat.studies import Study

__version__ = "0.1.0"

__all__ = [
    "CollinearityWarning",
    "ConvergenceWarning",
    "CovariateForest",
    "DataError",
    "Family",
    "FormulaError",
    "GrowthCurve",
    "Joint",
    "LocalOptimumWarning",
    "MixtureOfExperts",
    "Never",
    "Noise",
    "OptionError",
    "OrdinalRegression",
    "OrdinalRegressionCV",
    "Parameter",
    "PointMass",
    "Regression",
    "Study",
    "SurvivalRegression",
    "Tails",
    "UnknownColumnError",
    "UnseenLevelError",
    "bootstrap_lrt",
    "compare",
    "datasets",
    "likelihood_ratio_test",
    "load",
    "penalty_path",
    "plot_confusion",
    "plot_criteria",
    "pool",
    "register_curve",
    "register_transform",
    "select",
    "vuong_test",
    "wide_to_long",
]
