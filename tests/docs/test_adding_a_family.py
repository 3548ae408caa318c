"""The family of `docs/adding-a-family.md`: it keeps the contract of all families and works in a mixture."""

import inspect
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

import mixstat as ms
from mixstat.families import FAMILIES
from tests.families import test_contract as contract
from tests.families.cases import Case

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "logistic.py"
CASE = Case("logistic", (0.8, -0.4), lambda m, s: stats.logistic(m, np.exp(s)), "line")
PROMISES = [
    function
    for name, function in vars(contract).items()
    if name.startswith("test_") and list(inspect.signature(function).parameters) == ["case"]
]


@pytest.fixture(autouse=True)
def logistic(monkeypatch):
    """The example's class, registered under its name."""
    spec = spec_from_file_location("example_logistic", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "example_logistic", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(FAMILIES, "logistic", module.Logistic)
    return module.Logistic


def test_the_contract_is_found():
    assert len(PROMISES) > 10


@pytest.mark.parametrize("promise", PROMISES, ids=lambda f: f.__name__)
def test_keeps_the_contract(promise):
    with jax.enable_x64(True):
        promise(CASE)


def test_one_expert_is_the_maximum_likelihood_fit():
    y = stats.logistic.rvs(1.0, 0.5, size=400, random_state=1)
    fit = ms.Regression("y ~ 1", family="logistic").fit({"y": y})
    location, scale = stats.logistic.fit(y)
    assert fit.tidy()["estimate"].to_numpy() == pytest.approx([location, np.log(scale)], abs=1e-3)
    assert fit.log_likelihood_ >= stats.logistic(location, scale).logpdf(y).sum() - 1e-9


def test_a_mixture_recovers_the_truth(logistic):
    coefficients = ((-1.0, 1.0), (3.0, -0.5))
    made = ms.datasets.make_moe(
        900, family=logistic(), coefficients=coefficients, parameters={"sigma": (0.3, 0.5)}, random_state=4
    )
    expert = ms.Regression(made.formula, family=logistic(), sigma="~ 1")
    model = ms.MixtureOfExperts(expert, gate=made.gate, n_init=4, random_state=1, verbose=0).fit(made.data)
    both = model.tidy().merge(made.truth, on=["expert", "parameter", "term"])
    assert len(both) == 8
    assert (((both["estimate"] - both["value"]) / both["std_error"]).abs() < 4).all()
