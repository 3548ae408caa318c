"""Studies: the same figures however they are run, nothing lost, nothing dropped."""

import json
import signal

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mixstat as ms
from mixstat.exceptions import ConvergenceWarning, DataError, OptionError
from mixstat.studies import Estimates, wald
from mixstat.studies.replicate import generator_of

TRUTH = {"mean": 2.0}


def simulate(rng, n, shift=0.0):
    return pd.DataFrame({"y": 2.0 + shift + rng.normal(size=n)})


def mean(data, n, shift=0.0):
    return {"mean": (data["y"].mean(), data["y"].std() / np.sqrt(n))}


def make(**changes) -> ms.Study:
    options = {
        "simulate": simulate,
        "fit": mean,
        "truth": TRUTH,
        "replicates": 12,
        "seed": 7,
        "scenarios": {"n": [20, 50]},
    }
    return ms.Study(**{**options, **changes})


class Interrupted:
    """A fit that is interrupted at its `at`-th call, once; `swallow` catches the interrupt as mixstat's own fits do."""

    def __init__(self, at: int, *, swallow: bool = False):
        self.at, self.swallow, self.calls = at, swallow, 0

    def __call__(self, data, n):
        self.calls += 1
        if self.calls == self.at:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                if not self.swallow:
                    raise
        return mean(data, n)


