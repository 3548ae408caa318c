"""Log-densities in multiple precision, written from the textbook formulas and sharing no code with the package."""

from collections.abc import Callable
from typing import Any

import mpmath as mp

mp.mp.dps = 80
HALF = mp.mpf(1) / 2


def logit_pair(eta: Any) -> tuple[Any, Any]:
    return 1 / (1 + mp.exp(-eta)), 1 / (1 + mp.exp(eta))


def gaussian(y: Any, mean: Any, sigma: Any) -> Any:
    return -(((y - mean) / mp.exp(sigma)) ** 2) / 2 - sigma - mp.log(2 * mp.pi) / 2


def student_t(y: Any, mean: Any, sigma: Any, df: Any) -> Any:
    nu, z = mp.exp(df), (y - mean) / mp.exp(sigma)
    constant = mp.loggamma((nu + 1) / 2) - mp.loggamma(nu / 2) - mp.log(nu * mp.pi) / 2 - sigma
    return constant - (nu + 1) / 2 * mp.log1p(z * z / nu)


def lognormal(y: Any, mean: Any, sigma: Any) -> Any:
    return gaussian(mp.log(y), mean, sigma) - mp.log(y)


def gamma(y: Any, mean: Any, shape: Any) -> Any:
    a, m = mp.exp(shape), mp.exp(mean)
    return a * mp.log(a / m) + (a - 1) * mp.log(y) - a * y / m - mp.loggamma(a)


def inverse_gaussian(y: Any, mean: Any, shape: Any) -> Any:
    a, m = mp.exp(shape), mp.exp(mean)
    return mp.log(a / (2 * mp.pi * y**3)) / 2 - a * (y - m) ** 2 / (2 * m * m * y)


def beta(y: Any, mean: Any, precision: Any) -> Any:
    m, rest = logit_pair(mean)
    a, b = m * mp.exp(precision), rest * mp.exp(precision)
    constant = mp.loggamma(mp.exp(precision)) - mp.loggamma(a) - mp.loggamma(b)
    return constant + (a - 1) * mp.log(y) + (b - 1) * mp.log(1 - y)


def poisson(y: Any, mean: Any) -> Any:
    return y * mean - mp.exp(mean) - mp.loggamma(y + 1)


def negative_binomial(y: Any, mean: Any, dispersion: Any) -> Any:
    t, m = mp.exp(-dispersion), mp.exp(mean)
    constant = mp.loggamma(y + t) - mp.loggamma(t) - mp.loggamma(y + 1)
    return constant - t * mp.log1p(m / t) - y * mp.log1p(t / m)


def binomial(y: Any, mean: Any, trials: Any) -> Any:
    m, rest = logit_pair(mean)
    choose = mp.loggamma(trials + 1) - mp.loggamma(y + 1) - mp.loggamma(trials - y + 1)
    return choose + y * mp.log(m) + (trials - y) * mp.log(rest)


def categorical(y: Any, *eta: Any) -> Any:
    return ([mp.mpf(0), *eta])[int(y)] - mp.log(1 + sum(mp.exp(e) for e in eta))


def derivatives(function: Callable, eta: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """Gradient and Hessian by central differences, right to some 20 digits."""
    h, n = mp.mpf(10) ** -15, len(eta)

    def shifted(*moves: tuple[int, int]) -> Any:
        point = list(eta)
        for index, sign in moves:
            point[index] += sign * h
        return function(*point)

    gradient = [(shifted((i, 1)) - shifted((i, -1))) / (2 * h) for i in range(n)]
    hessian = [[mp.mpf(0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            corners = [shifted((i, a), (j, b)) * a * b for a in (1, -1) for b in (1, -1)]
            hessian[i][j] = hessian[j][i] = sum(corners) / (4 * h * h)
    return gradient, hessian
