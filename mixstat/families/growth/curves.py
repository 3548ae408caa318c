"""Growth curves: the mean of a subject at time t as one function of time and coefficients.

Coefficients are growth factors, which enter linearly (intercept, slopes), and then nonlinear ones (knots, rates). What
a random coefficient adds to the mean is the curve's derivative by it: exact for growth factors, a first-order expansion
for the others (Preacher and Hancock, 2015, Psychological Methods 20; Liu and Perera, 2022, Psychological Methods).

Where a knot g is random, |t - g| is s = sqrt((t - g)^2 + c): the derivative by the knot would otherwise be a step, and
the likelihood would jump where the knot of a class passes an observed time. Estimates of knots then converge at the
rate n^(1/3) alone (Kim and Pollard, 1990, Annals of Statistics 18), without standard errors from derivatives. The mean
over knots of variance v is about as smooth as s with c = v / 2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.exceptions import OptionError
from mixstat.families.growth import change_scores

Array = Any
Function = Callable[..., Array]
Candidates = change_scores.Candidates


@dataclass(frozen=True)
class Curve:
    """One curve, hashed by value.

    `function(t, *coefficients)` is the mean; t is (occasion, subject), each coefficient (subject,). `candidates(times)`
    gives rough values of the nonlinear coefficients to start from, (candidate, nonlinear), given all observed times.
    `broken`: the curve is not smooth in its nonlinear coefficients (knots of lines). `smoothed`: it is a broken line
    made smooth, whose function takes a smoothing constant after the coefficients, (occasion, subject). `times`: the
    common times that the curve is made of, if any, or the average ones of `waves`. `own`: a user wrote it, so that it
    is checked where it meets data. `family`: what nonlinear coefficients are called together that only the data number.
    `exposures`: how many columns its function takes after the coefficients (see `change_scores`).
    """

    name: str
    function: Function = field(repr=False)
    factors: tuple[str, ...]
    nonlinear: tuple[str, ...] = ()
    candidates: Candidates | None = field(default=None, repr=False, compare=False)
    broken: bool = False
    times: tuple[float, ...] = ()
    own: bool = False
    smoothed: bool = False
    family: str = ""
    waves: tuple[float, ...] = ()
    exposures: int = 0

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names: growth factors, then nonlinear coefficients."""
        return self.factors + self.nonlinear

    @property
    def named(self) -> tuple[str, ...]:
        """What formulas may act on before the data are read."""
        return self.factors + ((self.family,) if self.family else self.nonlinear)

    def mean(self, t: Array, coefficients: Sequence[Array], constants: Sequence[Array] = ()) -> Array:
        """(occasion, subject); `constants` are what a smoothed curve takes beside its coefficients."""
        return self.function(t, *coefficients, *constants)

    def loading(self, t: Array, coefficients: Sequence[Array], which: int, constants: Sequence[Array] = ()) -> Array:
        """Derivative of the mean by one coefficient, (occasion, subject)."""
        moved = [jnp.ones_like(c) if i == which else jnp.zeros_like(c) for i, c in enumerate(coefficients)]
        return jax.jvp(lambda *c: self.function(t, *c, *constants), tuple(coefficients), tuple(moved))[1]

    def starts(self, times: np.ndarray) -> np.ndarray:
        """(candidate, nonlinear); one row of no columns where the curve is linear in all its coefficients."""
        return np.zeros((1, 0)) if self.candidates is None else self.candidates(times)


def _linear(t: Array, intercept: Array, slope: Array) -> Array:
    return intercept + slope * t


def _quadratic(t: Array, intercept: Array, slope: Array, quadratic: Array) -> Array:
    return intercept + (slope + quadratic * t) * t


def _exponential(t: Array, intercept: Array, change: Array, rate: Array) -> Array:
    return intercept - change * jnp.expm1(-rate * t)


def _jenss_bayley(t: Array, intercept: Array, slope: Array, distance: Array, rate: Array) -> Array:
    return intercept + slope * t + distance * jnp.expm1(rate * t)


def _bilinear(t: Array, intercept: Array, slope1: Array, slope2: Array, knot: Array) -> Array:
    return intercept + slope1 * jnp.minimum(t, knot) + slope2 * jnp.maximum(t - knot, 0.0)


def _after(t: Array, knot: Array, smoothing: Array) -> Array:
    """max(t - knot, 0) with |t - knot| made smooth: (t - knot + sqrt((t - knot)^2 + smoothing)) / 2."""
    gap = t - knot
    return 0.5 * (gap + jnp.sqrt(gap**2 + smoothing))


