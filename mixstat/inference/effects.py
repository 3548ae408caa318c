"""Effects: what a mixture says of rows (means, probabilities, their slopes and contrasts), with delta-method errors.

    h = g(phi; x_i) or sum_i w_i g(phi; x_i),     V[h] = J C J',     J = d h / d theta,     phi = T theta + fixed

g is a mean or probability, its derivative along the columns x (forward mode), or its values at two sets of columns.
Single rows are differentiated forward, averages in the cheaper direction, block by block (Oehlert, 1992, American
Statistician 46; Arel-Bundock, Greifer and Heiss, 2024, J. Statist. Software 111(9)).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.core.design import Data, Design, Layout
from mixstat.core.expert import to_rows
from mixstat.core.kernel import kernel
from mixstat.core.mixture import Mixture, expert_means, gate_log_probability, posterior
from mixstat.core.reduce import take_block
from mixstat.fit.precision import double
from mixstat.inference.survival import curve_values, is_curve

Array = Any
NEGLIGIBLE = 1e-12
"""Relative size under which a derivative counts as zero beside a parameter without a standard error."""


@dataclass(frozen=True)
class Query:
    """What is asked of each row; hashed by value, a static argument of the kernels.

    target   "mean" E[y | x], "expert_mean" E[y | x, class], "gate" pi(x), "responsibility" given the response; or a
             curve of `inference.survival` at the times of `Rows`
    form     "level"; "slope" along the other columns; "difference" or "ratio" of there (`other`) to here
    scale    elasticities: "ey" takes logarithms of the target, "ex" of the covariate ("dydx", "eyex", "dyex", "eydx")
    places   group -> response -> (outcome, item): where the mean of each response stands in the mixture
    """

    target: str
    form: str
    scale: str
    places: tuple[tuple[tuple[int, int], ...], ...]


class Rows(NamedTuple):
    """Rows in data order. `other` are columns and offsets of a second setting, or the derivatives of these.

    Where rows hold occasions (times, covariates of an occasion), `other` has the data of the responses too, else ().
    `covariate` (row,) multiplies slopes whose scale takes logarithms of the covariate; `constants` (extra, output) are
    the means of classes without parameters. Curves are asked for at the logs of `times`, (time, row) or (time, 1), and
    then summed with `weights` (output, time) where these are given.
    """

    data: Data
    other: tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]
    covariate: np.ndarray
    constants: np.ndarray
    times: np.ndarray = np.zeros((0, 1))
    weights: np.ndarray | None = None


class Part(NamedTuple):
    """One block of `Rows`; the arrays keep a block axis of one, `covariate` and `seen` (padding is not) are (row,)."""

    design: Design
    other: tuple[Array, Array, tuple[Array, ...]]
    covariate: Array
    seen: Array
    constants: Array
    times: Array
    weights: Array | None


class Estimate(NamedTuple):
    """Coefficients phi, T (phi, theta) and the covariance (theta, theta), NaN for parameters without one."""

    phi: np.ndarray
    basis: np.ndarray
    covariance: np.ndarray


class Effects(NamedTuple):
    """Estimates and standard errors, (output, row) or (output, level)."""

    estimate: np.ndarray
    std_error: np.ndarray


@double
def row_effects(mixture: Mixture, query: Query, at: Estimate, rows: Rows) -> Effects:
    """The quantity of every row."""
    layout = rows.data.layout()
    parts = []
    for _, part in _parts(rows, layout):
        value, jacobian = _row_kernel(mixture, query, at.phi, at.basis, part)
        error = standard_errors(np.moveaxis(np.asarray(jacobian), 0, -1), at.covariance)
        parts.append((np.asarray(value), error))
    return Effects(*(layout.read_rows(np.stack(leaf)) for leaf in zip(*parts, strict=True)))


@double
def row_values(mixture: Mixture, query: Query, phi: np.ndarray, rows: Rows) -> np.ndarray:
    """The quantity of every row without its error, (output, row)."""
    layout = rows.data.layout()
    parts = [np.asarray(_value_kernel(mixture, query, phi, part)) for _, part in _parts(rows, layout)]
    return layout.read_rows(np.stack(parts))


@double
def row_jacobians(mixture: Mixture, query: Query, at: Estimate, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """The quantity (output, row) of few rows, and its derivatives by theta (theta, output, row)."""
    layout = rows.data.layout()
    parts = [_row_kernel(mixture, query, at.phi, at.basis, part) for _, part in _parts(rows, layout)]
    value, jacobian = (np.stack([np.asarray(leaf) for leaf in leaves]) for leaves in zip(*parts, strict=True))
    return layout.read_rows(value), layout.read_rows(jacobian)


@double
def average_effects(
    mixture: Mixture, query: Query, at: Estimate, rows: Rows, code: np.ndarray, weight: np.ndarray
) -> Effects:
    """Weighted averages within levels: `code` (row,) numbers them 0, 1, ..., `weight` (row,) sums to 1 in each.

    The ratio is one of averages; everything else is an average of rows.
    """
    layout, levels = rows.data.layout(), int(code.max()) + 1
    codes, weights = layout.place_rows(code, fill=-1), layout.place_rows(weight)
    value, jacobian = np.zeros(()), np.zeros(())
    for block, part in _parts(rows, layout):
        inside = (codes[block] == np.arange(levels)[:, None]) * weights[block]
        found = _average_kernel(mixture, query, at.phi, at.basis, part, inside)
        value, jacobian = value + np.asarray(found[0]), jacobian + np.asarray(found[1])
    estimate, slope = _combine(query.form, value, jacobian)
    return Effects(estimate, standard_errors(slope, at.covariance))


def standard_errors(jacobian: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """sqrt(J C J') for J (..., theta); NaN where J needs a parameter whose covariance is NaN."""
    unknown = np.isnan(np.diag(covariance))
    known = np.where(unknown[:, None] | unknown[None], 0.0, covariance)
    error = np.sqrt(np.sum((jacobian @ known) * jacobian, axis=-1).clip(min=0.0))
    if unknown.any():
        size = np.abs(jacobian)
        error[(size[..., unknown] > NEGLIGIBLE * size.max(axis=-1, keepdims=True)).any(axis=-1)] = np.nan
    return error


def _combine(form: str, value: np.ndarray, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages of both sides (side, output, level) to the quantity and its derivatives."""
    if form == "difference":
        return value[1] - value[0], jacobian[1] - jacobian[0]
    if form == "ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = value[1] / value[0]
            return ratio, (jacobian[1] - ratio[..., None] * jacobian[0]) / value[0][..., None]
    return value[0], jacobian[0]


def _parts(rows: Rows, layout: Layout) -> Iterator[tuple[int, Part]]:
    """The blocks, each with its number, padded to one shape."""
    design = rows.data.pack(layout)._replace(used=None)
    other = jax.tree.map(layout.place_rows, rows.other)
    covariate = layout.place_rows(rows.covariate)
    seen = layout.place_rows(np.ones(len(rows.covariate), dtype=bool), fill=False)
    times = layout.place_rows(rows.times) if rows.times.shape[1] > 1 else None
    for block in range(layout.used):
        cut = jax.tree.map(lambda leaf, block=block: leaf[block : block + 1], (design, other))
        one = cut[0]._replace(used=np.asarray(1, dtype=np.int32))
        own = rows.times if times is None else times[block]
        yield block, Part(one, cut[1], covariate[block], seen[block], rows.constants, own, rows.weights)


@partial(kernel, specs=2)
def _row_kernel(mixture: Mixture, query: Query, phi: Array, basis: Array, part: Part) -> tuple[Array, Array]:
    """(output, row), and its derivatives (theta, output, row)."""

    def quantity(step: Array) -> Array:
        sides = _sides(mixture, query, phi + basis @ step, part)
        if query.form == "difference":
            return sides[1] - sides[0]
        return sides[1] / jnp.where(part.seen, sides[0], 1.0) if query.form == "ratio" else sides[0]

    value, push = jax.linearize(quantity, jnp.zeros(basis.shape[1]))
    return value, jax.vmap(push)(jnp.eye(basis.shape[1]))


@partial(kernel, specs=2)
def _value_kernel(mixture: Mixture, query: Query, phi: Array, part: Part) -> Array:
    """(output, row)."""
    return _sides(mixture, query, phi, part)[0]


@partial(kernel, specs=2)
def _average_kernel(
    mixture: Mixture, query: Query, phi: Array, basis: Array, part: Part, inside: Array
) -> tuple[Array, Array]:
    """Sums over rows with weights `inside` (level, row): (side, output, level), and derivatives (..., theta)."""

    def total(step: Array) -> tuple[Array, Array]:
        value = _sides(mixture, query, phi + basis @ step, part) @ inside.T
        return value, value

    start = jnp.zeros(basis.shape[1])
    outputs = int(np.prod(jax.eval_shape(total, start)[0].shape))
    derive = jax.jacrev if outputs < len(start) else jax.jacfwd
    jacobian, value = derive(total, has_aux=True)(start)
    return value, jacobian


def _sides(mixture: Mixture, query: Query, phi: Array, part: Part) -> Array:
    """(side, output, row): here and there of a pair, else the quantity alone."""
    design = part.design

    def level(columns: Array, offsets: Array, responses: tuple[Array, ...]) -> Array:
        there = design._replace(columns=columns, offsets=offsets, responses=responses or design.responses)
        return _values(mixture, query, phi, there, part)

    here = (design.columns, design.offsets, design.responses if part.other[2] else ())
    if query.form == "level":
        return level(*here)[None]
    if query.form == "slope":
        value, slope = jax.jvp(level, here, part.other)
        slope = slope / jnp.where(part.seen, value, 1.0) if query.scale[:2] == "ey" else slope
        return (slope * part.covariate if query.scale[2:] == "ex" else slope)[None]
    both = jnp.stack([level(*here), level(*part.other)])
    return jnp.log(jnp.where(part.seen, both, 1.0)) if query.scale[:2] == "ey" else both


def _values(mixture: Mixture, query: Query, phi: Array, design: Design, part: Part) -> Array:
    """The target (output, row) in one block."""
    if is_curve(query.target):
        places = tuple(group[0] for group in query.places)
        return curve_values(mixture, query.target, places, phi, design, part.times, part.weights)
    if query.target == "responsibility":
        return to_rows(posterior(mixture, phi, design).responsibility[0], take_block(design, 0))
    if query.target == "gate":
        return jnp.exp(gate_log_probability(mixture, phi, design)[0])
    means = _class_means(mixture, query, phi, design, part.constants)
    if query.target == "expert_mean":
        return means.reshape(-1, means.shape[-1])
    return jnp.einsum("kr,kor->or", jnp.exp(gate_log_probability(mixture, phi, design)[0]), means)


def _class_means(mixture: Mixture, query: Query, phi: Array, design: Design, constants: Array) -> Array:
    """E[y | x, class] (class, output, row): the responses' columns in order, extra classes last."""
    groups = []
    for group, places in zip(expert_means(mixture, phi, design), query.places, strict=True):
        values = [group[outcome][0][:, item] for outcome, item in places]
        groups.append(jnp.concatenate([v[:, None] if v.ndim == 2 else v for v in values], axis=1))
    rows = design.columns.shape[-1]
    return jnp.concatenate([*groups, jnp.broadcast_to(constants[:, :, None], (*constants.shape, rows))])
