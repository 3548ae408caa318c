"""The lasso path of gate and growth factors: optimality by brute force, units, what it finds, its end."""

import numpy as np
import pandas as pd
import pytest

import mixstat as ms
from mixstat.exceptions import DataError, OptionError
from tests.growth import brute_force as bf

BETWEEN, GATE = ["x", "u"], ["z", "u"]


def model(time: str = "t", **options) -> ms.MixtureOfExperts:
    curve = ms.GrowthCurve(f"y ~ linear({time})", unit="id", between=f"~ {' + '.join(BETWEEN)}", random="intercept")
    return ms.MixtureOfExperts(curve, gate=f"~ {' + '.join(GATE)}", n_init=2, random_state=1, verbose=0, **options)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Two classes of lines by z; x raises the level, and in the second class the slope; u does nothing."""
    rng = np.random.default_rng(6)
    each = pd.DataFrame(rng.normal(size=(120, 3)), columns=["x", "u", "z"]).assign(id=range(120))
    second = rng.random(120) < 1 / (1 + np.exp(-1.2 * each.z))
    level = 5 + 0.9 * each.x + 0.7 * rng.normal(size=120)
    slope = np.where(second, 2 + 0.4 * each.x, 0.5)
    table = each.loc[each.index.repeat(5)].reset_index(drop=True)
    table["t"] = np.tile(np.arange(5.0), 120) + rng.uniform(0, 0.3, 600)
    table["y"] = level[table.id].to_numpy() + slope[table.id] * table.t + 0.6 * rng.normal(size=600)
    return table.assign(days=365 * table.t, other=table.y + 1)


@pytest.fixture(scope="module")
def path(rows):
    return ms.penalty_path(model(), rows, where=("gate", "within"), n_penalties=5, smallest=0.02)


def log_likelihood(values: dict[str, float], rows: pd.DataFrame) -> float:
    units = [
        bf.Unit(
            own["y"].to_numpy(float),
            own["t"].to_numpy(float),
            x=own[BETWEEN].iloc[0].to_numpy(float),
            g=own[GATE].iloc[0].to_numpy(float),
        )
        for _, own in rows.groupby("id", sort=False)
    ]

    def one(k: int) -> bf.GrowthClass:
        table = np.array([[values[f"{k}:{f}:{t}"] for t in ("Intercept", *BETWEEN)] for f in ("intercept", "slope")])
        psi = np.diag([values[f"{k}:random_covariance:intercept"], 0.0])
        residual = bf.iid(values[f"{k}:residual_variance:Intercept"])
        return bf.GrowthClass(bf.Trajectory(bf.linear, table[:, 0]), psi, residual, beta=table[:, 1:])

    gate = np.array([[0.0] * 3, [values[f"2:gate:{t}"] for t in ("Intercept", *GATE)]])
    return bf.mixture_log_likelihood(units, [one(1), one(2)], gate)


def test_slopes_are_optimal(rows, path):
    """The score of a standardised slope is W x penalty x weight where it is not 0, and below where it is."""
    children = rows.groupby("id").first()
    spread = children.std(ddof=0)
    weight = path.weights.set_index("parameter")["weight"]
    fit, penalty = path.models[2], path.table["penalty"][2]
    values = dict(zip(fit.coefficient_names_, fit.fitted_.theta, strict=True))
    assert log_likelihood(values, rows) == pytest.approx(fit.log_likelihood_, abs=1e-6)
    slopes = path.coefficients[path.coefficients["penalty"] == penalty]
    assert 2 < (slopes["estimate"] != 0).sum() < len(slopes) == 10
    for row in slopes.itertuples():
        name, step = f"{row.expert}:{row.parameter}:{row.term}", 1e-4 / spread[row.term]
        ends = [log_likelihood(values | {name: values[name] + change}, rows) for change in (-step, step)]
        score = (ends[1] - ends[0]) / (2 * 1e-4)
        bound = len(children) * penalty * weight[row.parameter]
        assert row.standardized == pytest.approx(row.estimate * spread[row.term])
        if row.estimate:
            assert score == pytest.approx(np.sign(row.estimate) * bound, rel=1e-3)
        else:
            assert abs(score) < bound


def test_what_enters_first(path):
    """Nothing at the largest penalty; then what the data were made with: z in the gate, x within."""
    assert path.table["nonzero"].tolist() == sorted(path.table["nonzero"])
    assert path.table["nonzero"][0] == 0
    assert path.table["converged"].all()
    assert (path.terms(), path.terms("intercept"), path.terms("slope")[0]) == (["z"], ["x"], "x")
    last = path.coefficients[path.coefficients["penalty"] == path.table["penalty"].iloc[-1]]
    size = last.assign(size=last["standardized"].abs()).groupby(["parameter", "term"])["size"].max()
    for parameter, term in (("gate", "z"), ("intercept", "x"), ("slope", "x")):
        assert size[parameter, term] > 3 * size[parameter, "u"]
    assert path.weights["parameter"].tolist() == ["gate", "intercept", "slope"]
    assert path.weights["weight"][0] == 1.0


def test_units_of_time_do_not_matter(rows, path):
    days = ms.penalty_path(model("days"), rows, where=("within", "gate"), n_penalties=5, smallest=0.02)
    for column in ("penalty", "log_likelihood", "nonzero", "bic"):
        np.testing.assert_allclose(days.table[column], path.table[column], rtol=1e-5)
    ratio = days.weights["weight"] / path.weights["weight"]
    np.testing.assert_allclose(ratio, [1.0, 1.0, 365.0], rtol=1e-4)


def test_one_place_alone(rows, path):
    within = ms.penalty_path(model(), rows, where="within", n_penalties=2, smallest=0.001)
    assert set(within.coefficients["parameter"]) == {"intercept", "slope"}
    assert within.weights["weight"][0] == 1.0
    free = model().fit(rows)
    assert within.table["log_likelihood"][1] == pytest.approx(free.log_likelihood_, abs=0.05)
    assert within.models[1].gate_penalty == 0.0
    drawn = [sum(len(line.get_xdata()) == 5 for line in path.plot(name).lines) for name in ("slope", "gate", None)]
    assert drawn == [4, 2, 10]


def test_regressions_have_the_path_too():
    """Slopes of the location: those of the covariate that matters enter first."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(300, 3)), columns=["x", "u", "z"])
    second = rng.random(300) < 1 / (1 + np.exp(-data.z))
    data["y"] = np.where(second, 3 + data.x, -data.x) + rng.normal(size=300)
    mixture = ms.MixtureOfExperts(ms.Regression("y ~ x + u"), gate="~ z + u", n_init=4, random_state=0, verbose=0)
    path = ms.penalty_path(mixture, data, where=("gate", "within"), n_penalties=10)
    assert (path.terms(), path.terms("mean")) == (["z"], ["x"])
    assert path.best().expert.penalty == pytest.approx(
        path.table["penalty"][path.table["bic"].idxmin()] * path.weights["weight"][1]
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"where": "knot"}, OptionError, "where must be one of"),
        ({"where": ()}, OptionError, "names no place"),
        ({"between": None, "where": "within"}, DataError, "the experts have no covariates to penalise"),
        ({"between": None, "gate": None, "where": ("gate", "within")}, DataError, "the model has no covariates"),
    ],
)
def test_what_is_refused(rows, options, error, message):
    given = {"where": "within", "gate": "~ z", "between": "~ x", **options}
    curve = ms.GrowthCurve("y ~ linear(t)", unit="id", between=given["between"], random="intercept")
    with pytest.raises(error, match=message):
        ms.penalty_path(ms.MixtureOfExperts(curve, gate=given["gate"], n_init=1, verbose=0), rows, where=given["where"])


def test_penalties_of_a_curve_are_of_its_coefficients():
    for formula, penalty, message in (
        ("y ~ linear(t)", {"knot": 1.0}, "penalty= names 'knot'; expected some of: intercept, slope"),
        ("y ~ linear(t)", {"slope": -1.0}, r"penalty\['slope'\] must be a finite number"),
        ("y ~ t", 0.1, "needs a curve"),
        ("y ~ t", {"t": 0.1}, "none, without a curve"),
    ):
        with pytest.raises(OptionError, match=message):
            ms.GrowthCurve(formula, unit="id", penalty=penalty)._plan(None)


def test_several_growth_outcomes_have_none(rows):
    curves = [ms.GrowthCurve(f"{name} ~ linear(t)", unit="id", between="~ x") for name in ("y", "other")]
    with pytest.raises(OptionError, match="is not for ParallelCurves"):
        ms.penalty_path(ms.MixtureOfExperts(ms.Joint(curves), verbose=0), rows, where="within")
    penalised = [curves[0], curves[1].set_params(penalty=0.1)]
    with pytest.raises(OptionError, match="leave it out of those of Joint"):
        ms.MixtureOfExperts(ms.Joint(penalised), verbose=0).fit(rows)
