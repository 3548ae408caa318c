"""What shared= and fixed= may name, and how: terms and columns of the location, parameters, any spelling of them."""

import numpy as np
import pytest

import mixstat as ms
from tests.estimators.data import frame, mixture, regression

DATA = frame().rename(columns={"z": "a z"}).assign(w=np.random.default_rng(3).uniform(size=120))


def estimates(formula, **options):
    """Coefficients of two experts in a fit from one start, as a table (expert, parameter, term)."""
    model = mixture(regression(formula, **options), n_init=1).fit(DATA)
    return model.tidy().assign(expert=lambda t: t["expert"].fillna(0)).set_index(["expert", "parameter", "term"])


def shared_terms(formula, shared):
    table = estimates(formula, shared=shared)
    return {(parameter, term) for expert, parameter, term in table.index if expert == 0}


@pytest.mark.filterwarnings("ignore::mixstat.ConvergenceWarning")
@pytest.mark.parametrize(
    ("formula", "shared", "names"),
    [
        ("y ~ x + g", "g[T.b]", ["g[T.b]"]),
        ("y ~ x + g", "g[T.b] + x", ["g[T.b]", "x"]),
        ("y ~ x + g", ["g"], ["g[T.b]", "g[T.c]"]),
        ("y ~ x + g", "1", ["Intercept"]),
        ("y ~ x * w", "w:x", ["x:w"]),
        ("y ~ x * w", "x * w", ["x", "w", "x:w"]),
        ("y ~ poly(w, 2)", "poly(w,2)", ["poly(w, 2)[1]", "poly(w, 2)[2]"]),
        ("y ~ poly(w, 2)", "poly( w , 2 ) + x", None),
        ("y ~ x + `a z`", "`a z`", ["a z"]),
        ("y ~ x + `a z`", "a z", ["a z"]),
        ("y ~ x * `a z`", "`a z`:x", ["x:a z"]),
    ],
)
def test_terms_and_columns_in_any_spelling(formula, shared, names):
    if names is None:
        with pytest.raises(ms.FormulaError, match="shared= names 'x'; expected one of"):
            estimates(formula, shared=shared)
    else:
        assert shared_terms(formula, shared) == {("mean", name) for name in names}


@pytest.mark.parametrize("fixed", [{"w:x": 0.5}, {"x:w": 0.5}])
def test_fixed_terms_in_any_order(fixed):
    model = regression("y ~ x * w", fixed=fixed).fit(DATA)
    assert model.tidy()["term"].tolist() == ["Intercept", "x", "w", "Intercept"]
    other = regression("y ~ x + w + offset(0.5 * x * w)").fit(DATA)
    np.testing.assert_allclose(model.tidy()["estimate"], other.tidy()["estimate"], rtol=1e-9)


def test_one_term_has_one_value():
    with pytest.raises(ms.OptionError, match="fixed holds 'w:x' twice"):
        regression("y ~ x * w", fixed={"x:w": 0.5, "w:x": 0.5}).fit(DATA)


def test_a_parameter_with_a_formula_is_not_fixed_as_a_whole():
    with pytest.raises(ms.OptionError, match="'sigma', which has a formula of its own, '~ x'"):
        regression("y ~ x", sigma="~ x", fixed={"sigma": 1.0}).fit(DATA)
    assert regression("y ~ x", sigma="~ 1", fixed={"sigma": 1.0}).fit(DATA).n_parameters_ == 2
