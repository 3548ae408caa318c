"""CovariateForest: ranks, reproducibility, interrupts, units, what it refuses; proposals against refits."""

import pickle
import re
from copy import copy

import joblib
import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.estimators import forest as module
from mixstat.estimators.placing import placed
from mixstat.estimators.proposing import Placement, placement, recommend
from mixstat.exceptions import ConvergenceWarning, DataError, FormulaError, OptionError
from mixstat.inference.hypotheses import ChiSquare

pytestmark = pytest.mark.slow

LINE = ms.Regression("y ~ x", verbose=0)


def make_forest(model=LINE, candidates="~ a + b + c", **options) -> ms.CovariateForest:
    return ms.CovariateForest(model, candidates, **{"n_trees": 6, "random_state": 0, "verbose": 0, **options})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({name: rng.normal(size=300) for name in "xabc"})
    data["level"] = rng.choice(["u", "v", "w"], 300)
    data["flag"] = rng.random(300) < 0.4
    data["y"] = np.where(data.a > 0, 1.5, 0) * data.x + rng.normal(size=300)
    return data


@pytest.fixture(scope="module")
def grown(frame) -> ms.CovariateForest:
    return make_forest(candidates="~ .", n_trees=12).fit(frame)


def test_what_splits_comes_first(grown):
    table = grown.importance()
    assert list(table.columns) == ["rank", "covariate", "importance", "std_error", "trees", "share"]
    assert table.covariate[0] == "a"
    assert sorted(table.covariate) == ["a", "b", "c", "flag", "level"]
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    assert table.importance[0] > 10 * table.importance[1:].abs().max()
    assert not table.isna().any(axis=None)
    values = grown.importances_[:, grown.covariates_.index("a")]
    assert table.importance[0] == pytest.approx(values.mean())
    assert table.std_error[0] == pytest.approx(values.std(ddof=1) / np.sqrt(12))
    assert (table.share == table.trees / 12).all()


def test_tests_of_the_whole_sample(grown):
    table = grown.tests().set_index("covariate")
    assert table.p_value.idxmin() == "a"
    assert table.p_value["a"] < 1e-6 < 0.001 < table.p_value.drop("a").min()
    assert table.test.to_dict() == {
        "a": "sup-LM", "b": "sup-LM", "c": "sup-LM", "level": "chi-square", "flag": "chi-square",
    }  # fmt: skip
    assert table.df.to_dict() == {"a": 3, "b": 3, "c": 3, "level": 6, "flag": 3}


def test_what_changes_along_a_covariate(grown):
    table = grown.partial_dependence("a", points=5)
    assert list(table.columns) == ["covariate", "value", "parameter", "term", "estimate"]
    slope = table[table.term == "x"]
    assert slope.value.is_monotonic_increasing
    assert slope.estimate.iloc[0] < 0.6 < 0.9 < slope.estimate.iloc[-1]
    assert set(table.parameter) == set(grown.model_.tidy().parameter)
    assert grown.partial_dependence("flag").value.unique().tolist() == [False, True]
    assert grown.partial_dependence("level").value.unique().tolist() == ["u", "v", "w"]
    with pytest.raises(OptionError, match="'x' is no candidate; these are: a, b, c"):
        grown.partial_dependence("x")


def test_a_pickled_forest_keeps_its_results(grown):
    again = pickle.loads(pickle.dumps(grown))
    pd.testing.assert_frame_equal(again.importance(), grown.importance())
    pd.testing.assert_frame_equal(again.tests(), grown.tests())
    pd.testing.assert_frame_equal(again.partial_dependence("flag"), grown.partial_dependence("flag"))
    with pytest.raises(DataError, match="data are needed"):
        again.propose()


