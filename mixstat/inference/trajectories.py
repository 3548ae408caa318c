"""Trajectories: what a growth model says of a subject's coefficients and occasions, given the class and over classes.

    E[eta | y] = sum_k r_k m_k,    V[eta | y] = sum_k r_k (W_k + (m_k - E[eta | y])(m_k - E[eta | y])')

with r the responsibilities, m_k = alpha_k + B_k x + E[zeta | y, k] and W_k = V[zeta | y, k]: empirical Bayes, at the
estimated coefficients (Laird and Ware, 1982, Biometrics 38). Given the class, occasions are normal with covariance
L Psi L' + R.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixstat.core.design import bucket
from mixstat.core.kernel import kernel
from mixstat.families.growth.coordinates import passage
from mixstat.families.growth.mixed import MixedModel
from mixstat.fit.precision import double

Array = Any


class Moments(NamedTuple):
    """Means and their covariances, by row the last axis: (item, row), (item, item, row)."""

    mean: np.ndarray
    covariance: np.ndarray


class RandomCoefficients(NamedTuple):
    """Given the class: what random coefficients are without deviation (coefficient, subject), and E and V of zeta."""

    centre: np.ndarray
    deviation: Moments

    @property
    def total(self) -> Moments:
        """Centre plus deviation."""
        return Moments(self.centre + self.deviation.mean, self.deviation.covariance)


@double
def random_coefficients(family: MixedModel, eta: np.ndarray, data: np.ndarray) -> RandomCoefficients:
    """Of every subject, at its predictors (P, subject)."""
    centre, mean, covariance = _bucketed(_random, family, eta, data)
    return RandomCoefficients(centre, Moments(mean, covariance))


def as_shown(family: MixedModel, eta: np.ndarray, found: RandomCoefficients) -> RandomCoefficients:
    """Random coefficients of time as it was given, at predictors (P, subject)."""
    led = passage(family, eta[: family.head, 0], [member.coordinates for _, member in family.parts])
    centre = family.centre([*led.means(eta[: family.head]), *eta[family.head :]])
    covariance = np.einsum("ca,abn,db->cdn", led.random, found.deviation.covariance, led.random)
    deviation = Moments(led.random @ found.deviation.mean, covariance)
    return RandomCoefficients(np.reshape(centre, found.centre.shape), deviation)


@double
def marginal_moments(family: MixedModel, eta: np.ndarray, data: np.ndarray) -> Moments:
    """Mean and covariance of all occasions of a subject given the class, seen or not."""
    return Moments(*_bucketed(_marginal, family, eta, data))


@double
def moved_means(family: MixedModel, eta: np.ndarray, data: np.ndarray, deviation: Moments) -> Moments:
    """Means of the outcomes of rows of one occasion whose subject deviates, and the covariance that deviations add."""
    return Moments(*_bucketed(_moved, family, eta, data, *deviation))


def _bucketed(kernel: Callable, family: MixedModel, *arrays: np.ndarray) -> list[np.ndarray]:
    """Results with rows last, from arrays padded to the size of a bucket, so that kernels compile once a bucket."""
    rows = arrays[0].shape[-1]
    more = bucket(rows) - rows
    padded = [np.concatenate([x, np.repeat(x[..., :1], more, axis=-1)], axis=-1) for x in arrays]
    return [np.asarray(x)[..., :rows] for x in kernel(family, *padded)]


def mix(parts: Sequence[Moments], weight: np.ndarray) -> Moments:
    """Moments of a mixture of classes with weights (row, class)."""
    share = weight.T[:, None]
    centres = np.stack([part.mean for part in parts])
    mean = (share * centres).sum(axis=0)
    apart = centres - mean
    between = np.einsum("kn,kan,kbn->abn", weight.T, apart, apart)
    within = sum(w * part.covariance for w, part in zip(weight.T, parts, strict=True))
    return Moments(mean, within + between)


def given_earlier(moments: Moments, y: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each place given the earlier ones of its subject, (place, subject).

    `seen` (place, subject) tells what was observed: of the others nothing is known, nor do they tell anything.
    """
    covariance = np.moveaxis(moments.covariance, 2, 0)
    padding = seen.T == 0
    known = ~(padding[:, :, None] | padding[:, None])
    covariance = np.where(known, covariance, np.eye(covariance.shape[1]))
    lower = np.linalg.cholesky(covariance)
    residual = np.where(seen > 0, y - moments.mean, 0.0)
    whitened = np.linalg.solve(lower, residual.T[..., None])[..., 0].T
    spread: np.ndarray = np.diagonal(lower, axis1=1, axis2=2).T
    return moments.mean + residual - spread * whitened, spread


@kernel
def _random(family: MixedModel, eta: Array, data: Array) -> tuple[Array, Array, Array]:
    mean, covariance = family.random_effects(list(eta), data)
    return jnp.stack(family.centre(list(eta))), mean, covariance


def _loadings(family: MixedModel, eta: Array, data: Array) -> tuple[Array, list[Array]]:
    """Mean (occasion, subject), and the loadings of the random coefficients."""
    mean, basis = family.basis(list(eta), family.read(data))
    return mean, [basis[place - 1] for place in family.random_places]


@kernel
def _marginal(family: MixedModel, eta: Array, data: Array) -> tuple[Array, Array]:
    """R follows from what whitens it: W = R^-1/2 column by column."""
    at = family.read(data)
    mean, loadings = _loadings(family, eta, data)
    places = len(at.y)
    units = [jnp.zeros_like(at.y).at[j].set(1.0) for j in range(places)]
    rows, _ = family.whiten(list(eta), units, at._replace(seen=jnp.ones_like(at.seen)))
    whitening = jnp.stack(rows, axis=1)
    residual = _inverse_square(whitening)
    factor = family.factor(eta)
    scaled = [sum(factor[j][i] * loadings[j] for j in range(i, len(loadings))) for i in range(len(loadings))]
    return mean, residual + sum(column[:, None] * column[None] for column in scaled)


def _inverse_square(whitening: Array) -> Array:
    """(W'W)^-1 of a lower triangular W (row, column, subject), by forward substitution."""
    size = whitening.shape[0]
    lines: list[Array] = []
    for j in range(size):
        unit = jnp.zeros((size, whitening.shape[-1])).at[j].set(1.0)
        rest = unit - sum(whitening[j, i] * lines[i] for i in range(j))
        lines.append(rest / whitening[j, j])
    inverse = jnp.stack(lines)
    return jnp.einsum("aun,bun->abn", inverse, inverse)


@kernel
def _moved(family: MixedModel, eta: Array, data: Array, mean: Array, covariance: Array) -> tuple[Array, Array]:
    centre, loadings = _loadings(family, eta, data)
    if not loadings:
        return centre, jnp.zeros((len(centre), *centre.shape))
    columns = jnp.stack(loadings)
    moved = centre + jnp.einsum("aon,an->on", columns, mean)
    return moved, jnp.einsum("aon,abn,bpn->opn", columns, covariance, columns)
