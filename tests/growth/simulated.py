"""Long tables of growth mixtures with known truth: class from g, factors, the exact curve of each unit, residuals.

Coefficients that vary between units enter the curve itself, not its linearisation. `paper_design` is the simulation
design of the public demonstration code of Liu and Perera, arXiv 2007.02432.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax

from tests.growth import brute_force as bf
from tests.growth.brute_force import Array, GrowthClass, MultivariateClass, Trajectory, Unit

GATE = np.array([[0.0, 0.0, 0.0], [0.2, 0.7, -0.5]])


class Scenario(NamedTuple):
    """What two classes of a curve are: (factors, coefficients) of each, random and residual deviations, wave times."""

    curve: bf.Curve
    classes: tuple[tuple[list[float], list[float]], ...]
    deviations: list[float]
    residual: float
    waves: Array
    coefficient_deviation: float = 0.0


SIX, EIGHT, TEN = np.arange(6.0), np.arange(8.0), np.arange(10.0)
BASIS = np.array([0.0, 1.0, 2.0, 4.0, 6.0])
SCENARIOS = {
    "linear": Scenario(bf.linear, (([12, -0.6], []), ([9, 1.0], [])), [1.2, 0.4], 0.8, SIX),
    "quadratic": Scenario(bf.quadratic, (([12, -2.0, 0.3], []), ([9, 1.5, -0.1], [])), [1.2, 0.5, 0.08], 0.6, EIGHT),
    "exponential": Scenario(
        bf.negative_exponential, (([10, 20], [0.5]), ([14, 32], [0.9])), [1.5, 2.5], 0.8, EIGHT, 0.06
    ),
    "jenss_bayley": Scenario(
        bf.jenss_bayley, (([10, 1.5, -12], [-0.6]), ([14, 3.0, -20], [-1.1])), [1.5, 0.4, 2.0], 0.6, TEN, 0.06
    ),
    "bilinear": Scenario(
        bf.bilinear, (([40, -5, -1.0], [3.4]), ([40, -4, -3.0], [5.6])), [2.0, 0.6, 0.6], 0.9, TEN, 0.3
    ),
    "trilinear": Scenario(
        bf.trilinear,
        (([20, 4, 1.0, -1], [2.6, 5.5]), ([22, 1, 4.0, 0.5], [3.4, 6.6])),
        [1.5, 0.5, 0.5, 0.5],
        0.7,
        TEN,
    ),
    "cumulated_rates": Scenario(
        bf.cumulated_rates(BASIS), (([10, 4], [0.6, 0.3, 0.1]), ([14, 6], [1.2, 0.8, 0.3])), [1.2, 0.7], 0.7, BASIS
    ),
    "latent_basis": Scenario(
        bf.latent_basis(BASIS), (([10, 8], [0.4, 0.7, 0.9]), ([14, 15], [0.1, 0.3, 0.7])), [1.2, 1.5], 0.7, BASIS
    ),
    "change_rates": Scenario(
        bf.change_rates, (([10, 4], [0.6, 0.3, 0.1]), ([14, 6], [1.2, 0.8, 0.3])), [1.2, 0.7], 0.7, BASIS
    ),
    "change_quadratic": Scenario(
        bf.change_quadratic, (([12, -2.0, 0.3], []), ([9, 1.5, -0.1], [])), [1.2, 0.5, 0.08], 0.6, EIGHT
    ),
    "change_exponential": Scenario(
        bf.change_exponential, (([10, 20], [0.5]), ([14, 32], [0.9])), [1.5, 2.5], 0.8, EIGHT, 0.06
    ),
    "change_jenss_bayley": Scenario(
        bf.change_jenss_bayley, (([10, 1.5, -12], [-0.6]), ([14, 3.0, -20], [-1.1])), [1.5, 0.4, 2.0], 0.6, TEN, 0.06
    ),
}
RESIDUALS = ("iid", "occasion", "log_linear", "autoregressive", "brownian")


def random_covariance(deviations: Sequence[float], correlation: float = 0.3) -> Array:
    """Equal correlations."""
    scale = np.asarray(deviations, float)
    return np.outer(scale, scale) * (correlation + (1 - correlation) * np.eye(len(scale)))


def residual_of(name: str, sigma: float, waves: int) -> bf.Residual:
    """A residual structure of about the size sigma: processes have the deviation 1.5 sigma beside iid noise sigma."""
    structures = {
        "iid": lambda: bf.iid(sigma**2),
        "occasion": lambda: bf.by_occasion((sigma * np.linspace(0.7, 1.4, waves)) ** 2),
        "log_linear": lambda: bf.log_linear([np.log(sigma), 0.4]),
        "autoregressive": lambda: bf.total(bf.autoregressive(0.7, 1.5 * sigma), bf.iid(sigma**2)),
        "brownian": lambda: bf.total(bf.brownian(1.5 * sigma), bf.iid(sigma**2)),
    }
    return structures[name]()


def classes_of(
    curve: str,
    residual: str = "iid",
    *,
    n_classes: int = 2,
    random_coefficient: bool = False,
    between: str | None = None,
    kappa: float = 0.0,
    factor: float = 1.0,
) -> tuple[GrowthClass, ...]:
    """The true classes of a scenario.

    `between` "fixed" or "joint": x moves every factor by half its random deviation; joint has x ~ N(-.5, 1) in class 1,
    N(.5, 1) in class 2. `kappa`: effect of v. `factor`: the random covariance of class 1 is factor^2 that of class 2.
    """
    scenario = SCENARIOS[curve]
    if random_coefficient and not scenario.coefficient_deviation:
        raise ValueError(f"{curve} has no coefficient that varies between units")
    deviations = [*scenario.deviations, scenario.coefficient_deviation] if random_coefficient else scenario.deviations
    psi = random_covariance(deviations)

    def one(k: int) -> GrowthClass:
        alpha, coefficients = scenario.classes[k]
        joint = {"mean_x": np.array([k - 0.5]), "covariance_x": np.eye(1)} if between == "joint" else {}
        return GrowthClass(
            Trajectory(scenario.curve, alpha, coefficients, (0,) if random_coefficient else ()),
            psi=bf.proportional(psi, factor if k == 0 else 1.0),
            residual=residual_of(residual, scenario.residual, len(scenario.waves)),
            beta=0.5 * np.array(deviations)[:, None] if between else None,
            kappa=kappa,
            **joint,
        )

    return tuple(one(k) for k in range(n_classes))


def draw_times(rng: np.random.Generator, waves: Array, jitter: float) -> Array:
    """Wave times, the first and last exact, the others moved by a uniform draw of width 2 jitter."""
    times = waves + rng.uniform(-jitter, jitter, len(waves))
    times[[0, -1]] = waves[[0, -1]]
    return times


def moved(trajectory: Trajectory, deviation: Array) -> Trajectory:
    """The trajectory of a unit: class values plus its deviations."""
    q = len(trajectory.alpha)
    coefficients = np.array(trajectory.coefficients, float)
    coefficients[list(trajectory.random)] += deviation[q:]
    return trajectory._replace(alpha=np.asarray(trajectory.alpha) + deviation[:q], coefficients=coefficients)


def draw_unit(rng: np.random.Generator, parameters: GrowthClass, times: Array, g: Array) -> Unit:
    """All waves of one unit of a class."""
    m = 1 if parameters.beta is None else parameters.beta.shape[1]
    joint = parameters.mean_x is not None
    x = rng.multivariate_normal(parameters.mean_x, parameters.covariance_x) if joint else rng.normal(size=m)
    rows = len(times)
    v, z = rng.normal(size=rows), np.column_stack([np.ones(rows), rng.normal(size=rows)])
    deviation = rng.multivariate_normal(np.zeros(len(parameters.psi)), parameters.psi)
    if parameters.beta is not None:
        deviation = deviation + parameters.beta @ x
    unit = Unit(np.zeros(rows), times, x, g, z, v, np.arange(rows))
    noise = rng.multivariate_normal(np.zeros(rows), parameters.residual(unit))
    own = moved(parameters.trajectory, deviation)
    return unit._replace(y=bf.mean_curve(own, times) + parameters.kappa * v + noise)


def long_table(units: Sequence[Unit], labels: Array) -> pd.DataFrame:
    """One row an occasion: unit, class, wave, time, y (y1, y2, ...), g1.., x1.., z, v."""

    def rows(number: int, unit: Unit) -> dict[str, Any]:
        outcomes = {"y": unit.y} if unit.y.ndim == 1 else {f"y{k + 1}": column for k, column in enumerate(unit.y.T)}
        constant = {f"g{k + 1}": value for k, value in enumerate(unit.g)}
        constant |= {f"x{k + 1}": value for k, value in enumerate(unit.x)}
        varying = {} if unit.z is None else {"z": unit.z[:, 1], "v": unit.v}
        head = {"unit": number + 1, "class": labels[number] + 1, "wave": unit.waves, "time": unit.times}
        return {**head, **outcomes, **constant, **varying}

    return pd.concat([pd.DataFrame(rows(number, unit)) for number, unit in enumerate(units)], ignore_index=True)


def thin(rng: np.random.Generator, table: pd.DataFrame, *, dropout: float, missing: float) -> pd.DataFrame:
    """Units leave with probability `dropout` at each wave from the fourth on; then y is missing, not on first rows."""
    waves = table["wave"].to_numpy()
    leaves = (rng.random(len(table)) < dropout) & (waves >= 3)
    kept = table[~pd.Series(leaves, index=table.index).groupby(table["unit"]).cummax()].reset_index(drop=True)
    outcomes = [name for name in kept if name == "y" or (name.startswith("y") and name[1:].isdigit())]
    gaps = (rng.random((len(kept), len(outcomes))) < missing) & (kept["wave"].to_numpy() > 0)[:, None]
    return kept.assign(**{name: kept[name].mask(gaps[:, k]) for k, name in enumerate(outcomes)})


def draw_labels(rng: np.random.Generator, g: Array, gate: Array) -> Array:
    """Classes from softmax of (1, g) gate'."""
    shares = softmax(np.column_stack([np.ones(len(g)), g]) @ gate.T, axis=1)
    return (rng.random((len(g), 1)) > np.cumsum(shares, axis=1)[:, :-1]).sum(axis=1)