def _smooth_bilinear(t: Array, intercept: Array, slope1: Array, slope2: Array, knot: Array, smoothing: Array) -> Array:
    after = _after(t, knot, smoothing)
    return intercept + slope1 * (t - after) + slope2 * after


def _trilinear(
    t: Array, intercept: Array, slope1: Array, slope2: Array, slope3: Array, knot1: Array, knot2: Array
) -> Array:
    middle = jnp.clip(t, knot1, knot2) - knot1
    return intercept + slope1 * jnp.minimum(t, knot1) + slope2 * middle + slope3 * jnp.maximum(t - knot2, 0.0)


def _smooth_trilinear(
    t: Array,
    intercept: Array,
    slope1: Array,
    slope2: Array,
    slope3: Array,
    knot1: Array,
    knot2: Array,
    smoothing: Array,
) -> Array:
    first, second = _after(t, knot1, smoothing), _after(t, knot2, smoothing)
    return intercept + slope1 * (t - first) + slope2 * (first - second) + slope3 * second


@dataclass(frozen=True)
class _Polynomial:
    degree: int

    def __call__(self, t: Array, *coefficients: Array) -> Array:
        value = coefficients[-1] * jnp.ones_like(t)
        for coefficient in coefficients[-2::-1]:
            value = value * t + coefficient
        return value


@dataclass(frozen=True)
class _LatentBasis:
    """intercept + change * b(t), b linear between the times, 0 at the first and 1 at the last of them."""

    times: tuple[float, ...]

    def __call__(self, t: Array, intercept: Array, change: Array, *basis: Array) -> Array:
        values = [jnp.zeros_like(change), *basis, jnp.ones_like(change)]
        at = jnp.zeros_like(t)
        for j, value in enumerate(values):
            at = at + value * self._hat(t, j)
        return intercept + change * at

    def _hat(self, t: Array, j: int) -> Array:
        times = self.times
        before = (t - times[j - 1]) / (times[j] - times[j - 1]) if j else jnp.ones_like(t)
        after = (times[j + 1] - t) / (times[j + 1] - times[j]) if j + 1 < len(times) else jnp.ones_like(t)
        return jnp.clip(jnp.minimum(before, after), 0.0, 1.0)

    def candidates(self, times: np.ndarray) -> np.ndarray:
        inner = np.array(self.times)
        return ((inner[1:-1] - inner[0]) / (inner[-1] - inner[0]))[None]


def _one_knot(times: np.ndarray) -> np.ndarray:
    return np.unique(np.quantile(times, np.linspace(0.15, 0.85, 15)))[:, None]


def _two_knots(times: np.ndarray) -> np.ndarray:
    knots = np.unique(np.quantile(times, np.linspace(0.15, 0.85, 8)))
    return np.array(list(combinations(knots, 2))).reshape(-1, 2)


def _rates(times: np.ndarray) -> np.ndarray:
    reach = max(float(np.abs(times).max()), 1e-300)
    return np.array([0.3, 0.7, 1.5, 3.0, 6.0, 12.0])[:, None] / reach


def _falling_rates(times: np.ndarray) -> np.ndarray:
    return -_rates(times)


LINE = ("intercept", "slope")
CURVES = {
    "linear": Curve("linear", _linear, LINE),
    "quadratic": Curve("quadratic", _quadratic, (*LINE, "quadratic")),
    "negative_exponential": Curve("negative_exponential", _exponential, ("intercept", "change"), ("rate",), _rates),
    "jenss_bayley": Curve("jenss_bayley", _jenss_bayley, (*LINE, "distance"), ("rate",), _falling_rates),
    "bilinear": Curve("bilinear", _bilinear, ("intercept", "slope1", "slope2"), ("knot",), _one_knot, True),
    "trilinear": Curve(
        "trilinear", _trilinear, ("intercept", "slope1", "slope2", "slope3"), ("knot1", "knot2"), _two_knots, True
    ),
}
"""Curves of a fixed form."""
SMOOTH: dict[str, Function] = {"bilinear": _smooth_bilinear, "trilinear": _smooth_trilinear}
"""Of broken lines: what they become where their knots are random."""
RATES: dict[str, Candidates] = {"change_exponential": _rates, "change_jenss_bayley": _falling_rates}
"""Of change scores: rates to start from."""
MADE = ("polynomial", "latent_basis", *change_scores.NAMES)
"""Curves that `make_curve` makes."""
RESERVED = ("mean", "gate", "effects", "random_covariance", "random_shape", "residual_variance", "residual_sd")
"""Parameters of growth models that no coefficient can be called."""