@pytest.fixture(autouse=True)
def interruptible():
    """Python's own handler, also where the tests run in the background of a shell, which ignores interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def serial() -> ms.Study:
    return make().run(verbose=0)


def same(study: ms.Study, other: ms.Study) -> None:
    pd.testing.assert_frame_equal(study.results(), other.results(), check_exact=True)
    pd.testing.assert_frame_equal(study.measures(), other.measures(), check_exact=True)


def test_replicates_draw_from_children_of_one_seed():
    child = np.random.SeedSequence(7).spawn(2)[1].spawn(4)[3]
    assert generator_of(7, 1, 3).random() == np.random.default_rng(child).random()


@pytest.mark.parametrize("n_jobs", [2, None])
def test_threads_and_batches_change_nothing(serial, n_jobs):
    with joblib.parallel_config(backend="threading", n_jobs=2):
        same(serial, make().run(n_jobs=n_jobs, batch=5, verbose=0))


def test_processes_change_nothing(serial):
    same(serial, make().run(n_jobs=2, verbose=0))


def test_estimates_are_those_of_the_simulated_data(serial):
    """Replicate 5 of the second scenario, by hand; and the measures of its parameter."""
    data = simulate(generator_of(7, 1, 5), 50)
    results = serial.results()
    row = results[(results["scenario"] == 2) & (results["replicate"] == 5)].iloc[0]
    assert (row["n"], row["estimate"], row["truth"]) == (50, data["y"].mean(), 2.0)
    part = results.loc[results["n"] == 50, "estimate"]
    bias = serial.measures().query("n == 50 and measure == 'bias'").iloc[0]
    assert bias["value"] == pytest.approx(part.mean() - 2.0, rel=1e-12)
    assert bias["mcse"] == pytest.approx(part.sem(), rel=1e-12)


def test_replicates_may_grow_and_what_is_done_is_not_run_again(tmp_path, serial):
    make(replicates=5, directory=tmp_path).run(verbose=0)
    fit = Interrupted(0)
    grown = make(fit=fit, directory=tmp_path).run(verbose=0)
    assert fit.calls == 2 * (12 - 5)
    same(serial, grown)
    assert len(make(replicates=3, directory=tmp_path).results()) == 6


@pytest.mark.parametrize("swallow", [False, True])
def test_an_interrupt_keeps_what_is_done(tmp_path, serial, swallow):
    """Also where the fit catches it and returns what it has: that replicate runs again."""
    study = make(fit=Interrupted(9, swallow=swallow), directory=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        study.run(verbose=0)
    assert len(study.runs()) == 8
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    same(serial, study.run(verbose=0))
    same(serial, make(directory=tmp_path))


def test_a_line_that_was_cut_off_runs_again(tmp_path, serial):
    make(directory=tmp_path).run(verbose=0)
    file = tmp_path / "replicates.jsonl"
    text = file.read_bytes()
    file.write_bytes(text[:-30])
    fit = Interrupted(0)
    same(serial, make(fit=fit, directory=tmp_path).run(verbose=0))
    assert fit.calls == 1
    assert len(file.read_text().splitlines()) == 24
    file.write_bytes(text.replace(b'"replicate"', b"replicate", 1))
    with pytest.raises(DataError, match="line 1 is no JSON"):
        make(directory=tmp_path)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"seed": 8}, "seed"), ({"scenarios": {"n": [20, 60]}}, "scenarios"), ({"truth": {"mean": 2.1}}, "truth")],
)
def test_another_design_is_refused(tmp_path, change, name):
    make(directory=tmp_path)
    with pytest.raises(OptionError, match=f"another design: {name} changed"):
        make(directory=tmp_path, **change)
    make(directory=tmp_path, truth={"mean": 2.0 + 1e-9})


def test_a_directory_of_unknown_design_is_refused(tmp_path):
    (tmp_path / "replicates.jsonl").write_text("")
    with pytest.raises(DataError, match=r"no design\.json"):
        make(directory=tmp_path)


def test_failures_are_rows_with_their_reason(tmp_path):
    def fails(data, n):
        if data["y"].iloc[0] > 2.5:
            raise np.linalg.LinAlgError("singular")
        return {"mean": (data["y"].mean(), np.nan if data["y"].iloc[0] > 2.2 else 0.1)}

    study = make(fit=fails, directory=tmp_path).run(verbose=0)
    first = np.array(
        [simulate(generator_of(7, s, r), n)["y"].iloc[0] for s, n in ((0, 20), (1, 50)) for r in range(12)]
    )
    assert len(study.runs()) == 24
    assert list(study.failures()["error"]) == ["LinAlgError: singular"] * int((first > 2.5).sum())
    measures = study.measures().query("n == 20").set_index("measure")
    assert measures.loc["failure", "value"] == np.mean(first[:12] > 2.5)
    assert measures.loc["bias", "n_replicates"] == (first[:12] <= 2.5).sum()
    assert measures.loc["coverage", "n_replicates"] == (first[:12] <= 2.2).sum()
    assert json.loads((tmp_path / "replicates.jsonl").read_text().splitlines()[0])["replicate"] == 0


def test_a_study_whose_replicates_all_fail_says_why():
    def fails(data, n):
        raise ZeroDivisionError("no luck")

    with pytest.raises(DataError, match="all 24 replicates failed, the first with: ZeroDivisionError: no luck"):
        make(fit=fails).run(verbose=0).measures()
    with pytest.raises(DataError, match="call run"):
        make().measures()


def test_an_estimate_that_is_no_number_is_a_failure():
    study = make(fit=lambda data, n: {"mean": (np.inf, 1.0)}, replicates=1).run(verbose=0)
    assert set(study.failures()["error"]) == {"ValueError: fit gave no finite estimate of mean"}


def test_fits_that_did_not_converge_count_unless_left_out():
    def doubtful(data, n):
        table = pd.DataFrame({"parameter": ["mean"], "estimate": [data["y"].mean()], "std_error": [0.1]})
        return Estimates(table, converged=data["y"].iloc[0] > 2.0, status="stopped early")

    study = make(fit=doubtful, scenarios={"n": [20]}).run(verbose=0)
    runs, results = study.runs(), study.results()
    kept = int(runs["converged"].sum())
    assert 0 < kept < 12
    everything, part = (study.measures(converged_only=only).set_index("measure") for only in (False, True))
    assert everything.loc["convergence", "value"] == part.loc["convergence", "value"] == kept / 12
    assert (everything.loc["bias", "n_replicates"], everything.loc["bias", "excluded"]) == (12, 0)
    assert (part.loc["bias", "n_replicates"], part.loc["bias", "excluded"]) == (kept, 12 - kept)
    wanted = results.loc[results["converged"], "estimate"].mean() - 2.0
    assert part.loc["bias", "value"] == pytest.approx(wanted)


def test_label_switches_are_undone_and_counted(serial):
    """Experts named at random: after matching every figure is that of experts named rightly."""

    def halves(data, n):
        values = data["y"].to_numpy()
        table = {"expert": [1, 2, 2], "parameter": ["mean", "mean", "gate"], "std_error": [0.3, 0.4, 0.2]}
        return pd.DataFrame({**table, "estimate": [values[: n // 2].mean(), 5 + values[n // 2 :].mean(), 0.4]})

    def shuffled(data, n):
        table = halves(data, n)
        if data["y"].iloc[0] > 2:
            table["expert"] = [2, 1, 2]
            table.loc[2, "estimate"] *= -1
        return table

    truth = {"1:mean:": 2.0, "2:mean:": 7.0, "2:gate:": 0.4}
    right, wrong = (make(fit=f, truth=truth, scenarios={"n": [20]}).run(verbose=0) for f in (halves, shuffled))
    measures = [
        s.measures().query("measure != 'label_switch'").sort_values(["expert", "parameter", "measure"])
        for s in (right, wrong)
    ]
    pd.testing.assert_frame_equal(*(m.reset_index(drop=True) for m in measures))
    switched = wrong.measures().query("measure == 'label_switch'")["value"].item()
    assert switched == np.mean([o == (2, 1) for o in wrong.runs()["order"]]) > 0
    left = make(fit=shuffled, truth=truth, scenarios={"n": [20]}, relabel=False).run(verbose=0)
    assert left.measures().query("measure == 'label_switch'")["value"].item() == 0.0
    assert left.measures().query("measure == 'bias' and expert == 1", engine="python")["value"].item() > 1.0


def test_a_mixture_is_studied_from_its_fit():
    """`make_moe`'s table of true values; two kinds of standard errors; warnings of fits stay out of the way."""
    simulated = ms.datasets.make_moe(10, coefficients=((-2.0, 1.0), (2.0, 0.0)), random_state=0)

    def draw(rng, n):
        return ms.datasets.make_moe(n, coefficients=((-2.0, 1.0), (2.0, 0.0)), random_state=rng).data

    def both(data, n):
        model = ms.MixtureOfExperts(ms.Regression("y ~ x1"), "~ z1", n_init=2, random_state=1, verbose=0).fit(data)
        return [wald(model), wald(model, "robust")]

    study = ms.Study(simulate=draw, fit=both, truth=simulated.truth, replicates=4, seed=1, scenarios={"n": [250]})
    results = study.run(verbose=0).results()
    model = ms.MixtureOfExperts(ms.Regression("y ~ x1"), "~ z1", n_init=2, random_state=1, verbose=0)
    tidy = model.fit(draw(generator_of(1, 0, 2), 250)).tidy()
    part = results[(results["replicate"] == 2) & (results["method"] == "information")].reset_index(drop=True)
    for name in ("expert", "parameter", "term", "estimate", "std_error"):
        pd.testing.assert_series_equal(part[name], tidy[name], check_dtype=False, rtol=1e-12)
    robust = results[(results["replicate"] == 2) & (results["method"] == "robust")]
    np.testing.assert_allclose(robust["std_error"], np.sqrt(np.diag(model.covariance("robust"))), rtol=1e-12)
    assert results["truth"].notna().all()
    table = study.table()
    assert len(table) == 16
    assert list(table.columns[-4:]) == ["bias", "empirical_se", "model_se", "coverage"]


