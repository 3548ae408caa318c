"""Fits of flexsurv to truncated, interval-censored and relative survival, and of the veteran's trial, stored."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixstat as ms

pytestmark = pytest.mark.reference
FIXTURES = Path(__file__).parent / "fixtures"
RESPONSES = {
    "lefttrunc": ("Surv(entry, time, status) ~ x", {}),
    "interval2": ("Surv(L2, R, type='interval') ~ x", {}),
    "bhazard": ("Surv(time, status) ~ x", {"background": "bh"}),
}
LAWS = {"weibull": "weibull", "llogis": "loglogistic", "gompertz": "gompertz"}
COMPONENTS = {"tau": "phi", "beta": "lambda", "alpha": "gamma", "nu": "kappa1"}
CODINGS = {
    "veteran_trt_days": ("days", ["trt2"]),
    "veteran_celltype_years": ("years", ["smallcell", "adeno", "large"]),
    "veteran_karno_years": ("years", ["karno10"]),
}


@cache
def stored(name: str) -> dict:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


@cache
def truncated() -> pd.DataFrame:
    return pd.read_csv(FIXTURES / "golden_trunc.csv")


def as_flexsurv(model: ms.SurvivalRegression, law: str) -> list[float]:
    """Our estimates in flexsurv's parameters."""
    found = model.tidy().set_index(["parameter", "term"])["estimate"]
    if law == "gompertz":
        shape = np.exp(found["phi", "Intercept"])
        return [shape, found["lambda", "Intercept"] + found["phi", "Intercept"], found["lambda", "x"]]
    return [found["gamma", "Intercept"], -found["phi", "Intercept"], -found["phi", "x"]]


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("law", LAWS)
def test_refits_of_flexsurv(law, response):
    formula, options = RESPONSES[response]
    scale = "ph" if law == "gompertz" else "aft"
    model = ms.SurvivalRegression(formula, scale=scale, baseline=LAWS[law], verbose=0, **options).fit(truncated())
    reference = stored("golden_trunc")[f"{law}_{response}"]
    assert model.converged_
    assert -1e-8 < model.log_likelihood_ - reference["loglik"] < 5e-6
    np.testing.assert_allclose(as_flexsurv(model, law), reference["est"], atol=1e-3 if law == "gompertz" else 1e-4)


@cache
def veterans() -> pd.DataFrame:
    datasets = pytest.importorskip("sksurv.datasets")
    x, y = datasets.load_veterans_lung_cancer()
    cell = x["Celltype"].astype(str)
    table = pd.DataFrame(
        {
            "days": y["Survival_in_days"].astype(float),
            "status": y["Status"].astype(int),
            "trt2": (x["Treatment"].astype(str) == "test").astype(float).to_numpy(),
            "karno10": ((x["Karnofsky_score"] - 60) / 10).to_numpy(),
            **{name: (cell == name).astype(float).to_numpy() for name in ("smallcell", "adeno", "large")},
        }
    )
    return table.assign(years=table["days"] / 365.25)


def baseline(fixed: dict) -> str | None:
    """kappa is free unless nu is fixed."""
    if "nu" not in fixed:
        return None
    if fixed["nu"] == 0.0:
        return "loglogistic" if fixed.get("beta") == 0.0 else "burr"
    return "weibull"


def ask(spec: dict, time: str, covariates: list[str]) -> ms.SurvivalRegression:
    """The estimator of a stored model."""
    moved, fixed = spec["components_with_covariates"], spec["fixed_intercepts"]
    scale = "ph" if "tau" in fixed or ("beta" in moved and "tau" not in moved) else "aft"
    main, other = ("tau", "beta") if scale == "aft" else ("beta", "tau")
    right = " + ".join(covariates)
    options: dict = {"baseline": baseline(fixed)}
    options |= {"power": f"~ {right}"} if "alpha" in moved else {}
    options |= {"time_scale": 1.0} if fixed.get("tau") == 0.0 else {}
    if other in moved:
        options["other_scale"] = f"~ {right}"
    elif other not in fixed and options["baseline"] is None:
        options["other_scale"] = "~ 1"
    formula = f"Surv({time}, status) ~ {right if main in moved else '1'}"
    return ms.SurvivalRegression(formula, scale=scale, verbose=0, **options)


FAST = (
    *("null_4p", "PH_M(beta)_phi1", "AFT_M(tau)_4p", "PHpower_M(beta,alpha)_phi1", "AFTpower_M(tau,alpha)_lam1"),
    *("all3_M(tau,beta,alpha)_4p", "Weibull_MPR", "loglogistic_MPR", "BurrXII_PH_kappa0"),
)
CASES = [
    pytest.param(coding, name, marks=() if coding == "veteran_karno_years" and name in FAST else pytest.mark.slow)
    for coding in CODINGS
    for name in stored("veteran_reference")["data"][coding]
]


@pytest.mark.parametrize(("coding", "name"), CASES)
def test_fits_of_the_veterans(coding, name):
    """Log-likelihoods to 1e-6, estimates within 1e-3 of a standard error, errors to 1e-3 where well conditioned."""
    everything = stored("veteran_reference")
    reference = everything["data"][coding][name]
    model = ask(everything["models"][name], *CODINGS[coding]).fit(veterans())
    assert model.converged_
    assert model.log_likelihood_ == pytest.approx(reference["loglik"], abs=1e-6)
    if reference["hessian_cond"] > 1e4:
        return
    found = model.tidy().set_index(["parameter", "term"])
    assert len(found) == reference["k"]
    for key, expected in reference["est"].items():
        component, term = key.split(".", 1)
        row = found.loc[COMPONENTS[component], "Intercept" if term == "(Intercept)" else term]
        error = reference["se"][key]
        assert abs(row["estimate"] - expected) < 1e-3 * error
        assert row["std_error"] == pytest.approx(error, rel=1e-3)


@pytest.mark.slow
def test_a_spike_is_said():
    """M(tau, alpha) with all intercepts free, by treatment in days: a maximum or a warning, never silence."""
    model = ms.SurvivalRegression("Surv(days, status) ~ trt2", other_scale="~ 1", power="~ trt2", verbose=0)
    model.fit(veterans())
    assert model.converged_ == ("positive definite" in model.status_)
    assert model.log_likelihood_ < -740 or not model.converged_
