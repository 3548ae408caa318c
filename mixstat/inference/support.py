"""Support of penalised fits: how often slopes are kept when rows are weighed anew.

A bootstrap of weights shows how a selection varies (Hall, Lee and Park, 2009, Statistica Sinica 19). Stability
selection fits to halves of the rows, in complementary pairs; with q slopes kept on average of p, those kept in a share
above t > 1/2 of the halves hold on average at most q^2 / ((2 t - 1) p) that are kept no more often than at random
(Meinshausen and Buehlmann, 2010, JRSS-B 72; Shah and Samworth, 2013, JRSS-B 75).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from mixstat.fit.fused import Fused, Rows

KINDS = ("exponential", "multinomial", "half")


def draws(rng: np.random.Generator, weight: np.ndarray, code: np.ndarray, kind: str) -> Iterator[np.ndarray]:
    """Endless weights (row,) of replicates; halves are stratified by category, those of an odd number by chance."""
    size = len(weight)
    while True:
        if kind == "exponential":
            yield weight * rng.exponential(size=size)
        elif kind == "multinomial":
            yield weight * rng.multinomial(size, np.full(size, 1 / size))
        else:
            first = halves(rng, code)
            yield weight * first
            yield weight * ~first


def halves(rng: np.random.Generator, code: np.ndarray) -> np.ndarray:
    """(row,) half of the rows of each category."""
    chosen = np.zeros(len(code), dtype=bool)
    for category in np.unique(code):
        mine = rng.permutation(np.flatnonzero(code == category))
        chosen[mine[: (len(mine) + rng.integers(2)) // 2]] = True
    return chosen


def reweighted(fused: Fused, weight: np.ndarray) -> tuple[Fused, np.ndarray, np.ndarray]:
    """The problem with other weights (row,), its columns standardised by them; their centre and scale (column,)."""
    used = weight > 0
    rows = fused.rows
    share = weight[used] / weight[used].sum()
    z = rows.z[used]
    centre = share @ z
    scale = np.sqrt(share @ (z - centre) ** 2)
    scale[scale <= 1e-12] = 1.0
    return replace(fused, rows=Rows((z - centre) / scale, rows.code[used], share)), centre, scale


def resample(
    fused: Fused,
    penalties: Sequence[float] | np.ndarray,
    weights: Iterator[np.ndarray],
    replicates: int,
    *,
    advance: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """psi (replicate, penalty, part, column), in units of the columns of `fused`, of a path each. Draws that lack a
    category are drawn again; an interrupt returns what is done."""
    found: list[np.ndarray] = []
    categories = len(fused.family.levels)
    try:
        while len(found) < replicates:
            weight = next(weights)
            if len(np.unique(fused.rows.code[weight > 0])) < categories:
                continue
            part, _, scale = reweighted(fused, weight)
            found.append(np.stack([point.psi / scale for point in part.path(penalties)]))
            advance()
    except KeyboardInterrupt:
        if not found:
            raise
    return np.array(found)


def bound(kept: float, candidates: int, threshold: float) -> float:
    """The bound on the expected number of slopes that are kept no more often than at random."""
    return kept**2 / ((2 * threshold - 1) * candidates)
