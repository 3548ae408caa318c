"""Reordering, releveling, renaming: the same fit under other labels; pooling by Rubin's rules."""

import numpy as np
import pytest
from scipy.stats import t

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from mixstat.inference.information import information_at
from mixstat.inference.pooling import pool as rubin
from tests.inference.conftest import make_frame, make_mixture


@pytest.fixture(scope="module")
def three(frame) -> ms.MixtureOfExperts:
    return make_mixture(n_experts=3, n_init=3).fit(frame)


def test_reordering_is_the_same_fit(frame, three):
    other = three.reorder([3, 1, 2])
    np.testing.assert_allclose(other.predict(frame), three.predict(frame), rtol=1e-12)
    np.testing.assert_allclose(other.responsibilities(frame), three.responsibilities(frame)[:, [2, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(other.gate_proba(frame), three.gate_proba(frame)[:, [2, 0, 1]], atol=1e-12)
    back = other.reorder([2, 3, 1])
    np.testing.assert_allclose(back.fitted_.theta, three.fitted_.theta, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(back.covariance(), three.covariance(), rtol=1e-6, atol=1e-12)


def test_standard_errors_follow_the_order(frame, three):
    other = three.reorder([2, 3, 1])
    again = make_mixture(n_experts=3, start=other).fit(frame)
    direct = information_at(other._problem, other.fitted_.solution.theta)
    np.testing.assert_allclose(direct, other.fitted_.solution.information, rtol=1e-6, atol=1e-6 * np.abs(direct).max())
    assert again.log_likelihood_ == pytest.approx(three.log_likelihood_)
    for kind in ("information", "robust"):
        mine, old = (m.tidy().set_index(["expert", "parameter", "term"]) for m in (other, three))
        assert mine.loc[(1, "mean", "x"), "std_error"] == pytest.approx(old.loc[(2, "mean", "x"), "std_error"])
        assert np.isfinite(other.covariance(kind)).all()


def test_relevel_changes_the_reference_of_the_gate(three):
    table = three.tidy()
    gate = table[table.parameter == "gate"].set_index(["expert", "term"]).estimate
    other = three.relevel(3).tidy()
    moved = other[other.parameter == "gate"].set_index(["expert", "term"]).estimate
    assert moved[2, "z"] == pytest.approx(-gate[3, "z"])
    assert moved[3, "z"] == pytest.approx(gate[2, "z"] - gate[3, "z"])


def test_names_show_in_the_summary_and_follow_the_experts(fitted):
    named = fitted.rename({1: "low & <b>", 2: "high"})
    assert "low & <b>" in str(named.summary())
    assert "<b>" not in named.summary().to_html()
    assert named.reorder([2, 1]).fitted_.expert_names == ("high", "low & <b>")
    assert fitted.fitted_.expert_names == ("Expert 1", "Expert 2")


def test_relabelling_errors(frame, three):
    with pytest.raises(OptionError, match="each of 1 to 3 once"):
        three.reorder([1, 2])
    with pytest.raises(OptionError, match="from 1 to 3"):
        three.relevel(4)
    with pytest.raises(OptionError, match="must differ"):
        three.rename({1: "a", 2: "a"})
    listed = make_mixture(expert=[ms.Regression("y ~ x"), ms.Regression("y ~ 1")]).fit(frame)
    with pytest.raises(OptionError, match="different form"):
        listed.reorder([2, 1])


def test_rubins_rules_by_hand():
    estimates = np.array([[1.0], [1.4], [0.9]])
    covariances = np.array([[[0.04]], [[0.05]], [[0.06]]])
    found = rubin(estimates, covariances, 97)
    between = estimates.var(ddof=1)
    total = 0.05 + (1 + 1 / 3) * between
    share = (1 + 1 / 3) * between / total
    old, observed = 2 / share**2, 98 / 100 * 97 * (1 - share)
    assert found.covariance[0, 0] == pytest.approx(total)
    assert found.df[0] == pytest.approx(old * observed / (old + observed))


def test_pooled_fits_are_aligned_first(frame, fitted):
    imputed = [fitted, make_mixture().fit(make_frame(seed=2)).reorder([2, 1]), make_mixture().fit(make_frame(seed=3))]
    pooled = ms.pool(imputed)
    slopes = pooled.tidy().set_index(["expert", "parameter", "term"])
    assert pooled.relabelled == [1]
    assert slopes.loc[(1, "mean", "x"), "estimate"] == pytest.approx(
        np.mean(
            [
                m.tidy().set_index(["expert", "parameter", "term"]).loc[(1, "mean", "x"), "estimate"]
                for m in pooled.models
            ]
        )
    )
    row = slopes.loc[(2, "mean", "x")]
    assert row.p_value == pytest.approx(2 * t.sf(abs(row.estimate / row.std_error), row.df))


def test_pooling_refuses_what_does_not_match(frame, fitted):
    with pytest.raises(OptionError, match="at least two"):
        ms.pool([fitted])
    with pytest.raises(DataError, match="other coefficients"):
        ms.pool([fitted, make_mixture(gate="~ u").fit(frame)])
