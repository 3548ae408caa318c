"""The number of experts: criteria, held-out likelihood, bootstrap and Vuong tests."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, norm

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from mixstat.inference.weighted_chi_square import weighted_chi_square_sf
from tests.inference.conftest import make_mixture

pytestmark = pytest.mark.filterwarnings("ignore::mixstat.ConvergenceWarning")


def test_select_reports_each_fit(frame, fitted):
    found = ms.select(make_mixture(), frame, n_experts=[1, 2, 3])
    assert found.table.n_experts.tolist() == [1, 2, 3]
    row = found.table.set_index("n_experts").loc[2]
    assert row.log_likelihood == pytest.approx(fitted.log_likelihood_)
    assert (row.bic, row.icl, row.entropy) == pytest.approx((fitted.bic(), fitted.icl(), fitted.entropy()))
    assert 1 <= row.hits <= row.carried <= 4
    assert found.best("bic").n_experts == 2
    assert found.best("bic").predict(frame).shape == (len(frame),)


def test_select_uses_the_data_of_a_fitted_model(frame, fitted):
    assert ms.select(fitted, n_experts=[2]).table.log_likelihood[0] == pytest.approx(fitted.log_likelihood_)
    with pytest.raises(DataError, match="the data are needed"):
        ms.select(make_mixture(), n_experts=[2])


def test_held_out_likelihood_of_one_expert_equals_brute_force(frame):
    found = ms.select(make_mixture(gate=None), frame, n_experts=[1], cv=4, random_state=3)
    seed = int(np.random.default_rng(3).integers(2**63))
    fold = np.empty(len(frame), dtype=int)
    fold[np.random.default_rng(seed).permutation(len(frame))] = np.arange(len(frame)) % 4
    values = np.empty(len(frame))
    for k in range(4):
        train, test = frame[fold != k], frame[fold == k]
        design = np.column_stack([np.ones(len(train)), train.x])
        beta, *_ = np.linalg.lstsq(design, train.y, rcond=None)
        sigma = np.sqrt(np.mean((train.y - design @ beta) ** 2))
        values[fold == k] = norm.logpdf(test.y, beta[0] + beta[1] * test.x, sigma)
    assert found.table.held_out[0] == pytest.approx(values.mean(), rel=1e-7)
    assert found.table.held_out_std_error[0] == pytest.approx(values.std() / np.sqrt(len(frame)), rel=1e-6)


def test_held_out_prefers_the_true_number(frame):
    found = ms.select(make_mixture(n_init=2), frame, n_experts=[1, 2], cv=2, random_state=0)
    assert found.best("held_out").n_experts == 2


def test_a_number_that_cannot_be_fitted_is_a_row_with_its_reason(frame):
    found = ms.select(make_mixture(n_init=1), frame[:9], n_experts=[1, 5])
    assert found.table.status[1].startswith("not fitted: 9 observations")
    assert found.best("aic").n_experts == 1


def test_bootstrap_lrt_rejects_one_expert_and_keeps_two(frame):
    model = make_mixture(n_init=3)
    one = ms.bootstrap_lrt(model, frame, n_experts=1, replicates=9, n_init=2, random_state=0)
    assert one.p_value == pytest.approx(0.1)
    two = ms.bootstrap_lrt(model, frame, n_experts=2, replicates=9, n_init=2, random_state=0)
    assert two.p_value > 0.1
    assert two.statistic == pytest.approx(2 * (two.log_likelihoods[1] - two.log_likelihoods[0]))
    assert two.failed == 0
    assert two.tidy().alternative[0] == 3


def test_bootstrap_lrt_is_reproducible_and_compiles_nothing_per_replicate(frame, compilations):
    model = make_mixture(n_init=2)
    first = ms.bootstrap_lrt(model, frame, replicates=2, n_init=1, random_state=4)
    with compilations() as count:
        second = ms.bootstrap_lrt(model, frame, replicates=2, n_init=1, random_state=4)
    np.testing.assert_array_equal(first.replicates, second.replicates)
    assert count() == 0


@pytest.mark.parametrize(
    ("response", "family"), [("count", "poisson"), ("cbind(count, z2)", "binomial"), ("g", "categorical")]
)
def test_bootstrap_lrt_of_other_responses(frame, response, family):
    data = frame.assign(z2=3, g=np.where(frame.x > 0.5, "a", np.where(frame.u > 0, "b", "c")))
    expert = ms.Regression(f"{response} ~ x", family=family)
    found = ms.bootstrap_lrt(
        make_mixture(expert=expert, gate=None, n_init=2), data, n_experts=1, replicates=3, n_init=1, random_state=0
    )
    assert np.isfinite(found.replicates).all()
    assert (found.replicates > -1e-6).all()


@pytest.mark.parametrize("compare", [ms.select, ms.bootstrap_lrt, ms.vuong_test])
def test_a_number_to_vary_is_needed(frame, compare):
    with pytest.raises(OptionError, match="a MixtureOfExperts is needed, got Regression"):
        compare(ms.Regression("y ~ x"), frame)
    listed = make_mixture(expert=[ms.Regression("y ~ x"), ms.Regression("y ~ 1")])
    with pytest.raises(OptionError, match="follows from the list"):
        compare(listed, frame)


def test_bootstrap_lrt_refuses_known_classes(frame):
    model = make_mixture(prior_classes="k")
    with pytest.raises(OptionError, match="prior_classes"):
        ms.bootstrap_lrt(model, frame.assign(k=np.nan), replicates=1)


def test_vuong_statistic_and_adjustment(frame, fitted):
    row = ms.vuong_test(make_mixture(), frame, n_experts=1).iloc[0]
    one = ms.Regression("y ~ x", verbose=0).fit(frame)
    assert row.statistic == pytest.approx(2 * (fitted.log_likelihood_ - one.log_likelihood_), rel=1e-6)
    assert row.adjusted_statistic == pytest.approx(row.statistic / (1 + 1 / (5 * np.log(len(frame)))))
    assert row.p_value < 1e-6


def test_weighted_chi_square_of_equal_weights_is_chi_square():
    for x, df in [(0.01, 1), (3.0, 2), (20.0, 5), (150.0, 3)]:
        assert weighted_chi_square_sf(x, np.ones(df)) == pytest.approx(chi2.sf(x, df), rel=1e-8)
        assert weighted_chi_square_sf(-x, -np.ones(df)) == pytest.approx(chi2.cdf(x, df), rel=1e-8)


def test_weighted_chi_square_by_convolution():
    """Two weights: integrate one variable out."""

    def tail(x: float, a: float, b: float) -> float:
        inner = quad(lambda z: 2 * norm.pdf(z) * chi2.sf((x - b * z * z) / a, 1), 0, np.inf, epsabs=1e-13, limit=400)
        return inner[0]

    for a, b in [(1.0, 0.5), (2.0, -1.0), (1.0, 0.01)]:
        for x in (0.3, 2.0, 9.0):
            assert weighted_chi_square_sf(x, np.array([a, b])) == pytest.approx(tail(x, a, b), rel=1e-6)
