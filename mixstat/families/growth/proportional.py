"""Random covariances that are proportional across classes, Psi_k = v_k S with S_11 = 1 (`nwg` of lcmm's hlme).

The class has the predictor w = log v_k / 2 in place of the first log diagonal entry of the Cholesky factor C; the other
predictors, common to the classes, are those of a factor of S: log C_jj = w + e_jj, C_ji = exp(w) e_ji. No class is the
reference, so that classes may change places.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

Array = Any
Pairs = tuple[tuple[int, int], ...]


def expand(entries: Sequence[Array], pairs: Pairs) -> list[Array]:
    """Entries of C, the diagonal in logs, from (w, entries of the factor of S)."""
    w = entries[0]
    others = zip(entries[1:], pairs[1:], strict=True)
    return [w, *(e + w if j == i else e * jnp.exp(w) for e, (j, i) in others)]


def contract(entries: np.ndarray, pairs: Pairs) -> np.ndarray:
    """The inverse of `expand`."""
    w = entries[0]
    others = zip(entries[1:], pairs[1:], strict=True)
    return np.array([w, *(e - w if j == i else e * np.exp(-w) for e, (j, i) in others)])


def chain(score: Array, curvature: Array, eta: Array, places: Sequence[int], pairs: Pairs) -> tuple[Array, Array]:
    """Score (P, subject) and curvature (P, P, subject) by the expanded predictors -> by the predictors themselves.

    `eta` (P, subject) holds (w, entries of S) at `places`, which are constant.
    """
    first, rest = places[0], np.array(places[1:], dtype=np.int64)
    below = np.array([j != i for j, i in pairs[1:]], dtype=bool)
    scale, e = jnp.exp(eta[first, 0]), eta[rest, 0]
    jacobian = jnp.eye(len(eta)).at[rest, rest].set(jnp.where(below, scale, 1.0))
    jacobian = jacobian.at[rest, first].set(jnp.where(below, scale * e, 1.0))
    across = jnp.where(below, scale, 0.0)[:, None] * score[rest]
    turned = jnp.einsum("ap,abn,bq->pqn", jacobian, curvature, jacobian)
    turned = turned.at[first, rest].add(across).at[rest, first].add(across)
    turned = turned.at[first, first].add(jnp.sum(e[:, None] * across, axis=0))
    return jnp.einsum("ap,an->pn", jacobian, score), turned
