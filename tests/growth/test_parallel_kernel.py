"""ParallelGrowth: its density against dense normal ones, its derivatives against automatic ones, effects and draws."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from scipy.linalg import block_diag

from mixstat.families.growth import Occasions
from mixstat.families.growth.parallel import ParallelGrowth
from mixstat.fit.precision import double
from tests.growth import brute_force as bf
from tests.growth.cases import COUNTS, Case
from tests.growth.test_kernel import automatic, closed, density

NAMES = ("a", "b", "c")


class Dense(NamedTuple):
    """What was seen of a subject: y, its mean and covariance, and the loadings of all random coefficients."""

    y: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    loadings: np.ndarray


@dataclass(frozen=True)
class Parallel:
    """Cases of several outcomes at the same occasions; `sigma` is the residuals' covariance if they are correlated."""

    cases: tuple[Case, ...]
    blocks: tuple[tuple[str, ...], ...] | None = None
    proportional: bool = False
    correlated: bool = True

    def __str__(self) -> str:
        parts = [*map(str, self.cases), "blocks" * (self.blocks is not None), "proportional" * self.proportional]
        return "+".join(part for part in [*parts, "" if self.correlated else "apart"] if part)

    @property
    def family(self) -> ParallelGrowth:
        members = tuple(case.family for case in self.cases)
        return ParallelGrowth(
            NAMES[: len(members)], members, self.blocks, self.proportional, correlated=self.correlated
        )

    @property
    def sigma(self) -> np.ndarray:
        factor = np.tril(0.25 * np.ones((len(self.cases),) * 2), -1) + np.diag([0.7, 0.9, 0.6][: len(self.cases)])
        return factor @ factor.T

    @property
    def psi(self) -> np.ndarray:
        return self._factor @ self._factor.T

    @property
    def _factor(self) -> np.ndarray:
        """Of the random covariance."""
        size = len(self.family.random_names)
        factor = np.zeros((size, size))
        for (j, i), value in zip(self.family.pairs, self._entries, strict=True):
            factor[j, i] = np.exp(value) if i == j else value
        if self.proportional:
            first, factor[0, 0] = factor[0, 0], 1.0
            factor *= first
        return factor

    @property
    def _entries(self) -> list[float]:
        return [-0.3 - 0.1 * j if i == j else 0.3 * (-1) ** (i + j) / (j + i) for j, i in self.family.pairs]

    def occasions(self) -> Occasions:
        """The same times for all outcomes (unless they need common ones); each misses others."""
        rng, own = np.random.default_rng(3), []
        for case in self.cases:
            at = case.occasions(np.random.default_rng(11))
            seen = at.seen * (rng.random(at.seen.shape) < 0.8)
            seen[:, 4] = at.seen[:, 4] if not own else 0.0
            own.append(at._replace(seen=seen, y=np.where(seen > 0, at.y + rng.normal(size=seen.shape), 0.0)))
        return Occasions(
            *(np.concatenate(parts) for parts in zip(*(each[:3] for each in own), strict=True)), tuple(own)
        )

    def predictors(self) -> np.ndarray:
        """(P, subject): those of means vary between subjects."""
        rng, count = np.random.default_rng(5), len(COUNTS)
        heads = [case.predictors(rng)[: case.family.head] for case in self.cases]
        constant = np.array([*self._entries, *self._residual])
        return np.concatenate([*heads, np.repeat(constant[:, None], count, axis=1)])

    @property
    def _residual(self) -> list[float]:
        if not self.correlated:
            return [value for case in self.cases for value in case.scale]
        lower = np.linalg.cholesky(self.sigma)
        return [np.log(lower[j, i]) if i == j else lower[j, i] for j in range(len(lower)) for i in range(j + 1)]

    def dense(self, eta: np.ndarray, at: Occasions, i: int) -> Dense:
        parts = [self._member(o, eta, at.columns[o], i) for o in range(len(self.cases))]
        y, mean, loadings, residual, kept = zip(*parts, strict=True)
        noise = block_diag(*residual)
        if self.correlated:
            outcome = np.repeat(np.arange(len(kept)), [len(each) for each in kept])
            place = np.concatenate(kept)
            noise = self.sigma[outcome[:, None], outcome] * (place[:, None] == place)
        stacked = block_diag(*loadings)
        covariance = stacked @ self.psi @ stacked.T + noise
        return Dense(np.concatenate(y), np.concatenate(mean), covariance, stacked)

    def _member(self, o: int, eta: np.ndarray, at: Occasions, i: int) -> tuple[Any, ...]:
        """y, mean, loadings, residual covariance and places of one outcome."""
        case, first = self.cases[o], self.family.heads[o]
        own = np.concatenate([eta[first : first + case.family.head, i], list(case.entries.values()), case.scale])
        unit, columns = case.subject(at, i)
        parameters = case.reference(own, columns)
        kept = np.flatnonzero(np.diag(parameters.psi))
        loadings = bf.loading_matrix(parameters.trajectory, unit.times)
        mean = bf.mean_curve(parameters.trajectory, unit.times) + loadings @ parameters.beta[:, 0]
        return unit.y, mean, loadings[:, kept], parameters.residual(unit), np.flatnonzero(at.seen[:, i])


