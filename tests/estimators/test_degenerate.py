"""Fits that have no clean maximum: finite numbers and an honest status; and awkward scales, which change nothing."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.estimators.data import SIZE, frame, make_sound, mixture, regression

DATA = frame()


@pytest.mark.parametrize("model", [regression("y ~ x + k + x2"), mixture(regression("y ~ x + x2"), gate="~ z + k")])
def test_collinear_columns(model):
    data = frame(k=3.0, x2=2 * DATA.x - 1)
    with pytest.warns(ms.CollinearityWarning, match=r"'k', 'x2'|'x2'"):
        model.fit(data)
    make_sound(model)
    plain = (mixture(gate="~ z") if isinstance(model, ms.MixtureOfExperts) else regression("y ~ x")).fit(DATA)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_)
    assert model.n_parameters_ == plain.n_parameters_
    assert "collinear" in str(model.summary())
    np.testing.assert_allclose(model.predict(data), plain.predict(DATA), rtol=1e-6)


def warned(model, data, match):
    with pytest.warns(ms.ConvergenceWarning, match=match):
        model.fit(data)
    assert match.split("|")[0] in str(model.summary()) or "|" in match
    return make_sound(model)


@pytest.mark.parametrize(
    ("column", "family"), [(DATA.x > 0, "binomial"), (1, "binomial"), (0, "poisson"), (DATA.x > 0, "categorical")]
)
def test_separation_in_an_expert(column, family):
    model = warned(regression("k ~ x", family=family), frame(k=column), "perfect separation")
    assert not model.converged_
    assert "mean" in model.status_ or "logit" in model.status_


def test_penalty_cures_separation():
    model = regression("k ~ x", family="binomial", penalty=0.01).fit(frame(k=(DATA.x > 0).astype(int)))
    assert make_sound(model).converged_


def test_separation_in_the_gate():
    y = np.where(DATA.z > 0, 50.0, 0.0) + DATA.x + 0.1 * DATA.n
    model = warned(mixture(gate="~ s"), frame(y=y, s=DATA.z > 0), "gate separates the classes perfectly")
    np.testing.assert_array_equal(model.responsibilities(frame(y=y, s=DATA.z > 0))[:, 1] > 0.5, DATA.z > 0)


def test_boundary_of_a_parameter():
    model = make_sound(regression("n ~ x", family="negative_binomial").fit(frame(n=2.0)))
    assert "dispersion (expert 1) lies on the boundary" in model.status_


@pytest.mark.parametrize("model", [regression("y ~ x"), mixture(n_init=1)])
def test_exact_fit(model):
    model = warned(model, frame(y=2 - DATA.x), "fitted exactly")
    assert not model.converged_
    np.testing.assert_allclose(model.predict(DATA), 2 - DATA.x, atol=1e-12)


def test_as_many_parameters_as_rows_in_array_mode():
    X, y = np.random.default_rng(0).normal(size=(6, 9)), np.arange(6.0)
    model = ms.Regression(verbose=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert {w.category for w in caught} == {ms.CollinearityWarning, ms.ConvergenceWarning}
    np.testing.assert_allclose(model.predict(X), y, atol=1e-8)


def test_empty_expert():
    with pytest.warns(ms.ConvergenceWarning, match="collapsed|singular"):
        make_sound(mixture(regression("n ~ x", family="poisson"), n_experts=3).fit(DATA))


def test_unused_level():
    data = frame(g=pd.Categorical(DATA.g, categories=[*"abcdef"]), k=pd.Categorical(DATA.g, [*"abcq"]))
    assert make_sound(regression("y ~ g").fit(data)).n_parameters_ == 4
    assert list(regression("k ~ x", family="categorical").fit(data).classes_) == ["a", "b", "c"]


def test_duplicated_rows():
    once, thrice = mixture(gate="~ z").fit(DATA), mixture(gate="~ z").fit(pd.concat([DATA] * 3))
    assert thrice.log_likelihood_ == pytest.approx(3 * once.log_likelihood_, rel=1e-5)


def test_a_flat_likelihood_has_no_certificate():
    """Five distinct units do not tell seven parameters apart, however often they are repeated."""
    with pytest.warns(ms.ConvergenceWarning, match="singular"):
        model = mixture().fit(pd.concat([DATA.head(5)] * 20))
    assert not model.converged_
    assert len(model.tidy()) < model.n_parameters_


def test_a_class_beside_the_experts_that_explains_nobody():
    data = frame(y=np.where(DATA.z > 0, 1 + DATA.x, 5 - DATA.x) + np.random.default_rng(1).uniform(-0.5, 0.5, SIZE))
    with pytest.warns(ms.ConvergenceWarning, match=r"class 3 \(of extra=\) is empty.*leave it out"):
        model = mixture(extra=[ms.Noise()]).fit(data)
    assert "separates" not in model.status_
    assert model.gate_proba(data)[:, 2].max() < 1e-6


SCALES = [(1e10, 1.0, 0.0), (1e-10, 1.0, 0.0), (1.0, 1e10, 0.0), (1.0, 1e-10, 0.0), (1.0, 1.0, 1e8), (-1.0, 1.0, 0.0)]


@pytest.mark.parametrize(("y_scale", "x_scale", "shift"), SCALES)
def test_scales(y_scale, x_scale, shift):
    plain = mixture(gate="~ z").fit(DATA)
    model = make_sound(mixture(gate="~ z").fit(frame(y=shift + y_scale * DATA.y, x=x_scale * DATA.x)))
    assert model.converged_
    expected = plain.log_likelihood_ - SIZE * np.log(abs(y_scale))
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-6)
    slopes = model.tidy().query("parameter == 'mean' and term == 'x'")["estimate"].to_numpy() * x_scale / y_scale
    np.testing.assert_allclose(np.sort(slopes), [-1, 1], atol=0.1)


def test_years():
    data = frame(x=2000 + np.arange(SIZE) % 20)
    centred = regression("y ~ x").fit(data.assign(x=data.x - 2000))
    model = regression("y ~ x").fit(data)
    assert model.log_likelihood_ == pytest.approx(centred.log_likelihood_)
    np.testing.assert_allclose(model.tidy()["estimate"][1], centred.tidy()["estimate"][1], rtol=1e-9)


def test_interrupt(monkeypatch):
    from mixstat.fit import search

    calls, real = [], search.em

    def interrupted(*args, **options):
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(search, "em", interrupted)
    model = mixture(gate="~ z", n_init=10)
    with pytest.warns(ms.ConvergenceWarning, match="interrupted"):
        model.fit(DATA)
    assert len(model.starts_) == 2
    assert "interrupted: the best so far" in str(make_sound(model).summary())


def test_interrupt_before_anything_is_found(monkeypatch):
    from mixstat.fit import search

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "em", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mixture().fit(DATA)