def test_the_same_forest_whatever_grows_it(frame, monkeypatch):
    alone = make_forest().fit(frame)
    with joblib.parallel_config("threading"):
        together = make_forest(n_jobs=2).fit(frame)
    np.testing.assert_array_equal(alone.importances_, together.importances_)
    grow = module.grow_trees
    monkeypatch.setattr(module, "grow_trees", lambda work, numbers: grow(pickle.loads(pickle.dumps(work)), numbers))
    again, other = make_forest().fit(frame), make_forest(random_state=1).fit(frame)
    np.testing.assert_array_equal(alone.importances_, again.importances_)
    assert not np.array_equal(alone.importances_, other.importances_)


def interrupted_after(trees: int):
    grow, calls = module.grow_trees, []

    def interrupted(work, numbers):
        calls.append(numbers)
        if len(calls) > trees:
            raise KeyboardInterrupt
        return grow(work, numbers)

    return interrupted


def test_an_interrupt_keeps_the_trees(frame, monkeypatch):
    whole = make_forest().fit(frame)
    assert not whole.interrupted_
    monkeypatch.setattr(module, "grow_trees", interrupted_after(3))
    part = make_forest().fit(frame)
    assert (part.n_trees_, part.interrupted_) == (3, True)
    np.testing.assert_array_equal(part.importances_, whole.importances_[:3])
    assert not part.importance().isna().any(axis=None)
    monkeypatch.setattr(module, "grow_trees", interrupted_after(1))
    with pytest.raises(KeyboardInterrupt):
        make_forest().fit(frame)


def test_a_mixture_lends_its_expert(frame):
    mixture = ms.MixtureOfExperts(LINE, gate="~ b", n_experts=3, gate_penalty=0.1, extra=[ms.Noise()], verbose=0)
    forest = make_forest(mixture).fit(frame)
    assert forest.model_.n_parameters_ == 3
    np.testing.assert_allclose(forest.importances_, make_forest().fit(frame).importances_, rtol=1e-5, atol=1e-8)


def test_a_fitted_model_brings_its_data(frame):
    model = ms.Regression("y ~ x", verbose=0).fit(frame)
    np.testing.assert_array_equal(make_forest(model).fit().importances_, make_forest().fit(frame).importances_)
    with pytest.raises(DataError, match="data are needed"):
        make_forest().fit()


def test_rows_without_weight_do_not_count(frame):
    junk = frame.head(50).assign(y=99.0, a=5.0)
    both = pd.concat([frame, junk.assign(weight=0.0)]).fillna({"weight": 1.0})
    weighted = make_forest().fit(both, sample_weight="weight")
    np.testing.assert_allclose(weighted.importances_, make_forest().fit(frame).importances_, rtol=1e-5, atol=1e-8)
    rest = make_forest(ms.Regression("y ~ x", cluster="c", verbose=0), "~ .", n_trees=2)
    assert rest.fit(both.drop(columns=["level", "flag"]), sample_weight="weight").covariates_ == ["a", "b"]


def test_units_are_split_as_wholes():
    """Three rows a unit; a single expert's rows are independent, so importances add up over a unit's rows."""
    rng = np.random.default_rng(2)
    units = pd.DataFrame({"id": range(250), "a": rng.normal(size=250), "b": rng.normal(size=250)})
    rows = units.loc[units.index.repeat(3)].reset_index(drop=True)
    rows["x"] = rng.normal(size=750)
    rows["y"] = np.where(rows.a > 0.5, 1, -1) * rows.x + rng.normal(size=750)
    model = ms.Regression("y ~ x", unit="id", verbose=0)
    forest = make_forest(model, "~ a + b").fit(rows)
    assert forest.importance().covariate[0] == "a"
    assert forest.model_.n_units_ == 250
    mixed = rows.assign(b=np.where(rows.index == 31, 9.0, rows.b))
    with pytest.raises(DataError, match="'b' varies inside unit 10"):
        make_forest(model, "~ a + b").fit(mixed)
    gaps = rows.assign(a=rows.a.where(rows.id > 3), b=rows.b.where(rows.id != 7))
    with pytest.raises(DataError, match=re.escape("'a' in 4, 'b' in 1 of the 250 units")):
        make_forest(model, "~ a + b").fit(gaps)


