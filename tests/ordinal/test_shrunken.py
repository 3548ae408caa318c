"""Shrunken slopes: the fused path against reference solutions, its certificates, crossing, and cross-validation."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from tests.ordinal.example import FORMULA, reference, table


def shrunken(penalty, data=None, formula=FORMULA, **options):
    return ms.OrdinalRegression(formula, slopes="shrunken", penalty=penalty, verbose=0, **options).fit(
        table() if data is None else data
    )


def standardised(model, data):
    """psi (column, part) on the standardised scale, in the sign of P(y <= k)."""
    known = {
        (label.parameter, label.term): value for label, value in zip(labels(model), model.fitted_.theta, strict=True)
    }
    names = [f"x{number}" for number in range(1, 11)]
    psi = np.array([[-known[f"difference_{k}", name] for k in (1, 2, 3)] for name in names])
    return psi * data[names].to_numpy().std(axis=0)[:, None]


def labels(model):
    named = model.fitted_.assembled.named
    return [named.labels[place] for place in named.ties.representative]


@pytest.mark.parametrize(("ratio", "key"), [(1.0, "rho_1"), (0.5, "rho_0p5")])
def test_equals_the_reference_at_all_penalties(ratio, key):
    for known in reference()["presto"][key]:
        model = shrunken(known["lam"], l1_ratio=ratio)
        objective, kkt, gap = model.fitted_.solution.certificate
        assert objective == pytest.approx(known["objective"], abs=1e-10)
        psi = standardised(model, table())
        np.testing.assert_allclose(psi, known["psi_std"], atol=1e-6)
        assert (psi != 0).sum() == known["nnz_psi"]
        assert kkt < 1e-8
        assert gap < 1e-8 if ratio == 1 else np.isnan(gap)


def test_predictions_reproduce_the_log_likelihood():
    data = table().assign(x4=lambda d: 50 - 3 * d["x4"])
    model = shrunken(0.01, data)
    own = model.predict_proba(data)[np.arange(len(data)), data["y"] - 1]
    assert np.log(own).sum() == pytest.approx(model.log_likelihood_, abs=1e-8)
    assert model.log_likelihood_ == pytest.approx(shrunken(0.01).log_likelihood_, abs=1e-6)


def test_a_large_penalty_beside_a_free_first_vector_is_proportional_odds():
    model = shrunken(5.0, penalize_first=False)
    assert model.log_likelihood_ == pytest.approx(-861.750709715, abs=1e-7)


def test_large_factors_on_differences_are_the_parallel_lasso():
    known = {0.02: -868.292135, 0.005: -862.217272}
    for penalty, value in known.items():
        model = shrunken(penalty, penalty_factors={"difference_2": 1e4, "difference_3": 1e4})
        assert model.log_likelihood_ == pytest.approx(value, abs=1e-5)


def test_more_columns_than_rows_and_copies_of_columns():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(120, 200))
    y = np.digitize(x[:, 0] + x[:, 1] + rng.logistic(size=120), [0, 2])
    x = np.column_stack([x, x[:, 0], np.ones(120)])
    with pytest.warns(ms.CollinearityWarning, match="x201"):
        model = ms.OrdinalRegression(slopes="shrunken", penalty=0.05, verbose=0).fit(x, y)
    _, kkt, gap = model.fitted_.solution.certificate
    assert kkt < 1e-8
    assert gap < 1e-8
    assert model.converged_


def test_tables_have_no_naive_standard_errors():
    model = shrunken(0.02)
    assert model.tidy()["std_error"].isna().all()
    assert (model.tidy()["estimate"] != 0).all()
    assert "naive" in str(model.summary())


def test_cross_validation_walks_the_path_on_every_part():
    options = {"n_penalties": 8, "smallest": 0.03, "cv": 3, "verbose": 0}
    model = ms.OrdinalRegressionCV(FORMULA, **options).fit(table())
    assert model.losses_.shape == (8, 3)
    assert model.path_.table["kkt_residual"].max() < 1e-8
    assert model.path_.table["duality_gap"].max() < 1e-8
    assert model.path_.table["nonzero"].iloc[0] == 0
    alone = shrunken(model.penalty_)
    assert alone.log_likelihood_ == pytest.approx(model.log_likelihood_, abs=1e-7)
    wider = ms.OrdinalRegressionCV(FORMULA, rule="one_se", **options).fit(table())
    assert wider.penalty_ >= model.penalty_
    model.path_.plot()
    model.path_.plot_loss()


def test_a_held_out_loss_is_that_of_a_fit_to_the_others():
    data = table()
    folds = [(np.arange(0, 700), np.arange(700, 1000)), (np.arange(300, 1000), np.arange(0, 300))]

    class One:
        def split(self, *_):
            return folds

    model = ms.OrdinalRegressionCV("y ~ x1 + x4", penalties=[0.05, 0.01], cv=One(), verbose=0).fit(data)
    for place, penalty in enumerate(model.penalties_):
        part = shrunken(penalty, data.iloc[:700], "y ~ x1 + x4")
        rest = data.iloc[700:]
        own = part.predict_proba(rest)[np.arange(300), rest["y"] - 1]
        assert model.losses_[place, 0] == pytest.approx(-np.log(own).mean(), abs=1e-9)


def test_folds_that_would_lack_a_category_are_refused():
    data = table()
    few = pd.concat([data.query("y < 4"), data.query("y == 4").head(3)])
    with pytest.raises(ms.DataError, match="3 rows, fewer than the 5 folds"):
        ms.OrdinalRegressionCV("y ~ x1", verbose=0).fit(few)
