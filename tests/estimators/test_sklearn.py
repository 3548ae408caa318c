"""scikit-learn: its own checks in array mode, and its tools (search, pipelines, routing) with formulas."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import mixstat as ms
from tests.estimators.data import frame, mixture, regression

RANDOM_STARTS = {
    "check_sample_weight_equivalence_on_dense_data": "random starts see repeated rows as other rows than weighted ones",
    "check_sample_weight_equivalence_on_sparse_data": "the same",
}


def expected_failures(estimator):
    classes = isinstance(estimator, ms.MixtureOfExperts) and estimator.expert.family == "categorical"
    return RANDOM_STARTS if classes else {}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        ms.Regression(verbose=0),
        ms.Regression(family="categorical", verbose=0),
        ms.MixtureOfExperts(ms.Regression(), n_init=2, random_state=0, verbose=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        ms.Regression(family="multivariate_gaussian", verbose=0),
        ms.MixtureOfExperts(ms.Regression(family="categorical"), n_init=2, random_state=0, verbose=0),
    ],
    expected_failed_checks=expected_failures,
)
def test_checks_of_several_outputs_and_classes(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    return frame()


@pytest.fixture(scope="module")
def fitted(data):
    return mixture(gate="~ z").fit(data)


def test_types():
    assert is_regressor(ms.Regression())
    assert is_regressor(ms.MixtureOfExperts(ms.Regression("n ~ x", family="poisson")))
    assert is_classifier(ms.MixtureOfExperts(ms.Regression(family="categorical")))
    assert not hasattr(ms.Regression(), "predict_proba")


def test_clone_keeps_parameter_formulas():
    model = ms.MixtureOfExperts(ms.Regression("y ~ x", sigma="~ z"), n_experts=3)
    copy = clone(model).set_params(expert__sigma="~ x", expert__family="student_t", n_experts=2)
    assert copy.get_params()["expert__sigma"] == "~ x"
    assert model.get_params()["expert__sigma"] == "~ z"


def test_pickle(fitted, data):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(data), fitted.predict(data))
    pd.testing.assert_frame_equal(again.tidy(), fitted.tidy())
    with pytest.raises(ms.DataError, match="refit"):
        again.covariance("robust")


def test_html_escapes():
    shown = ms.MixtureOfExperts(ms.Regression("y ~ `<script>`"))._repr_html_()
    assert "<script>`" not in shown


@pytest.mark.parametrize("pass_response", [True, False])
def test_grid_search_over_experts(data, pass_response):
    search = GridSearchCV(mixture(gate="~ z"), {"n_experts": np.arange(1, 3)}, cv=2)
    search.fit(data, data["y"] if pass_response else None)
    assert search.best_params_["n_experts"] == 2


def test_grid_search_over_formulas(data):
    search = GridSearchCV(regression("y ~ x"), {"formula": ["y ~ 1", "y ~ x + z"]}, cv=2).fit(data)
    assert search.best_params_["formula"] == "y ~ x + z"
    grid = {"expert__formula": ["y ~ 1", "y ~ x"], "gate": ["~ z"]}
    assert GridSearchCV(mixture(), grid, cv=2).fit(data).best_params_["expert__formula"] == "y ~ x"


def test_grouped_folds(data):
    scores = cross_val_score(regression("y ~ x"), data, groups=data["u"], cv=GroupKFold(3))
    assert np.isfinite(scores).all()


def test_pipeline_of_named_columns(data):
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), regression("y ~ x"))
    pipeline.fit(data[["x"]], data["y"])
    plain = regression("y ~ x").fit(data)
    np.testing.assert_allclose(pipeline.predict(data[["x"]]), plain.predict(data))
    with pytest.raises(ms.DataError, match="set_output"):
        make_pipeline(StandardScaler(), regression("y ~ x")).fit(data[["x"]], data["y"])


def test_metadata_routing(data):
    weight = np.where(data.x > 0, 2.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = regression("y ~ x").set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"formula": ["y ~ x"]}, cv=2).fit(data, sample_weight=weight)
    direct = regression("y ~ x").fit(data, sample_weight=weight)
    assert search.best_estimator_.log_likelihood_ == pytest.approx(direct.log_likelihood_)


def test_classifier_with_labels(data):
    X, labels = data[["x", "z"]].to_numpy(), np.where(data.x + data.z > 0.3 * data.n - 0.5, "high", "low")
    model = ms.Regression(family="categorical", verbose=0).fit(X, labels)
    assert list(model.classes_) == ["high", "low"]
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    assert model.score(X, labels) == np.mean(model.predict(X) == labels)


def test_several_responses_as_arrays(data):
    X, Y = data[["x", "z"]].to_numpy(), np.column_stack([data.y, data.y + data.n])
    assert ms.Regression(family="multivariate_gaussian", verbose=0).fit(X, Y).predict(X).shape == Y.shape


def test_names_of_array_columns(data):
    model = ms.Regression(verbose=0).fit(data[["x", "z"]].to_numpy(), data["y"])
    assert list(model.tidy()["term"]) == ["Intercept", "x0", "x1", "Intercept"]
    named = ms.Regression(verbose=0).fit(data[["x", "z"]], data["y"])
    assert list(named.feature_names_in_) == ["x", "z"]
    assert named.score(data[["x", "z"]], data["y"]) == pytest.approx(named.log_likelihood_ / 120)
