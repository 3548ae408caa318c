"""A saved model says what the fitted one says, to the bit, without the training data."""

import json
import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import mixstat as ms
from mixstat.families import FAMILIES
from mixstat.formula.persist import to_dict
from mixstat.results import archive
from tests.estimators.data import SIZE, frame, mixture, regression
from tests.persistence.make_file import FILE
from tests.persistence.models import DATA, MODELS, assert_equal, assert_same, fitted, table


def saved(model, tmp_path):
    path = tmp_path / "model.npz"
    model.save(path)
    return ms.load(path)


def assert_same_state(fitted, again):
    """Every field, but for positions, labels and clusters of the training rows."""
    assert to_dict(again.schema) == to_dict(fitted.schema)
    assert (again.assembled.mixture, again.assembled.stacks) == (fitted.assembled.mixture, fitted.assembled.stacks)
    assert again.assembled.columns.__dict__ == fitted.assembled.columns.__dict__
    assert again.assembled.named.labels == fitted.assembled.named.labels
    for name in ("index", "value"):
        assert_equal(getattr(again.assembled.named.ties, name), getattr(fitted.assembled.named.ties, name))
    assert_same_tuple(fitted, again, {"schema", "assembled"})


def assert_same_tuple(one, other, skipped=()):
    assert type(one) is type(other)
    for name in one._fields if hasattr(one, "_fields") else range(len(one)):
        mine, its = (getattr(x, name) if isinstance(name, str) else x[name] for x in (one, other))
        if name in skipped or name in ("kept", "unit_labels", "cluster"):
            continue
        if isinstance(mine, tuple | list):
            assert_same_tuple(mine, its)
        else:
            assert_equal(its, mine)


def test_every_family_is_tried():
    tried = [name for name in MODELS if "families" in name]
    assert {o.family.name for name in tried for o in MODELS[name]()._plan(None).outcomes} == set(FAMILIES)


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, tmp_path):
    model, data = fitted(name)
    again = saved(model, tmp_path)
    assert_same(model, again, data)
    assert_same_state(model.fitted_, again.fitted_)
    assert not hasattr(again, "_problem")
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()


def test_the_cases_hold_what_they_are_for():
    assert fitted("em")[0].fitted_.solution.information is None
    assert fitted("collinear")[0].fitted_.dropped == ("0.0:twice",)
    joint = fitted("joint")[0]
    assert joint.n_units_ == SIZE
    assert [len(slots) for slots in joint.fitted_.assembled.stacks[0]] == [2, 1, 1]
    assert fitted("units")[0].n_units_ == SIZE // 4
    assert fitted("ties")[0].tidy()["expert"].isna().any()


def test_robust_covariances_need_a_refit(tmp_path):
    model, _ = fitted("units")
    again = saved(model, tmp_path)
    for kind in ("robust", "cluster"):
        with pytest.raises(ms.DataError, match="refit"):
            again.covariance(kind)
    with pytest.raises(ms.DataError, match="refit"):
        saved(fitted("em")[0], tmp_path).tidy()


def test_em_keeps_standard_errors_that_were_asked_for(tmp_path):
    model = mixture(algorithm="em", max_iter=30).fit(DATA)
    table = model.tidy()
    assert_equal(saved(model, tmp_path).tidy(), table)


