"""Continuous ranked probability score: `CRPS(F, y) = integral of (F(z) - 1{z >= y})^2 dz` of mixtures (host).

Gaussian mixtures have a closed form, discrete ones a sum over their steps; the rest is adaptive Gauss-Kronrod
quadrature between the quantiles of the experts, to a relative error of about 1e-9.
References: Gneiting and Raftery (2007), Strictly proper scoring rules, JASA 102, 359-378; Grimit, Gneiting, Berrocal
and Johnson (2006), Quarterly J. of the Royal Meteorological Society 132, 2925-2942 (Gaussian mixtures).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from mixstat.inference.distribution import AtomLaw, ExpertLaw, Law, Predictive, UniformLaw, normal_score
from mixstat.inference.ordered_floats import smallest

TAIL = 1e-10
"""Probability beyond the summed range of a discrete law: it enters squared."""
BUDGET = 1 << 18
"""Numbers held at once."""
LEVELS = np.array([-8.0, -5.5, -3.0, -1.0, 0.0, 1.0, 3.0, 5.5, 8.0])
"""Normal scores of the quantiles between which an expert's distribution function is integrated."""
TOLERANCE = 1e-10
DEPTH = 50
_NODE = (
    *(0.9914553711208126, 0.9491079123427585, 0.8648644233597691, 0.7415311855993944, 0.5860872354676911),
    *(0.4058451513773972, 0.2077849550078985, 0.0),
)
_KRONROD = (
    *(0.0229353220105292, 0.0630920926299786, 0.1047900103222502, 0.1406532597159255, 0.1690047266392679),
    *(0.1903505780647854, 0.2044329400752989, 0.2094821410847278),
)
_GAUSS = (0.0, 0.1294849661688697, 0.0, 0.2797053914892767, 0.0, 0.3818300505051189, 0.0, 0.4179591836734694)
NODES, KRONROD, GAUSS = (np.array([*half, *half[-2::-1]]) for half in (_NODE, _KRONROD, _GAUSS))
NODES[:7] *= -1.0


def crps(predictive: Predictive, y: np.ndarray) -> np.ndarray:
    """The score of every row's response y (row,), lower is better."""
    if all(_is_gaussian(law) or isinstance(law, AtomLaw) for law in predictive.laws):
        return gaussian_crps(predictive, y)
    return _by_chunks(discrete_crps if predictive.is_discrete else integrated_crps, predictive, y)


def _by_chunks(score, predictive: Predictive, y: np.ndarray, size: int = 512) -> np.ndarray:
    parts = [np.arange(start, min(start + size, len(y))) for start in range(0, len(y), size)]
    return np.concatenate([score(predictive.take(rows), y[rows]) for rows in parts] or [np.zeros(0)])


def _is_gaussian(law: Law) -> bool:
    return isinstance(law, ExpertLaw) and law.family.name == "gaussian"


def gaussian_crps(predictive: Predictive, y: np.ndarray) -> np.ndarray:
    """`sum_k w_k A(y - m_k, s_k^2) - sum_kl w_k w_l A(m_k - m_l, s_k^2 + s_l^2) / 2`, A(m, v) = E|m + sqrt(v) Z|."""
    weight = np.exp(predictive.log_weight)
    mean, variance = (np.stack(part) for part in zip(*(_moments(law, y) for law in predictive.laws), strict=True))
    own = np.sum(weight * _absolute(y - mean, variance), axis=0)
    for k, share in enumerate(weight):
        own -= 0.5 * share * np.sum(weight * _absolute(mean - mean[k], variance + variance[k]), axis=0)
    return np.maximum(own, 0.0)


