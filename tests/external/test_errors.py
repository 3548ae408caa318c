"""Input that cannot be analysed is refused with a message that says what to do."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import mixstat as ms
from mixstat.inference.classification import bch_shares
from tests.external.cases import fitted, latent_class, sample, separated


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "one_step"}, "method must be one of 'two_stage', 'three_step'"),
        ({"method": "three_step", "correction": "bch"}, "correction must be one of"),
        ({"method": "three_step", "assignment": "soft"}, "assignment must be one of 'modal', 'proportional'"),
        ({"correction": "BCH"}, "belong to method='three_step'"),
        ({"standard_errors": "naive"}, "standard_errors must be one of"),
        ({"standard_errors": "cluster"}, "needs cluster="),
    ],
)
def test_options_of_membership(options, words):
    with pytest.raises(ValueError, match=words):
        fitted().membership(sample(), "~ z", **options)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("~ absent", "no column 'absent'"),
        ("z ~ d", "one-sided"),
        ("~ .", "would include the responses"),
        ("~ offset(z)", "offset"),
        ("~ z + twice", "covariate 'twice' is constant or a linear combination"),
        (3, "is a text"),
    ],
)
def test_formulas_of_membership(formula, words):
    with pytest.raises(ValueError, match=words):
        fitted().membership(sample().assign(twice=2 * sample()["z"] + 1), formula)


@pytest.mark.parametrize(
    ("outcome", "options", "words"),
    [
        ("absent", {}, "no column 'absent'"),
        ("d", {"method": "bch"}, "method must be one of"),
        ("d", {"method": "modal", "assignment": "modal"}, "assignment= belongs to"),
        ("d", {"categorical": True}, "takes 600 values"),
        ("g", {"categorical": False}, "holds categories"),
        ("one", {}, "takes one value only"),
        ("cbind(d, z)", {}, "one column of numbers or categories"),
        ("none", {}, "600 of 600 rows have missing values"),
    ],
)
def test_outcomes(outcome, options, words):
    with pytest.raises(ValueError, match=words):
        fitted().distal(sample().assign(one=1.0, none=np.nan), outcome, **options)


def test_tables_of_other_units():
    with pytest.raises(ms.DataError, match="the table has 10 rows; give the rows of the fit in their order, 600 rows"):
        fitted().membership(sample().head(10), "~ z")
    people = pd.DataFrame({"id": np.arange(60).repeat(2), "y": np.tile([0.0, 1.0, 5.0], 40)})
    people["y"] += np.linspace(0, 1, 120)
    model = ms.Regression("y ~ 1", unit="id", verbose=0).fit(people)
    with pytest.raises(ms.DataError, match="no value of the unit column 'id'"):
        model.distal(people.assign(id=people["id"] + 100, d=people["y"]), "d")
    with pytest.raises(ms.DataError, match="no column 'id'"):
        model.distal(people[["y"]], "y")
    with pytest.raises(ms.DataError, match="outcome 'y' varies inside unit 0"):
        model.distal(people, "y")


def test_one_class_has_no_membership():
    with pytest.raises(ms.DataError, match="one class"):
        ms.Regression("d ~ z", verbose=0).fit(sample()).membership(sample(), "~ z")


def test_unfitted():
    with pytest.raises(AttributeError, match="not fitted"):
        latent_class().membership(sample(), "~ z")


@pytest.fixture(scope="module")
def crowded() -> tuple[ms.MixtureOfExperts, pd.DataFrame]:
    """Two classes of which the small one is modal for no unit."""
    table = pd.DataFrame({"y": 0.05 + norm.ppf((np.arange(400) + 0.5) / 400), "d": np.arange(400) % 7})
    experts = [ms.Regression("y ~ 1", fixed={"Intercept": mean, "sigma": 1.0}) for mean in (0.0, 0.3)]
    return ms.MixtureOfExperts(experts, n_init=1, random_state=0, verbose=0).fit(table), table


def test_a_class_without_modal_members(crowded):
    model, table = crowded
    assert (model.classify() == 1).all()
    for analysis in (
        lambda: model.membership(table, "~ d", method="three_step"),
        lambda: model.membership(table, "~ d", method="three_step", correction="BCH"),
        lambda: model.distal(table, "d"),
        lambda: model.distal(table, "d", method="modal"),
    ):
        with pytest.raises(ms.DataError, match="no unit has class 2 as its most probable one"):
            analysis()
    assert model.distal(table, "d", method="proportional").estimates.shape == (2, 1)


def test_classes_that_are_not_told_apart():
    with pytest.raises(ms.DataError, match="classification errors cannot be inverted"):
        bch_shares(np.full((4, 2), 0.5), np.full((2, 2), 0.5))


def test_covariates_that_separate_warn():
    model, table = separated()
    with pytest.warns(ms.ConvergenceWarning, match="some covariates separate the classes"):
        model.membership(table.assign(group=(table["k"] == 2) * 1.0), "~ group")


def test_a_variance_that_collapses():
    model, table = separated()
    flat = table.assign(d=table["d"].where(table["k"] != 1, 7.5))
    with pytest.raises(ms.DataError, match="variance in class 1 collapses"):
        model.distal(flat, "d", method="ML")
    assert model.distal(flat, "d").estimates[0, 0] == pytest.approx(7.5)


def test_a_loaded_model_says_what_it_lacks(tmp_path):
    fitted().save(tmp_path / "model.mix")
    loaded = ms.load(tmp_path / "model.mix")
    for call in (lambda: loaded.membership(sample(), "~ z"), lambda: loaded.distal(sample(), "z")):
        with pytest.raises(ms.DataError, match="need the training data, which a saved model does not hold"):
            call()
