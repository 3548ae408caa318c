"""scikit-learn's own checks of both ordinal estimators in array mode."""

import pytest
from sklearn.base import is_classifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import mixstat as ms


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([ms.OrdinalRegression(verbose=0)])
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        ms.OrdinalRegression(slopes="shrunken", penalty=0.1, verbose=0),
        ms.OrdinalRegressionCV(n_penalties=10, verbose=0),
    ]
)
def test_checks_of_penalised_fits(estimator, check):
    check(estimator)


def test_both_are_classifiers():
    assert is_classifier(ms.OrdinalRegression())
    assert is_classifier(ms.OrdinalRegressionCV())
    assert ms.OrdinalRegressionCV().__sklearn_tags__().classifier_tags.poor_score