LINE = Case("linear", ("intercept", "slope"))
BENT = Case("bilinear", ("intercept", "slope1", "slope2"))
CASES = [
    Parallel((LINE, LINE)),
    Parallel((BENT, Case("negative_exponential", ("intercept", "change"), fixed=(2,)))),
    Parallel((BENT, LINE), blocks=(("intercept[a]", "intercept[b]"), ("slope1[a]", "slope2[a]"), ("slope[b]",))),
    Parallel((LINE, Case("", (0, 1), fixed=(0, 1, 2))), proportional=True),
    Parallel((Case("bilinear", ()), Case("linear", ("intercept",)), Case("", (), fixed=(0,)))),
    Parallel((Case("bilinear", ("intercept", "knot"), effects=True), LINE)),
    Parallel((LINE, Case("linear", ("intercept",), residual="ar1")), correlated=False),
    Parallel((LINE, Case("latent_basis", ("intercept", "change"), residual="occasion")), correlated=False),
]
SLOW = (1, 2, 4, 5, 6)


def ids(*slow: int) -> list[Any]:
    return [pytest.param(c, marks=[pytest.mark.slow] * (i in slow), id=str(c)) for i, c in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=str)
@double
def test_log_density(case):
    family, at, eta = case.family, case.occasions(), case.predictors()
    assert len(family.parameters) == len(eta)
    found = np.asarray(density(family, eta, family.write(at)))
    for i in range(len(COUNTS)):
        exact = case.dense(eta, at, i)
        assert found[i] == pytest.approx(bf.normal_log_density(*exact[:3]), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("case", ids(*SLOW))
@double
def test_score_and_curvature_by_differences(case):
    """Central differences of the density, and of the score."""
    family, eta = case.family, case.predictors()
    data = family.write(case.occasions())
    score, curvature = (np.asarray(part) for part in closed(family, eta, data))
    for p, step in enumerate(1e-5 * np.eye(len(eta))[:, :, None]):
        slope = (density(family, eta + step, data) - density(family, eta - step, data)) / 2e-5
        np.testing.assert_allclose(score[p], slope, rtol=1e-6, atol=1e-6)
        row = (closed(family, eta + step, data)[0] - closed(family, eta - step, data)[0]) / 2e-5
        np.testing.assert_allclose(curvature[p], row, rtol=1e-6, atol=1e-6 * np.abs(curvature).max())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
@double
def test_score_and_curvature(case):
    family, eta = case.family, case.predictors()
    data = family.write(case.occasions())
    score, curvature = (np.asarray(part) for part in closed(family, eta, data))
    expected_score, expected = (np.asarray(part) for part in automatic(family, eta, data))
    size = np.sqrt(np.abs(np.einsum("ppn->pn", expected))) + 1e-3
    np.testing.assert_array_less(np.abs(score - expected_score), 1e-9 * (size + np.abs(expected_score)))
    np.testing.assert_array_less(np.abs(curvature - expected), 1e-9 * (size[:, None] * size + np.abs(expected)))


@double
def test_moments_are_products_of_whitened_vectors():
    """Those of the kernel, by outcome and pattern, against whitening all vectors."""
    for case in (CASES[2], CASES[4], CASES[6]):
        family, eta, at = case.family, list(case.predictors()), case.occasions()
        gram, log_residual = jax.jit(family.moments)(eta, at)
        mean, basis = family.basis(eta, at)
        whitened, expected = family.whiten(eta, [at.y - mean, *basis], at)
        products = np.einsum("ajn,bjn->abn", whitened, whitened)
        fold = np.zeros((len(gram), len(products)))
        fold[list(family.residual_rows), 0] = 1.0
        fold[list(family.column_rows), 1 + np.arange(family.basis_size)] = 1.0
        np.testing.assert_allclose(np.einsum("ua,uvn,vb->abn", fold, gram, fold), products, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(log_residual, expected, rtol=1e-12)


@double
def test_data_go_in_and_out():
    case = CASES[1]
    family, at = case.family, case.occasions()
    data = family.write(at)
    for found, expected in zip(jax.tree.leaves(family.read(data)), jax.tree.leaves(at), strict=True):
        np.testing.assert_array_equal(found, expected)
    longer = [
        type(own)(*(np.concatenate([part, part[..., -1:, :] * (k != 1)], axis=-2) for k, part in enumerate(own)))
        for own in at.columns
    ]
    stacked = Occasions(*(np.concatenate(parts) for parts in zip(*(o[:3] for o in longer), strict=True)), tuple(longer))
    eta = case.predictors()
    expected = density(family, eta, data)
    np.testing.assert_allclose(density(family, eta, family.write(stacked)), expected, rtol=1e-12)


@pytest.mark.parametrize("case", [CASES[1], CASES[2], CASES[6]], ids=str)
@double
def test_mean_and_random_effects(case):
    """E[zeta | y] = Psi Lam' V^-1 (y - mean), Cov = Psi - Psi Lam' V^-1 Lam Psi (Laird and Ware, 1982)."""
    family, at, eta = case.family, case.occasions(), case.predictors()
    data = family.write(at)
    mean, (effects, covariance) = family.mean_given(eta, data), family.random_effects(eta, data)
    for i in range(len(COUNTS)):
        exact = case.dense(eta, at, i)
        np.testing.assert_allclose(np.asarray(mean)[at.seen[:, i] > 0, i], exact.mean, rtol=1e-10)
        through = case.psi @ exact.loadings.T
        blup = through @ np.linalg.solve(exact.covariance, exact.y - exact.mean)
        left = case.psi - through @ np.linalg.solve(exact.covariance, through.T)
        np.testing.assert_allclose(np.asarray(effects)[:, i], blup, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(np.asarray(covariance)[..., i], left, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("case", [CASES[0], CASES[6]], ids=str)
@double
def test_samples(case):
    """Mean and covariance of many draws of one subject, within 5 standard errors."""
    draws, i = 4000, 0
    family, at, eta = case.family, case.occasions(), case.predictors()
    data = np.repeat(family.write(at)[:, i : i + 1], draws, axis=1)
    sample = family.sample(np.random.default_rng(5), list(np.repeat(eta[:, i : i + 1], draws, axis=1)), data)
    exact = case.dense(eta, at, i)
    assert sample.shape == (draws, family.drawn(data))
    values, spread = sample[:, at.seen[:, i] > 0], np.sqrt(np.diag(exact.covariance))
    assert (np.abs(values.mean(axis=0) - exact.mean) < 5 * spread / np.sqrt(draws)).all()
    bound = 5 * np.sqrt((np.outer(spread, spread) ** 2 + exact.covariance**2) / draws)
    assert (np.abs(np.cov(values.T) - exact.covariance) < bound).all()
    again = family.read(family.redrawn(data, sample))
    np.testing.assert_array_equal(again.y.T[:, at.seen[:, i] > 0], values)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_natural_scale(case):
    """Covariances of random coefficients and of residuals, from the predictors of their factors, and back."""
    family, eta = case.family, case.predictors()[:, :1]
    shown = {}
    for natural in family.natural:
        value = eta[list(natural.parameters)]
        there = natural.to(value)
        shown |= dict(zip(natural.parameters, there[:, 0], strict=True))
    found = np.array([shown[place] for place in range(family.head, len(eta))])
    psi, size = np.array([case.psi[pair] for pair in family.pairs]), len(family.pairs)
    if case.proportional:
        psi[1:] /= psi[0]
    np.testing.assert_allclose(found[:size], psi)
    if case.correlated:
        np.testing.assert_allclose(found[size:], case.sigma[np.tril_indices(len(case.cases))])