def test_splits_without_a_maximum_are_told(frame):
    """A response that is constant in one part: its variance has no maximum there."""
    data = frame.assign(y=np.where(frame.a < 0, 1.0, frame.b))
    with pytest.warns(ConvergenceWarning, match=r"splits in \d of 6 trees were given up.*raise min_units"):
        forest = make_forest(ms.Regression("y ~ 1", verbose=0), "~ a + c", mtry=2).fit(data)
    assert np.isfinite(forest.importances_).all()


def test_growth_curves():
    """Random intercepts; the slope of time turns with a, by subject."""
    rng = np.random.default_rng(5)
    subjects = pd.DataFrame({"id": range(150), "a": rng.normal(size=150), "b": rng.normal(size=150)})
    rows = subjects.loc[subjects.index.repeat(4)].reset_index(drop=True).assign(t=np.tile(np.arange(4.0), 150))
    level = np.repeat(rng.normal(size=150), 4)
    rows["y"] = level + np.where(rows.a > 0, 0.5, -0.5) * rows.t + 0.5 * rng.normal(size=600)
    curve = ms.GrowthCurve("y ~ linear(t)", unit="id", random="intercept", verbose=0)
    forest = make_forest(curve, "~ a + b", n_trees=4).fit(rows)
    assert forest.importance().covariate[0] == "a"
    assert forest.model_.n_units_ == 150
    table = forest.tests().set_index("covariate")
    assert table.p_value["a"] < 1e-6 < 0.01 < table.p_value["b"]


def test_other_families_and_several_outcomes(frame):
    rng = np.random.default_rng(3)
    rate = np.exp(0.3 + np.where(frame.level == "u", 1.2, 0.0))
    data = frame.assign(count=rng.poisson(rate), sick=(rng.random(300) < 0.5).astype(int))
    counts = make_forest(ms.Regression("count ~ 1", family="poisson", verbose=0), "~ a + level").fit(data)
    assert counts.importance().covariate[0] == "level"
    joint = ms.Joint([ms.Regression("count ~ 1", "poisson"), ms.Regression("sick ~ 1", "binomial")])
    forest = make_forest(ms.MixtureOfExperts(joint, verbose=0), "~ a + level", n_trees=3).fit(data)
    assert forest.model_.n_parameters_ == 2
    assert forest.importance().covariate[0] == "level"


def test_kinds_of_candidates(frame):
    ordered = pd.Categorical(frame.level, ["w", "u", "v", "z"], ordered=True)
    data = frame.assign(stage=ordered, two=np.where(frame.flag, 7, 3), one=1.0)
    forest = make_forest(candidates=["stage", "level", "flag", "two", "b", "one"], n_trees=2).fit(data)
    listed = [(c.covariate.kind, len(c.levels)) for c in forest._candidates]
    kinds = dict(zip(forest.covariates_, listed, strict=True))
    assert kinds == {
        "stage": ("ordered", 3), "level": ("level", 3), "flag": ("level", 2), "two": ("level", 2),
        "b": ("number", 0), "one": ("number", 0),
    }  # fmt: skip
    assert (
        forest.importance().set_index("covariate").loc["one", ["importance", "std_error", "trees"]].tolist() == [0] * 3
    )
    assert np.isnan(forest.tests().set_index("covariate").p_value["one"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"candidates": "~ log(a)"}, FormulaError, "'log(a)' is no column"),
        ({"candidates": "~ a:b"}, FormulaError, "'a:b' is no column"),
        ({"candidates": "y ~ a"}, FormulaError, "left side"),
        ({"candidates": "~ 1"}, OptionError, "names no covariate"),
        ({"candidates": 3}, OptionError, "candidates must be a formula"),
        ({"candidates": "~ a + y"}, OptionError, "'y' is the model's response"),
        ({"candidates": "~ nothere"}, DataError, "no column 'nothere'"),
        ({"candidates": "~ name"}, DataError, "'name' has 300 levels among 300 units"),
        ({"model": ms.Regression("y ~ x", penalty=0.1, verbose=0)}, OptionError, "without penalty="),
        (
            {"model": ms.Noise()},
            OptionError,
            "a Regression, GrowthCurve, Joint or MixtureOfExperts is needed, got Noise",
        ),
        ({"model": ms.MixtureOfExperts([LINE, LINE])}, OptionError, "list expert="),
        ({"sampling": "jackknife"}, OptionError, "sampling must be one of"),
        ({"fraction": 1.0}, OptionError, "leaves none in or none out"),
        ({"min_units": 100}, DataError, "a tree sees 190 of 300 units"),
        ({"alpha": 0.0}, OptionError, "alpha must be above 0"),
        ({"n_trees": 1}, OptionError, "n_trees must be"),
        ({"mtry": 0}, OptionError, "mtry must be"),
    ],
)
def test_what_is_refused(frame, options, error, message):
    data = frame.assign(name=[f"n{i}" for i in range(300)])
    with pytest.raises(error, match=re.escape(message)):
        make_forest(**options).fit(data)


