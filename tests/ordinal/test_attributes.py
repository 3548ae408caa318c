"""What a fit reports: objective, certificate, standardised coefficients, and tables of either sign."""

import numpy as np
import pytest

import mixstat as ms
from tests.ordinal.example import FORMULA, reference, table


def fitted(formula=FORMULA, **options):
    return ms.OrdinalRegression(formula, verbose=0, **options).fit(table())


@pytest.mark.parametrize(("ratio", "key"), [(1.0, "rho_1"), (0.5, "rho_0p5")])
def test_standardised_coefficients_are_the_reference(ratio, key):
    known = reference()["presto"][key][2]
    model = fitted(slopes="shrunken", penalty=known["lam"], l1_ratio=ratio)
    assert model.objective_ == pytest.approx(known["objective"], abs=1e-10)
    assert model.psi_standardized_.shape == (3, 10)
    np.testing.assert_allclose(model.psi_standardized_.T, known["psi_std"], atol=1e-6)
    np.testing.assert_allclose(model.intercept_standardized_, known["intercepts_std"], atol=1e-6)
    assert model.n_parameters_ == 3 + known["nnz_psi"]
    assert model.kkt_residual_ < 1e-8
    assert 0 <= model.duality_gap_ < 1e-8 if ratio == 1 else np.isnan(model.duality_gap_)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"slopes": "separate", "crossing": "rearrange"},
        {"separate": "x4"},
        {"slopes": "common_and_separate", "penalty": 0.005},
        {"kind": "stopping", "slopes": "separate"},
    ],
)
def test_the_objective_follows_from_the_standardised_coefficients(options):
    model, x = fitted(**options), table()
    x = x[model.terms_standardized_].to_numpy()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    below = 1 / (1 + np.exp(-(model.intercept_standardized_ + z @ np.cumsum(model.psi_standardized_, axis=0).T)))
    if options.get("kind") == "stopping":
        below = 1 - np.cumprod(1 - below, axis=1)
    chances = np.diff(np.column_stack([np.zeros(len(z)), below, np.ones(len(z))]), axis=1)
    loss = -np.log(chances[np.arange(len(z)), table()["y"] - 1]).mean()
    assert loss == pytest.approx(-model.log_likelihood_ / 1000, abs=1e-10)
    assert model.kkt_residual_ < 1e-8
    assert (model.objective_ > loss + 1e-4) if "penalty" in options else model.objective_ == pytest.approx(loss)


def test_tables_say_their_sign_and_show_the_other():
    model = fitted("y ~ x1 + x4", separate="x4")
    table_, turned = model.tidy(), model.tidy(sign="plus")
    slopes = table_["term"] != "Intercept"
    np.testing.assert_array_equal(turned.loc[slopes, "estimate"], -table_.loc[slopes, "estimate"])
    np.testing.assert_array_equal(turned.loc[slopes, "conf_low"], -table_.loc[slopes, "conf_high"])
    np.testing.assert_array_equal(turned.loc[~slopes, "estimate"], table_.loc[~slopes, "estimate"])
    np.testing.assert_array_equal(turned["p_value"], table_["p_value"])
    assert "cut_k - x'b" in str(model.summary())
    assert "positive slope makes high categories likelier" in str(model.summary())
    assert "cut_k + x'b" in str(model.summary(sign="plus"))
    assert "not convex" in str(fitted("y ~ x1", link="cauchit").summary())
    with pytest.raises(ms.OptionError, match="sign"):
        model.tidy(sign="both")


def test_files_keep_the_certificate(tmp_path):
    model = ms.OrdinalRegressionCV("y ~ x1 + x4", n_penalties=4, cv=2, verbose=0).fit(table())
    model.save(tmp_path / "model")
    again = ms.load(tmp_path / "model")
    assert again.penalty == model.penalty_
    assert (again.objective_, again.kkt_residual_) == (model.objective_, model.kkt_residual_)
    np.testing.assert_array_equal(again.psi_standardized_, model.psi_standardized_)
    np.testing.assert_allclose(again.intercept_standardized_, model.intercept_standardized_, atol=1e-12)
    np.testing.assert_array_equal(again.predict_proba(table()), model.predict_proba(table()))
    assert again.tidy()["std_error"].isna().all()
    assert model.path_.table["crossed"].iloc[0] == 0
