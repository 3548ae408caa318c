"""Wald, likelihood-ratio and score tests, the delta method: against statsmodels, hand algebra and each other."""

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy.stats import chi2

import mixstat as ms
from mixstat.exceptions import DataError, FormulaError, OptionError
from mixstat.formula.hypothesis import parse_hypothesis
from mixstat.inference.hypotheses import differences, wald
from tests.inference.conftest import make_mixture


def test_wald_equals_statsmodels(frame):
    model = ms.Regression("count ~ x + z + u", family="poisson", verbose=0).fit(frame)
    reference = smf.poisson("count ~ x + z + u", frame).fit(disp=0)
    ours = model.wald_test(["1:mean:z = 0", "1:mean:u = 0.1"]).iloc[0]
    theirs = reference.wald_test("z = 0, u = 0.1", scalar=True, use_f=False)
    assert ours.statistic == pytest.approx(float(theirs.statistic), rel=1e-6)
    assert ours.df == 2
    assert ours.p_value == pytest.approx(float(theirs.pvalue), rel=1e-6)


def test_wald_by_text_mapping_and_matrix_agree(fitted):
    names = fitted.coefficient_names_
    row = np.zeros(len(names))
    row[names.index("1:mean:x")], row[names.index("2:mean:x")] = 1.0, -1.0
    by_text = fitted.wald_test("1:mean:x = 2:mean:x")
    assert by_text.equals(fitted.wald_test(row))
    table = fitted.tidy().set_index(["expert", "parameter", "term"])
    single = fitted.wald_test({"2:gate:z": 0.0}).statistic[0]
    assert single == pytest.approx(table.loc[(2, "gate", "z"), "statistic"] ** 2)


def test_dependent_restrictions_count_once(fitted):
    twice = fitted.wald_test(["1:mean:x = 1", "2*1:mean:x = 2"])
    assert twice.df[0] == 1
    assert twice.statistic[0] == pytest.approx(fitted.wald_test("1:mean:x = 1").statistic[0])


def test_term_tests_hold_zero_and_equality(fitted):
    table = fitted.term_tests().set_index(["parameter", "term"])
    joint = fitted.wald_test(["1:mean:x = 0", "2:mean:x = 0"])
    equal = fitted.wald_test("1:mean:x = 2:mean:x")
    assert table.loc[("mean", "x"), "statistic"] == pytest.approx(joint.statistic[0])
    assert table.loc[("mean", "x"), "equality_statistic"] == pytest.approx(equal.statistic[0])
    assert np.isnan(table.loc[("gate", "z"), "equality_p_value"])


@pytest.mark.parametrize(
    ("text", "row", "value"),
    [
        ("a = b", [1, -1, 0], 0.0),
        ("2*a - (b + 1)/4 = c*3 - 1", [2, -0.25, -3], -0.75),
        ("-a", [-1, 0, 0], 0.0),
        ("a = 1e-3", [1, 0, 0], 1e-3),
    ],
)
def test_hypotheses_are_parsed(text, row, value):
    found, right = parse_hypothesis(text, ["a", "b", "c"])
    np.testing.assert_allclose(found, row)
    assert right == pytest.approx(value)


def test_the_longest_name_wins():
    row, _ = parse_hypothesis("1:mean:x:z = 0", ["1:mean:x", "1:mean:x:z"])
    assert row.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("text", ["a*b", "a =", "q = 1", "1 = 2", "a/0", "(" * 80 + "a", "a b", "", "__import__('os')"])
def test_what_is_no_linear_hypothesis_is_refused(text):
    with pytest.raises(FormulaError, match="hypothesis"):
        parse_hypothesis(text, ["a", "b"])


def test_wald_of_unknown_names_says_what_there_is(fitted):
    with pytest.raises(OptionError, match="expected one of: 1:mean:Intercept"):
        fitted.wald_test({"1:mean:q": 0.0})
    with pytest.raises(OptionError, match="8 columns"):
        fitted.wald_test(np.eye(3))


def test_wald_without_standard_errors_is_nan():
    covariance = np.full((2, 2), np.nan)
    assert np.isnan(wald(np.ones(2), covariance, np.array([[1.0, 0.0]]), np.zeros(1)).p_value)


def test_delta_by_autodiff_equals_differences_and_hand_algebra(fitted):
    names, theta, covariance = fitted.coefficient_names_, fitted.fitted_.theta, fitted.covariance()
    a, b = names.index("1:mean:x"), names.index("2:mean:x")
    exact = fitted.delta(lambda c: c["2:mean:x"] / c["1:mean:x"])
    numeric = fitted.delta(lambda c: {"ratio": float(c["2:mean:x"]) / float(c["1:mean:x"])})
    gradient = np.zeros(len(names))
    gradient[a], gradient[b] = -theta[b] / theta[a] ** 2, 1 / theta[a]
    error = np.sqrt(gradient @ covariance @ gradient)
    assert exact.std_error[0] == pytest.approx(error, rel=1e-12)
    assert numeric.std_error[0] == pytest.approx(error, rel=1e-7)
    assert numeric.name[0] == "ratio"