def make_curve(
    name: str,
    *,
    random: bool = False,
    degree: int = 2,
    times: Sequence[float] = (),
    waves: Sequence[float] = (),
) -> Curve:
    """The curve of this name. `random`: its nonlinear coefficients are random, so that it must be smooth in them.

    polynomial takes its `degree`; latent_basis the `times` between which it is linear; change scores those of the
    waves, which are numbered where subjects have times of their own.
    """
    if name in change_scores.NAMES:
        return _changing(name, tuple(map(float, times)), tuple(map(float, waves)))
    if name == "polynomial":
        return Curve(name, _Polynomial(degree), ("intercept", "slope", *(f"power{p}" for p in range(2, degree + 1))))
    if name == "latent_basis":
        basis = _LatentBasis(tuple(float(t) for t in times))
        inner = tuple(f"basis[{time_label(t)}]" for t in basis.times[1:-1])
        candidates = basis.candidates if inner else None
        return Curve(name, basis, ("intercept", "change"), inner, candidates, times=basis.times, family="basis")
    curve = CURVES[name]
    return replace(curve, function=SMOOTH[name], broken=False, smoothed=True) if random and curve.broken else curve


def _changing(name: str, times: tuple[float, ...], waves: tuple[float, ...]) -> Curve:
    """A curve of change scores between these times."""
    intervals = max(len(times) - 1, 0)
    made = change_scores.changes(name, intervals)
    rates = change_scores.rate_candidates(intervals) if name == change_scores.NONPARAMETRIC else RATES.get(name)
    return Curve(
        name,
        made.function,
        made.factors,
        made.nonlinear,
        rates if made.nonlinear else None,
        times=times,
        family="rates" if name == change_scores.NONPARAMETRIC else "",
        waves=waves,
        exposures=change_scores.count_of_exposures(name, intervals),
    )


def time_label(time: float) -> str:
    """What tables call a common time: no two times have the same."""
    short = f"{time:g}"
    return short if float(short) == time else repr(float(time))


def known_curves() -> list[str]:
    """Names that a formula may call."""
    return sorted([*CURVES, *MADE])


def register_curve(
    name: str,
    function: Function,
    factors: Sequence[str],
    *,
    nonlinear: Sequence[str] = (),
    candidates: Candidates | None = None,
) -> None:
    """Make `name(time)` a growth curve, in the place of an earlier one of this name that was not the package's own.

    `function(t, *coefficients)` is written in `jax.numpy`, elementwise over t, linear in the coefficients named in
    `factors`, of which there is at least one, and smooth in those named in `nonlinear`; `candidates(times)` gives
    starting values of these, (candidate, nonlinear). What needs times (values at all of them, linearity, the shape of
    the candidates) is checked in `fit`. Raises OptionError for anything else.
    """
    names = (*factors, *nonlinear)
    if not name.isidentifier() or name in MADE or (name in CURVES and not CURVES[name].own):
        raise OptionError(f"{name!r} cannot name a growth curve: it is no identifier, or it is taken")
    if not factors:
        raise OptionError(f"curve {name!r} needs at least one growth factor that enters linearly")
    wrong = [n for i, n in enumerate(names) if not n.isidentifier() or n in (*names[:i], *RESERVED)]
    if wrong:
        raise OptionError(
            f"curve {name!r} cannot have a coefficient {wrong[0]!r}: names are identifiers, differ from each other, "
            f"and are none of {', '.join(RESERVED)}"
        )
    if nonlinear and candidates is None:
        raise OptionError(f"curve {name!r} has nonlinear coefficients: give candidates=, a function of the times")
    if candidates is not None and not nonlinear:
        raise OptionError(f"curve {name!r} has candidates= but names no nonlinear coefficient: give nonlinear=")
    _require_arguments(name, function, names)
    CURVES[name] = Curve(name, function, tuple(factors), tuple(nonlinear), candidates, own=True)


def _require_arguments(name: str, function: Function, names: Sequence[str]) -> None:
    try:
        signature(function).bind("t", *names)
    except TypeError as error:
        raise OptionError(
            f"the function of curve {name!r} is called with t and {len(names)} coefficients ({', '.join(names)}), "
            f"which it does not take: {error}"
        ) from None
    except ValueError:
        return
