"""What a curve must be: finite at the times, linear in its growth factors, with values to start from.

A curve f is linear in its factors a where d2f / da da' = 0 for all a. Registered curves are functions that users write,
so that this is checked where they meet data, at two arbitrary points.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.exceptions import DataError, OptionError
from mixstat.families.growth.curves import Curve, time_label

POINTS = ((0.7, -1.3, 2.1, -0.4), (-1.9, 0.6, -0.8, 1.7))
"""Growth factors at which a curve is looked at, repeated if there are more."""
FEW = 64
"""Distinct times that are enough to look at derivatives."""
BEND = 1e-7
"""Second derivative, relative to the first, from which a curve is not linear."""


def require_sound(curve: Curve, times: np.ndarray) -> None:
    """An error unless the curve can be fitted to data with these times; run in double precision."""
    if not curve.own:
        require_candidates(curve, times)
        return
    try:
        _require_form(curve, times, require_candidates(curve, times))
    except (DataError, OptionError):
        raise
    except Exception as error:
        raise OptionError(
            f"the functions of curve {curve.name!r} fail with {type(error).__name__}: {error}; the curve is written in "
            "jax.numpy, elementwise over t, and candidates= in numpy"
        ) from error


def _require_form(curve: Curve, times: np.ndarray, candidates: np.ndarray) -> None:
    distinct = np.unique(times)
    some = distinct[np.linspace(0, len(distinct) - 1, min(FEW, len(distinct))).astype(int)]
    for nonlinear in candidates:
        for factors in _points(curve):
            _require_values(curve, distinct, factors, nonlinear)
            _require_slopes(curve, some, factors, nonlinear)
            _require_linear(curve, some, factors, nonlinear)


def require_candidates(curve: Curve, times: np.ndarray) -> np.ndarray:
    """(candidate, nonlinear) starting values, checked."""
    found = np.asarray(curve.starts(times), dtype=float)
    size = len(curve.nonlinear)
    if found.ndim != 2 or found.shape[1] != size:
        raise OptionError(
            f"candidates= of curve {curve.name!r} must give an array (candidate, {size}), a column for each of "
            f"{list(curve.nonlinear)}, but gave the shape {found.shape}; for example np.array([[0.1], [1.0]])"
        )
    if not len(found):
        raise DataError(
            f"curve {curve.name!r} has no starting values for {list(curve.nonlinear)} with {len(np.unique(times))} "
            "distinct times; it needs more of them"
        )
    if not np.isfinite(found).all():
        raise OptionError(f"candidates= of curve {curve.name!r} gave values that are not finite: {found.tolist()}")
    return found


def require_times(curve: Curve, times: np.ndarray) -> None:
    """An error where a curve made of common times alone is asked for its value beyond them."""
    if not curve.family or curve.waves:
        return
    beyond = (times < curve.times[0]) | (times > curve.times[-1])
    if beyond.any():
        raise DataError(
            f"{curve.name} was learnt between the times {time_label(curve.times[0])} and {time_label(curve.times[-1])} "
            f"and says nothing of time {times[beyond][0]:g}; ask for times in between, or fit a curve with a form"
        )


def _points(curve: Curve) -> list[np.ndarray]:
    return [np.resize(point, len(curve.factors)) for point in POINTS]


def _require_values(curve: Curve, times: np.ndarray, factors: np.ndarray, nonlinear: np.ndarray) -> None:
    t = jnp.asarray(times)[:, None]
    values = np.asarray(curve.mean(t, _spread([*factors, *nonlinear])))
    if values.shape != t.shape:
        raise OptionError(
            f"curve {curve.name!r} must give a value for each time, an array {t.shape}, but gave {values.shape}; "
            "write it in jax.numpy, elementwise over t"
        )
    _require_finite(curve, "is", values, times, nonlinear)


def _require_slopes(curve: Curve, times: np.ndarray, factors: np.ndarray, nonlinear: np.ndarray) -> None:
    t, coefficients = jnp.asarray(times)[:, None], _spread([*factors, *nonlinear])
    for place, name in enumerate(curve.coefficients):
        slope = np.asarray(curve.loading(t, coefficients, place))
        _require_finite(curve, f"has a derivative by {name!r} that is", slope, times, nonlinear)


def _require_finite(curve: Curve, what: str, values: np.ndarray, times: np.ndarray, nonlinear: np.ndarray) -> None:
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        at = ", ".join(f"{name} = {value:g}" for name, value in zip(curve.nonlinear, nonlinear, strict=True))
        raise DataError(
            f"curve {curve.name!r} {what} not finite at time {times[~finite][0]:g}"
            + (f" where {at}" if at else "")
            + f" ({(~finite).sum()} of {len(times)} distinct times); shift or drop these times, or write the curve so "
            "that it is defined there"
        )


def _require_linear(curve: Curve, times: np.ndarray, factors: np.ndarray, nonlinear: np.ndarray) -> None:
    t = jnp.asarray(times)[:, None]

    def mean(a: jax.Array) -> jax.Array:
        return jnp.ravel(curve.mean(t, _spread([*a, *nonlinear])))

    slope = np.asarray(jax.jacfwd(mean)(jnp.asarray(factors)))
    bend = np.asarray(jax.jacfwd(jax.jacfwd(mean))(jnp.asarray(factors)))
    size = np.abs(bend).max(axis=(0, 1))
    curved = size > BEND * max(np.abs(slope).max(), 1e-300)
    if curved.any():
        name = curve.factors[int(np.argmax(curved))]
        raise OptionError(
            f"curve {curve.name!r} is not linear in its factor {name!r} (its second derivative is not zero); name it "
            "in nonlinear= and give candidates=, or write the curve in coefficients that enter linearly"
        )


def _spread(coefficients: Sequence) -> list:
    return [jnp.reshape(jnp.asarray(c, dtype=float), (1,)) for c in coefficients]