def test_arrays_have_no_names(frame):
    with pytest.raises(OptionError, match="give the model a formula"):
        make_forest(ms.Regression(verbose=0), ["a"]).fit(frame[["x", "a"]].to_numpy(), frame.y.to_numpy())


def test_plots_show_the_table(grown):
    table, ax = grown.importance(), grown.plot_importance()
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 0], table.importance)
    assert [label.get_text() for label in ax.get_yticklabels()] == table.covariate.tolist()
    ax = grown.plot_convergence()
    ends = {line.get_label(): line.get_ydata()[-1] for line in ax.lines if not line.get_label().startswith("_")}
    assert ends == pytest.approx(dict(zip(table.covariate, table.importance, strict=True)))
    assert len(ax.lines[0].get_xdata()) == 12


def simulated_bilinear(subjects: int, waves: int, seed: int) -> pd.DataFrame:
    """Two bilinear classes by g, growth factors by x, waves shaken, a tenth of the scores missing."""
    rng = np.random.default_rng(seed)
    g, x = rng.normal(size=(2, subjects))
    factor = np.linalg.cholesky(np.array([[4, 0.5, 0.2], [0.5, 0.6, 0.1], [0.2, 0.1, 0.4]]))
    parts = []
    for i in range(subjects):
        level, first, second, knot = [(20, 4, 1, 2.5), (24, 2, 3, 4.5)][
            int(rng.random() < 1 / (1 + np.exp(-0.2 - 0.8 * g[i])))
        ]
        b = np.array([level, first, second]) + factor @ rng.normal(size=3) + np.array([0.8, 0.3, 0.1]) * x[i]
        t = np.arange(waves) + rng.uniform(-0.25, 0.25, waves) * (np.arange(waves) > 0)
        y = b[0] + b[1] * np.minimum(t, knot) + b[2] * np.maximum(t - knot, 0) + rng.normal(size=waves)
        y[1:][rng.random(waves - 1) < 0.1] = np.nan
        parts.append(pd.DataFrame({"id": i, "t": t, "y": y, "g": g[i], "x": x[i]}))
    return pd.concat(parts, ignore_index=True)


CROSSED = {"n_experts": 2, "n_init": 4, "random_state": 0, "verbose": 0}