def test_an_estimator_may_be_returned_itself_with_true_values_as_an_array():
    """One expert is least squares, and the array is in the order of its table."""

    def draw(rng):
        x = rng.normal(size=80)
        return pd.DataFrame({"x": x, "y": 1.0 + 2.0 * x + rng.normal(size=80)})

    def line(data):
        return ms.Regression("y ~ x", verbose=0).fit(data)

    results = ms.Study(simulate=draw, fit=line, truth=[1.0, 2.0, 0.0], replicates=3, seed=0).run(verbose=0).results()
    samples = [draw(generator_of(0, 0, replicate)) for replicate in range(3)]
    wanted = np.array([sm.OLS(data["y"], sm.add_constant(data["x"])).fit().params for data in samples])
    means = results[results["parameter"] == "mean"]
    np.testing.assert_allclose(means["estimate"], wanted.ravel(), rtol=1e-7)
    assert list(means["truth"]) == [1.0, 2.0] * 3


def test_convergence_warnings_become_data():
    def warns(data, n):
        import warnings

        warnings.warn("far from a maximum", ConvergenceWarning, stacklevel=2)
        return mean(data, n)

    assert not len(make(fit=warns, replicates=2).run(verbose=0).failures())


def test_scenarios_as_a_list_and_columns_of_their_arguments():
    study = make(scenarios=[{"n": 20}, {"n": 20, "shift": 1.0}], truth=lambda n, shift=0.0: {"mean": 2.0 + shift})
    results = study.run(verbose=0).results()
    assert list(results.columns[:3]) == ["scenario", "n", "shift"]
    assert list(results.groupby("scenario")["truth"].first()) == [2.0, 3.0]
    assert results.loc[results["scenario"] == 1, "shift"].isna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simulate": None}, "simulate must be a function"),
        ({"replicates": 0}, "replicates must be a whole number"),
        ({"scenarios": {"n": 20}}, "must be a list of values"),
        ({"scenarios": {"n": []}}, "is empty"),
        ({"scenarios": {"truth": [1]}}, "no column of results"),
        ({"scenarios": [{"n": 20}, {"n": 20}]}, "one scenario twice"),
        ({"scenarios": {"n": [abs]}}, "cannot be recognised"),
        ({"truth": {"mean": np.nan}}, "not finite"),
        ({"truth": None}, "truth must be"),
        ({"truth": pd.DataFrame({"a": [1]})}, "columns parameter and value"),
    ],
)
def test_bad_designs_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (3.0, "fit returned float"),
        ([], "empty list"),
        ({"mean": 1.0}, r"expected \(estimate, std_error\)"),
        ({"median": (1.0, 0.1)}, "truth names 'mean', the fit 'median'"),
        (pd.DataFrame({"parameter": ["mean"], "estimate": [1.0]}), "lacks"),
        (pd.DataFrame({"parameter": ["mean"] * 2, "estimate": [1.0] * 2, "std_error": [1.0] * 2}), "'mean' twice"),
        (ms.Regression("y ~ 1"), "not fitted"),
        ([{"mean": (1.0, 0.1)}, {"mean": (1.0, 0.2)}], "several results of one method"),
    ],
)
def test_what_fit_may_not_return_stops_the_study(returned, message):
    with pytest.raises(OptionError, match=message):
        make(fit=lambda data, n: returned).run(verbose=0)


def test_a_true_value_that_nothing_estimates_is_named():
    with pytest.raises(DataError, match="truth names maen, which no fit estimated; fits estimated mean"):
        make(truth={"mean": 2.0, "maen": 1.0}).run(verbose=0).measures()


def test_table_refuses_unknown_measures(serial):
    for name in ("power", "convergence"):
        with pytest.raises(OptionError, match=f"'{name}' is no measure of a parameter"):
            serial.table([name])
    assert serial.table(["coverage", "bias"], digits=2)["coverage"].str.fullmatch(r"\d\.\d\d \(\d\.\d\d\)").all()


def test_parameters_without_a_true_value_have_the_measures_that_need_none():
    def both(data, n):
        return {**mean(data, n), "spread": (data["y"].std(), 0.1)}

    table = make(fit=both).run(verbose=0).table(["bias", "empirical_se"])
    assert list(table.loc[table["parameter"] == "spread", "bias"]) == ["", ""]
    assert (table.loc[table["parameter"] == "spread", "empirical_se"] != "").all()
