"""Score-based tests of parameter instability along a covariate, and the cut at which to split the units.

With weighted scores w_i s_i (summing to zero at the estimate), V = sum w_i^2 s_i s_i' and the units ordered by the
covariate, C(t) = V^-1/2 sum_{i <= t} w_i s_i is a Brownian bridge if the parameters do not vary with it (Zeileis and
Hornik, 2007, Statistica Neerlandica 61; Zeileis, Hothorn and Hornik, 2008, J. Comput. Graph. Statist. 17):

    numbers, ordered levels   max_t |C(t)|^2 / (t (1 - t)), over the cuts that may be made
    levels                    sum_g |sum_{i in g} V^-1/2 w_i s_i|^2 / share_g, chi-square

(Andrews, 1993, Econometrica 61; Hjort and Koning, 2002, J. Nonparametr. Statist. 14). t is the share of sum w_i^2.
"""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2

from mixstat.fit.linear_algebra import FLOOR, unit_diagonal

NUMBER, ORDERED, LEVEL = "number", "ordered", "level"
TRIM = 0.1
"""Share of the units at either end of a numeric covariate where the statistic is not looked at."""
GRID, PATHS = 200, 10_000
"""Points and paths of the simulated null distribution."""
TAIL = 0.005
"""Simulated share under which p-values follow the chi-square tail."""
OVERSHOOT = 0.5826
"""Siegmund's (1985) -zeta(1/2) / sqrt(2 pi): how far a random walk passes a barrier, in steps."""
EXHAUSTIVE = 10
"""Levels up to which all partitions in two are tried."""


class Covariate(NamedTuple):
    """`values` (unit,) are numbers, or codes 0, 1, ... of `levels` levels; `kind` is "number", "ordered" or "level"."""

    values: np.ndarray
    kind: str
    levels: int = 0


class Node(NamedTuple):
    """Some units, their weights and weighted scores in two metrics, (unit, direction).

    `decorrelated` is V^-1/2 w s with V the scores' own cross-products, `scaled` I^-1/2 w s with I the information.
    """

    units: np.ndarray
    weight: np.ndarray
    decorrelated: np.ndarray
    scaled: np.ndarray


class Instability(NamedTuple):
    """A statistic, its degrees of freedom (directions in all) and the logarithm of its p-value."""

    statistic: float
    df: int
    log_p: float


class Split(NamedTuple):
    """Left are values up to `threshold`, or the levels in `left` (level,); `gain` approximates the log-likelihood's."""

    gain: float
    threshold: float
    left: np.ndarray | None

    def goes_left(self, values: np.ndarray) -> np.ndarray:
        """Whether each value belongs to the left part."""
        return values <= self.threshold if self.left is None else self.left[values.astype(np.int64)]


def make_node(scores: np.ndarray, weight: np.ndarray, information: np.ndarray) -> Node:
    """The units of positive weight, from weighted scores (unit, theta) of all units and the node's information."""
    units = np.flatnonzero(weight > 0)
    own = scores[units]
    return Node(units, weight[units], _whiten(own, own.T @ own), _whiten(own, information))


