"""Small mixtures built by hand, for tests of kernels and drivers."""

import numpy as np

from mixstat.core.design import Data
from mixstat.core.expert import Experts, Outcome
from mixstat.core.family import Family
from mixstat.core.gate import Gate
from mixstat.core.mixture import Mixture
from mixstat.families import Binomial, Gaussian, NegativeBinomial
from mixstat.fit.penalty import Penalty
from mixstat.fit.ties import TieMap, Ties


def columns(rng: np.random.Generator, rows: int, count: int) -> np.ndarray:
    """(column, row) with the constant first."""
    return np.concatenate([np.ones((1, rows)), rng.normal(size=(count - 1, rows))])


def outcome(family: Family, data: int = 0, width: int = 3, count: int = 1, closed: bool = False) -> Outcome:
    """Location on the first `width` columns, every other parameter constant."""
    places = tuple(tuple(range(width)) if p.location else (0,) for p in family.parameters)
    return Outcome(family, data, places, (-1,) * len(places), count, closed)


def data_of(
    rng: np.random.Generator,
    responses: list[np.ndarray],
    *,
    width: int = 3,
    classes: int = 2,
    unit: np.ndarray | None = None,
    extras: int = 0,
    observed: list | None = None,
) -> Data:
    """Data of `responses`, each (outcome, m, row), with random positive weights."""
    rows = responses[0].shape[-1]
    units = rows if unit is None else int(unit.max()) + 1
    values = columns(rng, rows, width)
    gate = None if unit is None else values[:2, np.unique(unit, return_index=True)[1]]
    return Data(
        values,
        np.zeros((0, rows)),
        tuple(responses),
        tuple(observed or [None] * len(responses)),
        unit,
        gate,
        rng.uniform(0.5, 1.5, units),
        np.zeros((classes, units)),
        rng.normal(size=(extras, units)) - 2,
        None,
    )


def two_gaussians(rows: int, seed: int = 0, closed: bool = True, experts: int = 2) -> tuple[Mixture, Data]:
    """Well separated regressions with a gate on one covariate."""
    rng = np.random.default_rng(seed)
    values = columns(rng, rows, 3)
    klass = rng.random(rows) < 1 / (1 + np.exp(-values[1]))
    y = np.where(klass, 2 + values[2], -2 - values[1]) + 0.5 * rng.normal(size=rows)
    mixture = Mixture((Experts((outcome(Gaussian(), closed=closed),), experts),), Gate(experts, (0, 1)))
    data = data_of(rng, [y[None, None]], classes=experts)._replace(columns=values, weight=np.ones(rows))
    return mixture, data


def mixed_joint(rows: int = 120, seed: int = 1) -> tuple[Mixture, Data]:
    """Three outcomes in grouped units, one extra class, missing entries: everything a kernel must handle at once."""
    rng = np.random.default_rng(seed)
    unit = np.sort(np.concatenate([np.arange(rows // 4), rng.integers(rows // 4, size=rows - rows // 4)]))
    gaussian = Gaussian().encode(rng.normal(size=rows), "y")[None]
    counts = NegativeBinomial().encode(rng.poisson(3.0, rows).astype(float), "c")[None]
    items = np.stack([Binomial().encode(rng.integers(0, 2, rows).astype(float), "b") for _ in range(3)])
    seen = (rng.random((3, rows)) < 0.8).astype(float)
    group = Experts(
        (outcome(Gaussian()), outcome(NegativeBinomial(), 1, 2), outcome(Binomial(), 2, 1, 3)),
        2,
    )
    mixture = Mixture((group, Experts((outcome(Gaussian(), 0, 1),), 1)), Gate(4, (0, 1)), extras=1)
    data = data_of(rng, [gaussian, counts, items], classes=4, unit=unit, extras=1, observed=[None, None, seen])
    return mixture, data


def free(mixture: Mixture) -> Ties:
    """Every coefficient a parameter of its own."""
    return Ties(TieMap(np.arange(mixture.size), np.zeros(mixture.size)))


def unpenalised(size: int, epsilon: float = 0.0) -> Penalty:
    return Penalty(np.zeros(size), np.zeros(size), epsilon)