def draw(
    rng: np.random.Generator,
    *,
    n: int,
    classes: Sequence[GrowthClass],
    gate: Array,
    waves: Array,
    jitter: float = 0.2,
    dropout: float = 0.05,
    missing: float = 0.05,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table of units from any classes; truth: `classes`, `gate` (class, 3) and `labels` (0-based, by unit)."""
    g = rng.normal(size=(n, np.shape(gate)[1] - 1))
    labels = draw_labels(rng, g, np.asarray(gate))
    units = [draw_unit(rng, classes[k], draw_times(rng, waves, jitter), row) for k, row in zip(labels, g, strict=True)]
    table = thin(rng, long_table(units, labels), dropout=dropout, missing=missing)
    return table, {"classes": tuple(classes), "gate": np.asarray(gate), "labels": labels}


def simulate(
    rng: np.random.Generator,
    *,
    n: int,
    curve: str,
    residual: str = "iid",
    n_classes: int = 2,
    jitter: float | None = None,
    dropout: float = 0.05,
    missing: float = 0.05,
    **options: Any,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table of a curve of SCENARIOS with a residual structure of RESIDUALS, and its truth (see `draw`).

    Options go to `classes_of`. Curves over common times have no jitter by default. Columns: unit, class, wave, time, y,
    g1, g2 (gate), x1, z (log sigma), v.
    """
    common = curve in {"cumulated_rates", "latent_basis", "change_rates"}
    return draw(
        rng,
        n=n,
        classes=classes_of(curve, residual, n_classes=n_classes, **options),
        gate=GATE[:n_classes],
        waves=SCENARIOS[curve].waves,
        jitter=(0.0 if common else 0.2) if jitter is None else jitter,
        dropout=dropout,
        missing=missing,
    )


def simulate_two_outcomes(
    rng: np.random.Generator, *, n: int, n_classes: int = 2, dropout: float = 0.05, missing: float = 0.05
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """y1 linear, y2 bilinear: cross-outcome random covariances and a residual covariance at common waves."""
    psi, residual = random_covariance([1.2, 0.4, 1.0, 0.5, 0.5]), np.array([[0.6, 0.2], [0.2, 0.5]])
    pairs = [
        (Trajectory(bf.linear, [12, -0.6]), Trajectory(bf.bilinear, [20, 2, 0.5], [2.6])),
        (Trajectory(bf.linear, [9, 1.0]), Trajectory(bf.bilinear, [22, -1, 1.0], [4.4])),
    ]
    classes = tuple(MultivariateClass(pair, psi, residual) for pair in pairs[:n_classes])
    g = rng.normal(size=(n, 2))
    labels = draw_labels(rng, g, GATE[:n_classes])

    def one(parameters: MultivariateClass, row: Array) -> Unit:
        unit = Unit(np.zeros((8, 2)), draw_times(rng, EIGHT, 0.2), g=row, waves=np.arange(8))
        _, mean, covariance = bf.multivariate_moments(unit, parameters)
        return unit._replace(y=rng.multivariate_normal(mean, covariance).reshape(2, 8).T)

    table = long_table([one(classes[k], row) for k, row in zip(labels, g, strict=True)], labels)
    truth = {"classes": classes, "gate": GATE[:n_classes], "labels": labels}
    return thin(rng, table, dropout=dropout, missing=missing), truth


def paper_design(rng: np.random.Generator, n: int = 500) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Two bilinear classes, ten waves, two gate and two joint growth covariates, each pair N(0, 1) with correlation .3.

    The total covariance of the factors is the same in both classes; x explains 13% of the variances in class 1, 26% in
    class 2. That the gate covariates correlate is an assumption.
    """
    total = np.array([[25, 1.5, 1.5], [1.5, 1, 0.3], [1.5, 0.3, 1]])
    phi = np.array([[1, 0.3], [0.3, 1]])
    effects = np.array([[1.251505, 1.877258], [0.250301, 0.3754515], [0.250301, 0.3754515]])

    def one(slope: float, knot: float, beta: Array) -> GrowthClass:
        trajectory = Trajectory(bf.bilinear, [100, -5, slope], [knot])
        return GrowthClass(trajectory, total - beta @ phi @ beta.T, bf.iid(1.0), beta, np.zeros(2), phi)

    classes = (one(-2.6, 3.5, effects / np.sqrt(2)), one(-3.4, 5.5, effects))
    gate = np.array([[0, 0, 0], [0, np.log(1.5), np.log(1.7)]])
    g = rng.multivariate_normal(np.zeros(2), phi, size=n)
    labels = draw_labels(rng, g, gate)
    units = [draw_unit(rng, classes[k], draw_times(rng, TEN, 0.25), row) for k, row in zip(labels, g, strict=True)]
    table = long_table(units, labels).drop(columns=["z", "v"])
    return table, {"classes": classes, "gate": gate, "labels": labels, "total_covariance": total}
