"""The lasso path of a gate: its largest penalty by hand, optimality, degrees of freedom, its end."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from tests.inference.conftest import make_frame, make_mixture


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    frame = make_frame(300)
    return frame.assign(v=3 + 5 * np.random.default_rng(1).normal(size=300))


@pytest.fixture(scope="module")
def model() -> ms.MixtureOfExperts:
    return make_mixture(gate="~ z + u + v")


@pytest.fixture(scope="module")
def path(data, model):
    return ms.penalty_path(model, data, n_penalties=8, smallest=1e-3)


def test_the_largest_penalty_by_hand(data, path):
    """With a constant gate the score of a slope is sum_i (r_i - pi) z_i."""
    constant = make_mixture(gate=None).fit(data)
    second = constant.responsibilities(data)[:, 1]
    columns = data[["z", "u", "v"]].to_numpy()
    standard = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    score = standard.T @ (second - second.mean()) / len(data)
    assert path.table.penalty[0] == pytest.approx(np.abs(score).max(), rel=1e-5)
    assert path.table.nonzero[0] == 0
    assert path.table.log_likelihood[0] == pytest.approx(constant.log_likelihood_, abs=1e-6)


def test_slopes_leave_zero_at_the_largest_penalty(data, path, model):
    above, below = (
        clone(model).set_params(gate_penalty=path.table.penalty[0] * factor, l1_ratio=1.0).fit(data)
        for factor in (1.001, 0.99)
    )
    slopes = [f"2:gate:{term}" for term in "zuv"]
    places = [above.coefficient_names_.index(name) for name in slopes]
    assert (above.fitted_.theta[places] == 0).all()
    assert (below.fitted_.theta[places] != 0).tolist() == [True, False, False]


def test_the_path_ends_near_the_unpenalised_fit(data, path, model):
    free = clone(model).fit(data)
    assert path.table.log_likelihood.is_monotonic_increasing
    assert path.table.log_likelihood.iloc[-1] == pytest.approx(free.log_likelihood_, abs=0.01)
    np.testing.assert_allclose(path.models[-1].fitted_.theta, free.fitted_.theta, atol=0.02)
    assert path.table.converged.all()
    np.testing.assert_allclose(path.table.penalty, path.table.penalty[0] * 1e-3 ** (np.arange(8) / 7))


def test_the_best_fit_and_its_criterion(data, path):
    table = path.table
    assert (table.n_parameters == 7 + table.nonzero).all()
    np.testing.assert_allclose(table.bic, -2 * table.log_likelihood + np.log(300) * table.n_parameters)
    best = path.best()
    assert best.gate_penalty == table.penalty[table.bic.idxmin()]
    assert path.terms() == ["z"]
    rows = path.coefficients[path.coefficients.penalty == best.gate_penalty].set_index("term")
    place = best.coefficient_names_.index("2:gate:z")
    assert rows.estimate["z"] == best.fitted_.theta[place]
    assert rows.standardized["v"] == pytest.approx(rows.estimate["v"] * data.v.std(ddof=0))


def test_an_elastic_net_starts_higher(data, model, path):
    net = ms.penalty_path(model, data, n_penalties=2, l1_ratio=0.5)
    assert net.table.penalty[0] == pytest.approx(2 * path.table.penalty[0], rel=1e-6)
    assert net.models[1].l1_ratio == 0.5
    assert net.table.nonzero[0] == 0 < net.table.nonzero[1]


def legend_of(ax) -> tuple:
    legend = ax.get_legend()
    return legend.get_texts(), legend.legend_handles


def test_the_plot_shows_every_slope(path):
    ax = path.plot()
    named = {text.get_text(): handle for text, handle in zip(*legend_of(ax), strict=True)}
    assert list(named) == ["z", "u", "v", "Smallest BIC"]
    part = path.coefficients[path.coefficients.term == "u"]
    (drawn,) = (line for line in ax.lines if line.get_color() == named["u"].get_color() and len(line.get_xdata()))
    np.testing.assert_allclose(drawn.get_xydata(), part[["penalty", "standardized"]])
    assert ax.get_xlim()[0] > ax.get_xlim()[1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"l1_ratio": 0.0}, OptionError, "a ridge alone"),
        ({"smallest": 0.0}, OptionError, "between 0 and 1"),
        ({"n_penalties": 1}, OptionError, "n_penalties must be"),
        ({"model": ms.Regression("y ~ x")}, OptionError, "MixtureOfExperts is needed"),
        ({"model": make_mixture(gate=None)}, DataError, "no covariates to penalise"),
    ],
)
def test_what_is_refused(data, model, options, error, message):
    given = {"model": model, **options}
    with pytest.raises(error, match=message):
        ms.penalty_path(given.pop("model"), data, **given)
