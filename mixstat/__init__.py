"""mixstat: statistical mixture-of-experts modelling, from a formula to an honest maximum.

Names load with their first use, so that importing the package alone loads nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from mixstat.estimators.rare_events import compare_rare
    from mixstat.estimators.regression import Regression
    from mixstat.estimators.selection import select
    from mixstat.estimators.survival import SurvivalRegression
    from mixstat.exceptions import (
        CollinearityWarning,
        ConvergenceWarning,
        CrossingWarning,
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
    "CrossingWarning",
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
    "compare_rare",
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

_MODULES = {
    "mixstat.datasets": ("datasets",),
    "mixstat.core.family": ("Family", "Parameter", "Tails"),
    "mixstat.estimators.class_number_tests": ("bootstrap_lrt", "vuong_test"),
    "mixstat.estimators.comparing": ("compare", "plot_confusion", "plot_criteria"),
    "mixstat.estimators.extras": ("Never", "Noise", "PointMass"),
    "mixstat.estimators.forest": ("CovariateForest",),
    "mixstat.estimators.growth": ("GrowthCurve",),
    "mixstat.estimators.joint": ("Joint",),
    "mixstat.estimators.methods.persistence": ("load",),
    "mixstat.estimators.methods.testing": ("likelihood_ratio_test",),
    "mixstat.estimators.mixture": ("MixtureOfExperts",),
    "mixstat.estimators.ordinal": ("OrdinalRegression",),
    "mixstat.estimators.ordinal_cv": ("OrdinalRegressionCV",),
    "mixstat.estimators.penalty_path": ("penalty_path",),
    "mixstat.estimators.pooling": ("pool",),
    "mixstat.estimators.rare_events": ("compare_rare",),
    "mixstat.estimators.regression": ("Regression",),
    "mixstat.estimators.selection": ("select",),
    "mixstat.estimators.survival": ("SurvivalRegression",),
    "mixstat.exceptions": (
        "CollinearityWarning",
        "ConvergenceWarning",
        "CrossingWarning",
        "DataError",
        "FormulaError",
        "LocalOptimumWarning",
        "OptionError",
        "UnknownColumnError",
        "UnseenLevelError",
    ),
    "mixstat.families.growth.curves": ("register_curve",),
    "mixstat.formula": ("register_transform", "wide_to_long"),
    "mixstat.studies": ("Study",),
}
"""Where the public names are, those of `__all__`."""
_PARTS = ("families", "exceptions", "formula", "policies", "studies")
"""Packages that are reached as attributes, too."""

if not TYPE_CHECKING:  # tools that do not run the package see its names above

    def __getattr__(name: str) -> Any:
        if name in _PARTS:
            return import_module(f"mixstat.{name}")
        home = next((module for module, names in _MODULES.items() if name in names), None)
        if home is None:
            raise AttributeError(f"module 'mixstat' has no attribute {name!r}")
        found = import_module(home)
        value = found if home == f"mixstat.{name}" else getattr(found, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
