"""What a file can only name: families and functions that users register."""

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import mixstat as ms
from mixstat.families import FAMILIES, Gaussian, MultivariateGaussian
from mixstat.formula.transforms import FUNCTIONS
from tests.estimators.data import frame, regression
from tests.persistence.models import assert_equal, assert_same

DATA = frame()
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "logistic.py"


def _example():
    """The class of `docs/adding-a-family.md`."""
    spec = spec_from_file_location("saved_logistic", EXAMPLE)
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Logistic


Logistic = _example()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def test_a_family_that_is_not_registered_is_refused(path):
    model = regression("y ~ x", family=Logistic()).fit(DATA)
    with pytest.raises(ms.DataError, match=r"'logistic' \(Logistic\) is not in the registry.*FAMILIES"):
        model.save(path)
    assert not path.exists()


def test_another_family_of_a_registered_name_is_refused(path):
    @dataclass(frozen=True)
    class Other(Gaussian):
        name: ClassVar[str] = "gaussian"

    model = regression("y ~ x", family=Other()).fit(DATA)
    with pytest.raises(ms.DataError, match=r"'gaussian' \(Other\) is not in the registry"):
        model.save(path)


@pytest.mark.parametrize("family", ["logistic", Logistic()], ids=["name", "object"])
def test_a_registered_family(family, path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(FAMILIES, "logistic", Logistic)
        model = regression("y ~ x", family=family).fit(DATA)
        model.save(path)
        again = ms.load(path)
        assert_same(model, again, DATA)
        predicted, coefficients = model.predict(DATA), model.tidy()
    with pytest.raises(ms.DataError, match=r"cannot be loaded.*'logistic'"):
        ms.load(path)
    supplied = ms.load(path, families=[Logistic()])
    assert_equal(supplied.predict(DATA), predicted)
    assert_equal(supplied.tidy(), coefficients)


def test_families_are_instances(path):
    for wrong in (["logistic"], [Logistic]):
        with pytest.raises(ms.OptionError, match="instances of Family"):
            ms.load(path, families=wrong)


def test_an_object_keeps_its_fields(path):
    family = MultivariateGaussian(covariance="diagonal")
    model = regression("cbind(y, x) ~ z", family=family).fit(DATA)
    model.save(path)
    again = ms.load(path)
    assert again.family == family
    assert_equal(again.covariance(), model.covariance())


def demean(x, _state):
    return x - _state.setdefault("mean", np.array([x.mean(), np.nan, np.inf]))[0]


def cube(x):
    return x**3


DEFINITIONS = """
import numpy as np

def demean(x, _state):
    return x - _state.setdefault("mean", np.array([x.mean(), np.nan, np.inf]))[0]

def cube(x):
    return x**3
"""


def test_transforms_are_named(path):
    try:
        ms.register_transform("demean", demean)
        ms.register_transform("cube", cube)
        model = regression("y ~ demean(x) + I(cube(z) > 0)").fit(DATA)
        model.save(path)
        again = ms.load(path)
        assert_same(model, again, DATA)
        assert_equal(again.predict(DATA[:5]), model.predict(DATA[:5]))
        predicted = model.predict(DATA)
        state = again.fitted_.schema.transforms["demean(x)"]["mean"]
        assert_equal(state, model.fitted_.schema.transforms["demean(x)"]["mean"])
    finally:
        for name in ("demean", "cube"):
            FUNCTIONS.pop(name, None)
    code = DEFINITIONS + (
        "import sys, mixstat as ms\n"
        "from tests.estimators.data import frame\n"
        "for name in ('demean', 'cube'):\n"
        "    try:\n"
        "        ms.load(sys.argv[1])\n"
        "    except ms.DataError as error:\n"
        "        assert f'no function {name!r} is registered; add it with mixstat.register_transform' in str(error)\n"
        "    else:\n"
        "        raise AssertionError(name)\n"
        "    ms.register_transform(name, globals()[name])\n"
        "np.save(sys.argv[2], ms.load(sys.argv[1]).predict(frame()))\n"
    )
    found = path.with_name("found.npy")
    command = [sys.executable, "-W", "error", "-c", code, str(path), str(found)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert_equal(np.load(found), predicted)


def test_a_state_that_is_no_number_is_refused(path):
    def tag(x, _state):
        _state["kind"] = object()
        return x

    try:
        ms.register_transform("tag", tag)
        model = regression("y ~ tag(x)").fit(DATA)
        with pytest.raises(ms.FormulaError, match="state of a transform holds object"):
            model.save(path)
    finally:
        FUNCTIONS.pop("tag", None)