def test_a_loaded_model_is_an_estimator(tmp_path):
    model, data = fitted("gate")
    again = clone(saved(model, tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert again.fit(data).log_likelihood_ == model.log_likelihood_
        warm = clone(again).set_params(start=saved(model, tmp_path)).fit(data)
        assert warm.log_likelihood_ == pytest.approx(model.log_likelihood_)


@pytest.mark.parametrize(
    ("family", "named"), [("gaussian", False), ("categorical", True), ("multivariate_gaussian", False)]
)
def test_arrays(family, named, tmp_path):
    X = DATA[["x", "z"]] if named else DATA[["x", "z"]].to_numpy()
    y = {"gaussian": DATA.y, "categorical": DATA.g, "multivariate_gaussian": DATA[["y", "p"]]}[family].to_numpy()
    model = regression(family=family) if family == "gaussian" else mixture(regression(family=family), gate="~ x0 + x1")
    model = model.set_params(gate="~ z") if named else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    again = saved(model, tmp_path)
    assert_same(model, again, X, y)
    assert again.n_features_in_ == 2
    assert hasattr(again, "feature_names_in_") == hasattr(model, "feature_names_in_")
    with pytest.raises(ValueError, match="feature"):
        again.predict(DATA[["x", "y"]] if named else np.zeros((4, 3)))


def test_polars(tmp_path):
    polars = pytest.importorskip("polars")
    data = polars.from_pandas(DATA[["x", "z", "y", "g"]])
    model = regression("y ~ x * g + scale(z)").fit(data)
    again = saved(model, tmp_path)
    assert_same(model, again, data)
    assert_equal(again.predict(DATA), model.predict(data))


def test_categorical_columns_keep_their_order(tmp_path):
    data = DATA.assign(g=pd.Categorical(DATA.g, ["c", "a", "b"], ordered=True))
    model = regression("y ~ g", sigma="~ g").fit(data)
    assert_same(model, saved(model, tmp_path), data)
    response = regression("g ~ x", family="categorical").fit(data)
    assert list(saved(response, tmp_path).classes_) == ["c", "a", "b"]


def test_new_rows_meet_what_was_learnt(tmp_path):
    again = saved(fitted("rich formula")[0], tmp_path)
    with pytest.raises(ms.UnseenLevelError, match="'new'"):
        again.predict(table().assign(g="new"))
    with pytest.raises(ms.DataError, match="'e'"):
        again.predict(table().drop(columns="e"))


def test_relabelled_models(tmp_path):
    model = fitted("gate")[0].relevel(2).rename(["up", "down"])
    assert_same(model, saved(model, tmp_path), table())
    assert "down" in str(saved(model, tmp_path).summary())


def test_odd_names_and_arguments(tmp_path):
    data = DATA.rename(columns={"x": "größe [m]", "z": '"q"'})
    model = regression('y ~ `größe [m]` + `"q"`', shared=["größe [m]"], fixed={'"q"': np.float64(0.1)}, tol=1e-8)
    model.set_params(max_iter=np.int64(77), sigma=None).fit(data)
    again = saved(model, tmp_path)
    assert_equal(again.predict(data), model.predict(data))
    assert_equal(again.tidy(), model.tidy())
    assert again.get_params() == model.get_params()
    assert type(again.max_iter) is int


def test_data_in_arguments_are_left_behind(tmp_path):
    known = np.where(np.arange(SIZE) < 20, np.where(DATA.y > 3, 2.0, 1.0), np.nan)
    model = mixture(prior_classes=known, random_state=np.random.default_rng(0)).fit(DATA)
    warm = mixture(start=model).fit(DATA)
    again = saved(model, tmp_path)
    assert again.prior_classes is None
    assert again.random_state is None
    assert saved(warm, tmp_path).start is None
    assert saved(warm, tmp_path).random_state == 0
    assert_equal(again.predict(DATA), model.predict(DATA))


def test_not_every_object_can_be_saved(tmp_path):
    class Own(ms.Regression):
        pass

    path = tmp_path / "model.npz"
    with pytest.raises(NotFittedError):
        ms.Regression("y ~ x").save(path)
    with pytest.raises(ms.DataError, match="Own"):
        Own("y ~ x", verbose=0).fit(DATA).save(path)
    changed = regression("y ~ x").fit(DATA).set_params(formula="y ~ z")
    with pytest.raises(ms.DataError, match="not saved"):
        changed.save(path)
    changed.set_params(formula="y ~ x", penalty=1.0)
    with pytest.raises(ms.DataError, match="not those of the fit"):
        changed.save(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    model, _ = fitted("counts")
    (tmp_path / "model.npz").write_text("before")
    link = tmp_path / "link.npz"
    link.symlink_to("model.npz")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="full"):
            model.save(link)
    assert (tmp_path / "model.npz").read_text() == "before"
    model.save(str(link))
    assert link.is_symlink()
    assert_equal(ms.load(str(link)).predict(DATA), model.predict(DATA))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.npz", "model.npz"]
    mask = os.umask(0o022)
    os.umask(mask)
    model.save(tmp_path / "new.npz")
    assert stat.S_IMODE((tmp_path / "new.npz").stat().st_mode) == 0o666 & ~mask


def test_large_models_are_stored_as_they_are(tmp_path, monkeypatch):
    model, _ = fitted("counts")
    model.save(tmp_path / "small.npz")
    monkeypatch.setattr(archive, "MAX_INFLATED", 2000)
    model.save(tmp_path / "large.npz")
    assert (tmp_path / "large.npz").stat().st_size > (tmp_path / "small.npz").stat().st_size + 2000
    assert_equal(ms.load(tmp_path / "large.npz").predict(DATA), model.predict(DATA))
    with pytest.raises(ms.DataError, match="would unpack to more"):
        ms.load(tmp_path / "small.npz")
    monkeypatch.setattr(archive, "MAX_TEXT", 100)
    with pytest.raises(ms.DataError, match="too large"):
        model.save(tmp_path / "other.npz")


def test_numbers_that_are_not_finite_are_said(tmp_path):
    model = mixture(regression("y ~ x", tol=np.inf)).fit(DATA)
    with pytest.raises(ms.DataError, match="infinite number among its arguments"):
        model.save(tmp_path / "model.npz")


def test_numpy_reads_the_numbers(tmp_path):
    model, _ = fitted("gate")
    model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert_equal(file["coefficients"], model.fitted_.phi)


def test_another_process(tmp_path):
    names = ("rich formula", "units", "joint")
    for name in names:
        fitted(name)[0].save(tmp_path / f"{name}.npz")
    code = (
        "import sys, numpy as np, mixstat as ms\n"
        "from tests.persistence.models import table\n"
        "for name in sys.argv[2:]:\n"
        "    model = ms.load(f'{sys.argv[1]}/{name}.npz')\n"
        "    np.save(f'{sys.argv[1]}/{name}.npy', model.responsibilities(table()))\n"
        "    np.save(f'{sys.argv[1]}/{name}.covariance.npy', model.covariance())\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    for name in names:
        model, data = fitted(name)
        assert_equal(np.load(tmp_path / f"{name}.npy"), model.responsibilities(data))
        assert_equal(np.load(tmp_path / f"{name}.covariance.npy"), model.covariance())


def test_a_file_of_the_first_format_is_read():
    """`make_file.py` wrote it; whatever becomes of the format, it has to load and to predict the same."""
    model = ms.load(FILE)
    expected = json.loads(FILE.with_suffix(".json").read_text())
    assert model.tidy()["estimate"].tolist() == expected["estimate"]
    np.testing.assert_allclose(model.tidy()["std_error"], expected["std_error"], rtol=1e-9)
    np.testing.assert_allclose(model.predict(frame()[:4], kind="log_density"), expected["log_density"], rtol=1e-9)
