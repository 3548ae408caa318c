"""Covariates of subjects that are modelled jointly with their growth: what is refused, and what does not compare."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.exceptions import DataError, FormulaError, OptionError


def subjects(count: int = 40, occasions: int = 4) -> pd.DataFrame:
    """Lines with a random level; x and z act on it."""
    rng = np.random.default_rng(8)
    each = pd.DataFrame({"id": range(count), "x": rng.normal(size=count), "z": rng.normal(2, 3, count)})
    each["level"] = 1 + 0.8 * each.x + rng.normal(size=count)
    rows = each.loc[each.index.repeat(occasions)].reset_index(drop=True)
    rows["t"] = np.tile(np.arange(float(occasions)), count)
    rows["y"] = rows.level + 0.5 * rows.t + 0.4 * rng.normal(size=len(rows))
    rows["group"] = np.where(rows.z > 2, "high", "low")
    return rows.assign(twice=2 * rows.x, one=1.0)


def joint(between, formula: str = "y ~ linear(t)", **options) -> ms.GrowthCurve:
    options = {"unit": "id", "random": "intercept", "covariates": "joint", "verbose": 0, **options}
    return ms.GrowthCurve(formula, between=between, **options)


@pytest.mark.parametrize(
    ("between", "error", "message"),
    [
        (None, OptionError, "covariates='joint' models the covariates of between=.*it is not given"),
        ({"intercept": "~ x"}, OptionError, "one formula for all growth factors, but got formulas by coefficient"),
        ("~ group", OptionError, r"covariates='joint' models 'group' as normal.*categories \(high, low\).*0 and 1"),
        ("~ x + group", OptionError, "models 'group' as normal"),
        ("~ log(z)", OptionError, "covariates='joint' needs numeric columns"),
        ("~ x + x", OptionError, "a column twice"),
        ("", FormulaError, "between must be a one-sided formula"),
        ("~ one", DataError, "'one' is constant"),
        ("~ x + twice", DataError, "'x', 'twice' as normal together, but 'twice' is constant or a linear combination"),
    ],
)
def test_what_cannot_be_modelled_jointly(between, error, message):
    with pytest.raises(error, match=message):
        joint(between).fit(subjects())
    with pytest.raises(error, match=message):
        ms.MixtureOfExperts(joint(between), n_experts=2, verbose=0).fit(subjects())


def test_likelihoods_that_hold_other_densities_do_not_compare():
    rows = subjects()
    both = {name: joint("~ x", covariates=name).fit(rows) for name in ("fixed", "joint")}
    none = joint(None, covariates="fixed").fit(rows)
    with pytest.warns(UserWarning, match="do not compare.*fixed: y; joint: y, x"):
        ms.compare(both)
    with pytest.warns(UserWarning, match="do not compare"):
        ms.compare([none, both["joint"]])
    with pytest.raises(OptionError, match=r"of different responses, \(y\) and \(y, x\).*covariates='fixed'"):
        ms.likelihood_ratio_test(none, both["joint"])
    ratio = ms.likelihood_ratio_test(none, both["fixed"]).iloc[0]
    assert ratio["df"] == 2
    assert ratio["statistic"] == pytest.approx(2 * (both["fixed"].log_likelihood_ - none.log_likelihood_))