def test_differences_are_accurate():
    point = np.array([0.3, -2.0, 5.0])
    found = differences(lambda p: np.array([np.exp(p[0]) * p[1], np.sin(p[2])]), point)
    expected = [[-2 * np.exp(0.3), np.exp(0.3), 0.0], [0.0, 0.0, np.cos(5.0)]]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_likelihood_ratio_of_nested_fits(frame, fitted):
    larger = make_mixture(gate="~ z + u").fit(frame)
    found = ms.likelihood_ratio_test(fitted, larger).iloc[0]
    statistic = 2 * (larger.log_likelihood_ - fitted.log_likelihood_)
    assert found.statistic == pytest.approx(statistic)
    assert found.df == 1
    assert found.p_value == pytest.approx(chi2.sf(statistic, 1))


def test_likelihood_ratio_refuses_what_is_not_nested(frame, fitted):
    larger = make_mixture(gate="~ z + u").fit(frame)
    with pytest.raises(OptionError, match="second fit must be the larger"):
        ms.likelihood_ratio_test(larger, fitted)
    with pytest.raises(OptionError, match="bootstrap_lrt"):
        ms.likelihood_ratio_test(ms.Regression("y ~ x", verbose=0).fit(frame), fitted)
    with pytest.raises(DataError, match="different units"):
        ms.likelihood_ratio_test(fitted, make_mixture(gate="~ z + u").fit(frame[:-5]))


@pytest.mark.parametrize("to", ["gate", "location", "sigma"])
def test_score_test_is_close_to_the_likelihood_ratio(frame, fitted, to):
    options = {
        "gate": {"gate": "~ z + u"},
        "location": {"expert": ms.Regression("y ~ x + u")},
        "sigma": {"expert": ms.Regression("y ~ x", sigma="~ u")},
    }[to]
    larger = fitted.__class__(**{**fitted.get_params(deep=False), **options}).fit(frame)
    ratio = ms.likelihood_ratio_test(fitted, larger).iloc[0]
    score = fitted.score_test("u", to).iloc[0]
    assert score.df == ratio.df
    assert score.statistic == pytest.approx(ratio.statistic, rel=0.15, abs=0.05)


def test_score_test_equals_statsmodels(frame):
    model = ms.Regression("count ~ x", family="poisson", verbose=0).fit(frame)
    reference = smf.poisson("count ~ x", frame).fit(disp=0, tol=1e-12)
    statistic, p_value = reference.score_test(exog_extra=frame[["u", "z"]].to_numpy())[:2]
    ours = model.score_test("u + z", "location").iloc[0]
    assert ours.df == 2
    assert ours.statistic == pytest.approx(float(np.squeeze(statistic)), rel=1e-5)
    assert ours.p_value == pytest.approx(float(np.squeeze(p_value)), rel=1e-5)


def test_score_test_of_a_hidden_covariate_rejects(frame):
    model = make_mixture(gate=None).fit(frame)
    found = model.score_test(["z", "u"]).set_index("term")
    assert found.p_value["z"] < 1e-6
    assert found.p_value["u"] > 1e-3


def test_score_test_errors(frame, fitted):
    with pytest.raises(OptionError, match="to must be one of"):
        fitted.score_test("u", "shape")
    with pytest.raises(DataError, match="missing in 1"):
        fitted.score_test("u", X=frame.assign(u=frame.u.where(frame.index > 0)))
    with pytest.raises(DataError, match="changed"):
        fitted.score_test("u", X=frame.assign(y=frame.y + frame.x))
    with pytest.raises(OptionError, match="no gate"):
        ms.Regression("y ~ x", verbose=0).fit(frame).score_test("u")


def test_a_hypothesis_about_what_is_not_estimated(frame):
    with pytest.warns(ms.CollinearityWarning):
        model = ms.Regression("y ~ x + x2 + u", fixed={"u": 0.5}, verbose=0).fit(frame.assign(x2=2 * frame.x))
    for hypothesis in ("1:mean:x2 = 0", {"1:mean:x2": 0.0}, ["1:mean:x = 1", "1:mean:u = 1"]):
        with pytest.raises(OptionError, match=r"names '1:mean:(x2|u)', which is not estimated"):
            model.wald_test(hypothesis)
    assert model.wald_test("1:mean:x = 0")["df"][0] == 1