@pytest.fixture(scope="module")
def crossed() -> pd.DataFrame:
    """Classes by g, a common shift by w within them, u for nothing."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({name: rng.normal(size=400) for name in "xgwu"})
    second = rng.random(400) < 1 / (1 + np.exp(-1.5 * data.g))
    return data.assign(y=np.where(second, 3 + data.x, -data.x) + 0.6 * data.w + rng.normal(size=400))


@pytest.fixture(scope="module")
def plain(crossed) -> ms.MixtureOfExperts:
    return ms.MixtureOfExperts(LINE, **CROSSED).fit(crossed)


def test_a_proposal_puts_covariates_where_they_belong(crossed, plain):
    mixture = ms.MixtureOfExperts(LINE, gate="~ g", gate_penalty=0.1, **CROSSED)
    forest = make_forest(mixture, "~ g + w + u", n_trees=10).fit(crossed)
    proposal = forest.propose(3)
    found = proposal.table.set_index("covariate").recommendation.to_dict()
    assert found == {"g": "gate", "w": "within", "u": "neither"}
    assert (proposal.gate, proposal.within) == ("~ g", "~ w")
    assert repr(proposal).startswith("gate:   ~ g\nwithin: ~ w\n")
    assert proposal.table.covariate.tolist() == forest.importance().covariate.tolist()
    pd.testing.assert_frame_equal(forest.propose(3, model=plain).table, proposal.table)


def test_tests_of_a_proposal_against_refits(crossed, plain):
    test = placement(plain, "u", ["location"])
    for found, to in ((test.gate_alone, "gate"), (test.within_alone, "location")):
        np.testing.assert_allclose(found, plain.score_test("u", to)[["statistic", "df", "p_value"]].iloc[0], rtol=1e-6)
    inner = ms.MixtureOfExperts(ms.Regression("y ~ x + u"), **CROSSED).fit(crossed)
    both = ms.MixtureOfExperts(ms.Regression("y ~ x + u"), gate="~ u", **CROSSED).fit(crossed)
    ratio = ms.likelihood_ratio_test(inner, both)
    np.testing.assert_allclose(test.gate, ratio[["statistic", "df", "p_value"]].iloc[0], rtol=1e-4)
    assert test.within.df == 2
    assert 0 < test.within.statistic < 10


def test_a_proposal_is_refitted(crossed):
    """By the model that it writes: the same as the one written by hand."""
    mixture = ms.MixtureOfExperts(LINE, **CROSSED)
    proposal = make_forest(mixture, "~ g + w + u", n_trees=10).fit(crossed).propose(3)
    refitted = proposal.fit(crossed)
    by_hand = ms.MixtureOfExperts(ms.Regression("y ~ x + w", verbose=0), gate="~ g", **CROSSED).fit(crossed)
    assert refitted.coefficient_names_ == by_hand.coefficient_names_
    assert refitted.log_likelihood_ == pytest.approx(by_hand.log_likelihood_, abs=1e-6)
    assert not hasattr(proposal.model, "fitted_")


CURVE = ms.GrowthCurve("y ~ bilinear(t) + v", unit="id", between="~ a")


@pytest.mark.parametrize(
    ("expert", "targets", "changed"),
    [
        (ms.Regression("y ~ x | z"), ["location"], {"formula": "y ~ x + b + c | z"}),
        (ms.Regression("y ~ x", sigma="~ x"), ["sigma"], {"formula": "y ~ x", "sigma": "~ x + b + c"}),
        (CURVE, ["location"], {"formula": CURVE.formula, "between": "~ a + b + c"}),
        (ms.GrowthCurve("y ~ t", unit="id"), ["location"], {"formula": "y ~ t + b + c", "between": None}),
        (
            CURVE,
            ["slope1", "knot"],
            {"between": {"intercept": "~ a", "slope1": "~ a + b + c", "slope2": "~ a", "knot": "~ b + c"}},
        ),
    ],
)
def test_where_terms_are_written(expert, targets, changed):
    params = placed(ms.MixtureOfExperts(expert, gate="~ 1"), ["g"], ["b", "c"], targets)
    assert params.gate == "~ g"
    assert {name: params.expert.get_params()[name] for name in changed} == changed
    joint = placed(ms.MixtureOfExperts(ms.Joint([LINE, LINE]), gate="~ z"), ["g"], ["b"], ["location"])
    assert [o.formula for o in joint.expert.outcomes] == ["y ~ x + b"] * 2
    assert (joint.gate, LINE.formula) == ("~ z + g", "y ~ x")
    with pytest.raises(OptionError, match="cannot write a model with covariates of 'random_covariance'"):
        placed(ms.MixtureOfExperts(CURVE), [], ["b"], ["random_covariance"])
    own = ms.GrowthCurve("y ~ linear(t)", unit="id", between="~ a", covariates="joint")
    with pytest.raises(OptionError, match="tests covariates as given"):
        placed(ms.MixtureOfExperts(own), [], ["b"], ["location"])


ZERO, CLEAR, FAILED = ChiSquare(0.1, 1, 0.7), ChiSquare(50.0, 1, 1e-9), ChiSquare(np.nan, 1, np.nan)


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ((CLEAR, CLEAR, CLEAR, ZERO), "gate"),
        ((CLEAR, CLEAR, CLEAR, CLEAR), "gate + within"),
        ((CLEAR, CLEAR, ZERO, ZERO), "either"),
        ((ZERO, ZERO, ZERO, ZERO), "neither"),
        ((CLEAR, ZERO, FAILED, FAILED), "gate"),
        ((CLEAR, CLEAR, FAILED, FAILED), "either"),
        ((CLEAR, CLEAR, FAILED, ZERO), "gate"),
        ((ZERO, ZERO, FAILED, FAILED), "neither"),
    ],
)
def test_where_a_refit_fails_the_test_alone_decides(tests, expected):
    assert recommend(Placement(*tests), 0.01) == expected


@pytest.mark.filterwarnings("ignore::mixstat.exceptions.ConvergenceWarning")
@pytest.mark.slow
def test_a_gate_covariate_of_growth_at_a_boundary():
    """Few occasions, so that refits stop at variances of 0 and at kinks: stalled, but not below what they contain."""
    rows = simulated_bilinear(200, 5, seed=3)
    curve = ms.GrowthCurve("y ~ bilinear(t)", unit="id", verbose=0)
    mixture = ms.MixtureOfExperts(curve, n_experts=2, random_state=0, verbose=0, n_init=4)
    test = placement(mixture.fit(rows), "g", ["location"])
    assert test.failed == []
    assert recommend(test, 0.01) == "gate"
    assert test.gate.statistic > 6 > test.within.statistic - test.within.df


def test_proposals_that_cannot_be_made(grown, crossed, plain):
    with pytest.raises(OptionError, match="two experts or more"):
        grown.propose()
    with pytest.raises(OptionError, match="must be a fitted MixtureOfExperts"):
        grown.propose(model=ms.MixtureOfExperts(LINE))
    short = ms.MixtureOfExperts(ms.Regression("y ~ x | g"), verbose=0)
    with pytest.raises(OptionError, match="give it as gate= instead"):
        make_forest(short, "~ g + u", n_trees=2).fit(crossed).propose(1)
    penalised, named = copy(plain), plain.fitted_.assembled.named
    assembled = plain.fitted_.assembled._replace(named=named._replace(penalty=np.ones(7)))
    penalised.fitted_ = plain.fitted_._replace(assembled=assembled)
    with pytest.raises(OptionError, match="without penalty"):
        grown.propose(model=penalised)


def test_what_the_model_holds_already_is_not_tested_again(plain):
    test = placement(plain, "x", ["location"])
    assert test.within == test.within_alone == (0.0, 0, 1.0)
    assert test.gate.df == 1
    assert test.gate.p_value == pytest.approx(test.gate_alone.p_value, abs=0.05)


def test_odd_names_are_quoted_in_the_formulas(crossed):
    data = crossed.rename(columns={"g": "my group"})
    proposal = make_forest(ms.MixtureOfExperts(LINE, **CROSSED), ["my group"], n_trees=2).fit(data).propose(1)
    assert proposal.gate == "~ `my group`"