def _moments(law: Law, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(law, AtomLaw):
        return np.full(y.shape, law.value), np.zeros(y.shape)
    assert isinstance(law, ExpertLaw)
    return np.broadcast_to(law.eta[0], y.shape), np.broadcast_to(np.exp(2.0 * law.eta[1]), y.shape)


def _absolute(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """E|mean + sqrt(variance) Z|."""
    scale = np.sqrt(np.where(variance > 0, variance, 1.0))
    z = mean / scale
    spread = scale * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * z * z)
    return np.where(variance > 0, spread + mean * (2.0 * ndtr(z) - 1.0), np.abs(mean))


def discrete_crps(predictive: Predictive, y: np.ndarray) -> np.ndarray:
    """Exact sum over the steps: whole numbers and point masses."""
    low, high = predictive.quantile(np.array([TAIL, 1.0 - TAIL]))
    low, high = np.floor(low), np.ceil(high)
    score = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    order, start = np.argsort(high - low), 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * (high - low)[order[stop]] <= BUDGET:
            stop += 1
        rows = order[start:stop]
        score[rows] += _steps(predictive.take(rows), y[rows], low[rows], high[rows])
        start = stop
    return score


def _steps(predictive: Predictive, y: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sum of squared errors of the distribution function times the widths of its steps in [low, high].

    The distribution function is the running sum of the masses from below, its complement that from above. The steps
    next to the range are added: they count where nearly all mass is at one value.
    """
    whole = np.arange((high - low).max() + 1.0)[:, None] + low
    atoms = [np.full((1, len(y)), law.value) for law in predictive.laws if isinstance(law, AtomLaw)]
    ends = np.sort(np.clip(np.concatenate([whole, y[None], *atoms]), low, high), axis=0)
    mass = np.exp(predictive.log_density(ends))
    mass[1:][ends[1:] == ends[:-1]] = 0.0
    below, above = np.exp(predictive.tails_below(low).lower), np.exp(predictive.tails(high).upper)
    reached = below + np.cumsum(mass, axis=0)
    beyond = above + np.cumsum(mass[::-1], axis=0)[::-1] - mass
    error = np.where(ends >= y, beyond, reached)[:-1]
    outer = np.where(y <= high, above**2, 0.0) + np.where(y >= low, below**2, 0.0)
    return np.sum(error**2 * np.diff(ends, axis=0), axis=0) + outer


class _Intervals(NamedTuple):
    """Intervals [start, stop] of t with z = centre + scale sinh(t), each of one row."""

    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def halves(self) -> "_Intervals":
        middle = 0.5 * (self.start + self.stop)
        pairs = ((self.row, self.row), (self.start, middle), (middle, self.stop))
        return _Intervals(*(np.concatenate(pair) for pair in pairs))

    def take(self, chosen: np.ndarray) -> "_Intervals":
        return _Intervals(*(leaf[chosen] for leaf in self))


def integrated_crps(predictive: Predictive, y: np.ndarray) -> np.ndarray:
    """Adaptive quadrature between the breaks of the classes; the integrand is monotone on each side of y."""
    breaks, centre, scale = _breaks(predictive)
    low, high = breaks.min(axis=0), breaks.max(axis=0)
    score = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    split = np.arcsinh((np.clip(y, low, high) - centre) / scale)
    ends = np.sort(np.concatenate([np.arcsinh((breaks - centre) / scale), split[None]]), axis=0)
    row = np.broadcast_to(np.arange(len(y)), ends[1:].shape)
    intervals = _Intervals(row.ravel(), ends[:-1].ravel(), ends[1:].ravel())
    intervals = intervals.take(intervals.stop > intervals.start)
    for _ in range(DEPTH):
        value, error = _integrate(predictive, intervals, split, centre, scale)
        total = score + np.bincount(intervals.row, value, minlength=len(y))
        rough = error > TOLERANCE * total[intervals.row]
        score += np.bincount(intervals.row[~rough], value[~rough], minlength=len(y))
        if not rough.any():
            return score
        intervals = intervals.take(rough).halves()
    value, _ = _integrate(predictive, intervals, split, centre, scale)
    return score + np.bincount(intervals.row, value, minlength=len(y))


def _integrate(
    predictive: Predictive, intervals: _Intervals, split: np.ndarray, centre: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Kronrod's value and its distance from Gauss's, (interval,)."""
    row, half = intervals.row, 0.5 * (intervals.stop - intervals.start)
    t = 0.5 * (intervals.start + intervals.stop) + half * NODES[:, None]
    lower, upper = predictive.take(row).tails(centre[row] + scale[row] * np.sinh(t))
    side = 0.5 * (intervals.start + intervals.stop) > split[row]
    height = np.exp(2.0 * np.where(side, upper, lower)) * scale[row] * np.cosh(t) * half
    value = KRONROD @ height
    return value, np.abs(value - GAUSS @ height)


def _breaks(predictive: Predictive) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (break, row) between which F is smooth, and the centre and scale (row,) of its main expert.

    0 and 1 are among them where they lie inside: the supports of families begin and end there.
    """
    experts = [index for index, law in enumerate(predictive.laws) if isinstance(law, ExpertLaw)]
    quantiles = np.stack([near_quantiles(predictive.laws[index], predictive.rows) for index in experts])
    main = np.argmax(predictive.log_weight[experts], axis=0)
    inner = np.take_along_axis(quantiles[:, 3:6], main[None, None], axis=0)[0]
    others = [_edges(law) for law in predictive.laws if not isinstance(law, ExpertLaw)]
    points = np.concatenate(
        [quantiles.reshape(-1, predictive.rows), *(np.tile(o, (predictive.rows, 1)).T for o in others)]
    )
    supports = np.clip(np.array([[0.0], [1.0]]), points.min(axis=0), points.max(axis=0))
    scale = np.maximum(0.5 * (inner[2] - inner[0]), np.finfo(np.float64).tiny)
    return np.concatenate([points, supports]), inner[1], scale


def _edges(law: Law) -> np.ndarray:
    if isinstance(law, AtomLaw):
        return np.array([law.value])
    assert isinstance(law, UniformLaw)
    return np.array([law.low, law.high])


def near_quantiles(law: Law, rows: int, slack: float = 0.3) -> np.ndarray:
    """Quantiles of one class whose normal scores are within `slack` of `LEVELS`, (level, row)."""
    return smallest(lambda y: normal_score(law.tails(y)) - LEVELS[:, None], (len(LEVELS), rows), slack=slack)