def _whiten(scores: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """scores M^-1/2, (unit, direction), without the directions in which M is flat."""
    scaled, scale = unit_diagonal(matrix)
    values, vectors = np.linalg.eigh(scaled)
    sound = values > FLOOR
    return (scores / scale) @ (vectors[:, sound] / np.sqrt(values[sound]))


def instability(node: Node, covariate: Covariate, least: int) -> Instability | None:
    """The test along one covariate; None where it has one value, or no cut of numbers leaves `least` units either side.

    p-values of the maximum are simulated for the very cuts looked at, so that covariates of few values compare with
    continuous ones and with levels.
    """
    values = covariate.values[node.units]
    if covariate.kind == LEVEL:
        return _level_test(node, values.astype(np.int64), covariate.levels)
    order, last = _cuts(values, least)
    squared = np.cumsum(node.weight[order] ** 2)
    share = squared[last] / squared[-1]
    trim = TRIM if covariate.kind == NUMBER else 0.0
    used = (share >= trim) & (share <= 1 - trim)
    if not used.any():
        return None
    share = share[used]
    path = np.cumsum(node.decorrelated[order], axis=0)[last[used]]
    statistic = float(((path**2).sum(axis=1) / (share * (1 - share))).max())
    df = node.decorrelated.shape[1]
    return Instability(statistic, df, maximum_log_p(statistic, share, df))


def _cuts(values: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """(order of the units, places in it of the last unit left of each possible cut)."""
    order = np.argsort(values, kind="stable")
    last = np.flatnonzero(np.diff(values[order]) > 0)
    return order, last[(last + 1 >= least) & (len(values) - last - 1 >= least)]


def _level_test(node: Node, codes: np.ndarray, levels: int) -> Instability | None:
    share = np.bincount(codes, node.weight**2, levels) / (node.weight**2).sum()
    seen = share > 0
    if seen.sum() < 2:
        return None
    total = _sums(codes, node.decorrelated, levels)[seen]
    statistic = float(((total**2).sum(axis=1) / share[seen]).sum())
    df = node.decorrelated.shape[1] * (int(seen.sum()) - 1)
    return Instability(statistic, df, chi_square_log_p(statistic, df))


def _sums(codes: np.ndarray, scores: np.ndarray, levels: int) -> np.ndarray:
    """(level, direction)."""
    total = np.zeros((levels, scores.shape[1]))
    np.add.at(total, codes, scores)
    return total


def best_split(node: Node, covariate: Covariate, least: int) -> Split | None:
    """The cut that gains most log-likelihood in the quadratic approximation, of all that leave `least` units.

    With S the left part's summed scores and u its share of the weight, each part having its share of the information:
    gain = S' I^-1 S / (2 u (1 - u)). Levels are parted in all ways, or (many) along their leading direction.
    """
    values = covariate.values[node.units]
    if covariate.kind == LEVEL:
        return _best_partition(node, values.astype(np.int64), covariate.levels, least)
    order, last = _cuts(values, least)
    if not len(last):
        return None
    weight = np.cumsum(node.weight[order])
    gain = _gain(np.cumsum(node.scaled[order], axis=0)[last], weight[last] / weight[-1])
    best = int(np.argmax(gain))
    low, high = values[order[last[best]]], values[order[last[best] + 1]]
    middle = low + (high - low) / 2
    return Split(float(gain[best]), float(middle if middle < high else low), None)


def _gain(sums: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (sums**2).sum(axis=1) / (2 * share * (1 - share))


def _best_partition(node: Node, codes: np.ndarray, levels: int, least: int) -> Split | None:
    count = np.bincount(codes, minlength=levels)
    seen = np.flatnonzero(count)
    share = (np.bincount(codes, node.weight, levels) / node.weight.sum())[seen]
    sums = _sums(codes, node.scaled, levels)[seen]
    parts = _partitions(sums, share)
    inside = parts @ count[seen]
    parts = parts[(inside >= least) & (len(codes) - inside >= least)]
    if not len(parts):
        return None
    gain = _gain(parts @ sums, parts @ share)
    best = parts[int(np.argmax(gain))]
    left = np.full(levels, best @ count[seen] > len(codes) / 2)  # unseen levels go with the larger part
    left[seen] = best > 0
    return Split(float(gain.max()), np.nan, left)


def _partitions(sums: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(partition, level) of ones and zeros."""
    levels = len(share)
    if levels <= EXHAUSTIVE:
        rest = np.array(list(product((0.0, 1.0), repeat=levels - 1))).reshape(-1, levels - 1)
        return np.column_stack([np.ones(len(rest)), rest])[:-1]
    _, _, directions = np.linalg.svd(sums / np.sqrt(share)[:, None], full_matrices=False)
    rank = np.argsort(np.argsort(sums @ directions[0] / share, kind="stable"))
    return (rank < np.arange(1, levels)[:, None]).astype(float)


def maximum_log_p(statistic: float, share: np.ndarray, df: int) -> float:
    """log P(max over cuts of |B(t)|^2 / (t (1 - t)) >= statistic), B a Brownian bridge of `df` directions.

    From 10,000 simulated paths (fixed seed) at the grid points next to the cuts' shares t; more cuts than grid points
    are allowed for by the overshoot of a walk over a barrier. Under the simulated share 0.005 the p-value goes on as
    the chi-square tail, to which that of the maximum over finitely many cuts is proportional.
    """
    points = np.unique(np.clip(np.round(share * GRID).astype(int), 1, GRID - 1))
    if len(points) == 1:
        return chi_square_log_p(statistic, df)
    top = tied_down_paths(df)[points - 1].max(axis=0)
    statistic = _on_grid(statistic, share, len(points))
    exceeding = float(np.mean(top >= statistic))
    if exceeding >= TAIL:
        return float(np.log(exceeding))
    start = float(np.quantile(top, 1 - TAIL))
    return float(np.log(TAIL)) + chi_square_log_p(max(statistic, start), df) - chi_square_log_p(start, df)


def _on_grid(statistic: float, share: np.ndarray, points: int) -> float:
    """The statistic that is exceeded on the grid as often as this one on a finer set of cuts."""
    if len(share) <= points:
        return statistic
    ends = np.log(share[[0, -1]] / (1 - share[[0, -1]]))
    step = np.sqrt(ends[1] - ends[0]) * (points**-0.5 - len(share) ** -0.5)
    return max(np.sqrt(statistic) - OVERSHOOT * step, 0.0) ** 2


@lru_cache(maxsize=4)
def tied_down_paths(df: int) -> np.ndarray:
    """|B(t)|^2 / (t (1 - t)) at t = 1/GRID, 2/GRID, ..., (grid point, path)."""
    rng = np.random.default_rng(df)
    time = (np.arange(1, GRID) / GRID)[:, None]
    total = np.zeros((GRID - 1, PATHS), dtype=np.float32)
    for _ in range(df):
        walk = np.cumsum(rng.standard_normal((GRID, PATHS), dtype=np.float32), axis=0) / np.float32(np.sqrt(GRID))
        total += (walk[:-1] - time * walk[-1]) ** 2
    return (total / (time * (1 - time))).astype(np.float32)


def chi_square_log_p(statistic: float, df: int) -> float:
    """log P(chi-square >= statistic), also where the probability is below the smallest number."""
    direct = chi2.logsf(statistic, df)
    if np.isfinite(direct) or not np.isfinite(statistic):
        return float(direct)
    half, rest = statistic / 2, df / 2 - 1
    return float(rest * np.log(half) - half - gammaln(df / 2) + np.log1p(rest / half))
