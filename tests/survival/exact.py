"""The adapted power generalised Weibull and log-gamma tails by mpmath, in enough digits for differences."""

from collections.abc import Callable

import mpmath as mp

Function = Callable[[mp.mpf, mp.mpf], mp.mpf]
DIGITS = 120
STEP = mp.mpf(10) ** -30


def log_total(u: float | mp.mpf, nu: float | mp.mpf) -> mp.mpf:
    """log H0 at log z = u and nu = log(kappa + 1)."""
    u, nu = mp.mpf(u), mp.mpf(nu)
    w = mp.exp(-nu)
    b = mp.log1p(w * mp.exp(u)) / w
    c = (1 - w) * b
    return mp.log(b) + (mp.log(mp.expm1(c) / c) if c != 0 else 0)


def log_hazard(u: float | mp.mpf, nu: float | mp.mpf) -> mp.mpf:
    """log h0."""
    u, nu = mp.mpf(u), mp.mpf(nu)
    w = mp.exp(-nu)
    return (1 - 2 * w) * mp.log1p(w * mp.exp(u)) / w


def law(time: float, log_phi: float, log_lambda: float, log_gamma: float, nu: float) -> tuple[mp.mpf, mp.mpf]:
    """log H and log h at a time, from the predictors as floating point holds them."""
    phi, lam, gamma = (mp.exp(mp.mpf(value)) for value in (log_phi, log_lambda, log_gamma))
    u = gamma * mp.log(phi * mp.mpf(time))
    return (
        mp.log(lam) + log_total(u, nu),
        mp.log(lam) + mp.log(gamma) + u - mp.log(mp.mpf(time)) + log_hazard(u, nu),
    )


def first(function: Function, x: float, y: float) -> tuple[mp.mpf, mp.mpf]:
    """Derivatives by x and by y, central differences in 120 digits."""
    x, y, h = mp.mpf(x), mp.mpf(y), STEP
    return (
        (function(x + h, y) - function(x - h, y)) / (2 * h),
        (function(x, y + h) - function(x, y - h)) / (2 * h),
    )


def second(function: Function, x: float, y: float) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """Derivatives xx, xy and yy."""
    x, y, h = mp.mpf(x), mp.mpf(y), STEP
    middle = function(x, y)
    mixed = function(x + h, y + h) - function(x + h, y - h) - function(x - h, y + h) + function(x - h, y - h)
    return (
        (function(x + h, y) - 2 * middle + function(x - h, y)) / h**2,
        mixed / (4 * h**2),
        (function(x, y + h) - 2 * middle + function(x, y - h)) / h**2,
    )


def log_gamma_tail(w: float | mp.mpf, q: float | mp.mpf) -> mp.mpf:
    """log P(W > w) of the standardised log-gamma variable of shape q."""
    w, q = mp.mpf(w), mp.mpf(q)
    if q == 0:
        return mp.log(mp.erfc(w / mp.sqrt(2)) / 2)
    shape = 1 / q**2
    x = shape * mp.exp(q * w)
    if q > 0:
        return mp.log(mp.gammainc(shape, x, mp.inf, regularized=True))
    return mp.log(mp.gammainc(shape, 0, x, regularized=True))
