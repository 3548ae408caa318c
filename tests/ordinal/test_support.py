"""Support of penalised fits: replicates with other weights, the bound of stability selection, debiased refits."""

import numpy as np
import pytest

import mixstat as ms
from mixstat.inference.support import bound, draws, halves
from tests.ordinal.example import FORMULA, table

FEW = "y ~ x1 + x2 + x4 + x5"


@pytest.fixture(scope="module")
def model():
    return ms.OrdinalRegression(FEW, slopes="shrunken", penalty=0.01, verbose=0).fit(table())


def test_a_replicate_is_a_fit_with_these_weights(model):
    """Two replicates: their quantiles at level -> 1 are the slopes of weighted fits."""
    found = model.selection_stability(2, random_state=4, level=0.999999).table
    rng = np.random.default_rng(4)
    weighted = []
    for _ in range(2):
        weight = rng.exponential(size=len(table()))
        again = ms.OrdinalRegression(FEW, slopes="shrunken", penalty=0.01, verbose=0).fit(table(), sample_weight=weight)
        named = again.fitted_.assembled.named
        labels = [named.labels[place] for place in named.ties.representative]
        known = {(label.parameter, label.term): value for label, value in zip(labels, again.fitted_.theta, strict=True)}
        weighted.append([known[key] for key in zip(found["parameter"], found["term"], strict=True)])
    ends = np.sort(weighted, axis=0)
    np.testing.assert_allclose(found[["low", "high"]].to_numpy().T, ends, atol=2e-6)
    np.testing.assert_allclose(found["kept"], (np.array(weighted) != 0).mean(axis=0))


def test_what_matters_is_kept(model):
    found = model.selection_stability(20, random_state=1)
    stable = set(zip(found.stable()["parameter"], found.stable()["term"], strict=True))
    assert {("difference_1", "x5"), ("difference_2", "x4")} <= stable
    assert found.replicates == 20
    assert np.isnan(found.expected_false)
    assert found.table.loc[found.table["estimate"] == 0, "same_sign"].isna().all()


def test_halves_have_the_bound_and_paths(model):
    found = model.selection_stability(6, weights="half", path=True, random_state=1)
    assert found.expected_false > 0
    first = found.path[found.path["penalty"] == found.path["penalty"].max()]
    last = found.path[found.path["penalty"] == found.path["penalty"].min()]
    assert first["kept"].mean() < last["kept"].mean()
    np.testing.assert_allclose(last["kept"], found.table["kept"])
    found.plot()
    found.plot_path()


def test_draws_keep_rare_categories():
    code = np.repeat([0, 1, 2], [50, 30, 5])
    rng = np.random.default_rng(0)
    for _ in range(20):
        first = halves(rng, code)
        assert (np.bincount(code[first]) >= 2).all()
        assert (np.bincount(code[~first]) >= 2).all()
    one, other = (next(stream) for stream in [draws(rng, np.ones(85), code, "half")] * 2)
    np.testing.assert_array_equal(one + other, 1.0)
    assert (next(draws(rng, np.ones(85), code, "exponential")) > 0).all()


def test_the_bound_is_that_of_the_paper():
    assert bound(10.0, 200, 0.75) == pytest.approx(10.0**2 / (0.5 * 200))


def test_a_refit_is_maximum_likelihood_of_the_slopes_kept():
    options = {"penalty": 0.03, "penalty_factors": {"difference_2": 1e4, "difference_3": 1e4}, "verbose": 0}
    model = ms.OrdinalRegression(FORMULA, slopes="shrunken", **options).fit(table())
    kept = model.tidy().query("parameter != 'cut_1' and parameter != 'cut_2' and parameter != 'cut_3'")
    assert set(kept["parameter"]) == {"difference_1"}
    refit = model.refit_selected()
    alone = ms.OrdinalRegression(f"y ~ {' + '.join(kept['term'])}", verbose=0).fit(table())
    assert refit.log_likelihood_ == pytest.approx(alone.log_likelihood_, abs=1e-7)
    assert refit.n_parameters_ == alone.n_parameters_
    np.testing.assert_allclose(refit.tidy()["std_error"], alone.tidy()["std_error"], rtol=1e-5)
    np.testing.assert_allclose(refit.predict_proba(table()), alone.predict_proba(table()), atol=1e-7)
    assert "debiased" in refit.status_
    assert "debiased" in str(refit.summary())


def test_a_refit_is_not_fitted_anew(model):
    refit = model.refit_selected()
    with pytest.raises(ms.OptionError, match="refit_selected"):
        type(refit)(FEW, slopes="shrunken", penalty=0.1, verbose=0).fit(table())


def test_what_has_no_support_is_refused(model):
    plain = ms.OrdinalRegression("y ~ x1", verbose=0).fit(table())
    with pytest.raises(ms.OptionError, match="needs a penalty"):
        plain.selection_stability(2)
    with pytest.raises(ms.OptionError, match="has none"):
        plain.refit_selected()
    with pytest.raises(ms.OptionError, match=r"above 0\.5"):
        model.selection_stability(2, threshold=0.5)
