"""Links of ordered categories against 120 digits, also where probabilities round to 0 or 1."""

import jax
import mpmath
import numpy as np
import pytest

from mixstat.families.ordinal import LINKS

mpmath.mp.dps = 120
F = {
    "logit": lambda x: 1 / (1 + mpmath.exp(-x)),
    "probit": mpmath.ncdf,
    "cloglog": lambda x: -mpmath.expm1(-mpmath.exp(x)),
    "loglog": lambda x: mpmath.exp(-mpmath.exp(-x)),
    "cauchit": lambda x: mpmath.mpf(1) / 2 + mpmath.atan(x) / mpmath.pi,
}
POINTS = (-30.0, -4.0, -0.3, 0.0, 0.7, 5.0)
GAPS = (1e-8, 0.02, 1.0, 20.0)


@pytest.mark.parametrize("name", LINKS)
def test_logs_of_both_tails_and_of_what_lies_between(name):
    link, cdf = LINKS[name], F[name]
    with jax.enable_x64(True):
        for low in POINTS:
            for gap in GAPS:
                high = low + gap
                exact = mpmath.log(cdf(mpmath.mpf(high)) - cdf(mpmath.mpf(low)))
                # the gap itself is rounded: its relative error is that of the numbers it is between
                slack = 1e-13 + 4e-16 * abs(high) / gap
                assert float(link.log_between(high, low)) == pytest.approx(float(exact), rel=1e-12, abs=slack)
            assert float(link.log_lower(low)) == pytest.approx(float(mpmath.log(cdf(mpmath.mpf(low)))), rel=1e-12)
            upper = mpmath.log1p(-cdf(mpmath.mpf(low)))
            assert float(link.log_upper(low)) == pytest.approx(float(upper), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("name", LINKS)
def test_derivatives_stay_finite_far_out(name):
    link = LINKS[name]
    with jax.enable_x64(True):
        second = jax.jit(jax.hessian(lambda v: link.log_between(v[0], v[1])))
        for pair in ((800.0, -3.0), (5.0, -800.0), (0.1, 0.1 - 1e-9), (40.0, 39.0), (-39.0, -40.0)):
            if name != "logit" and max(map(abs, pair)) > 100:
                continue
            assert np.isfinite(second(np.array(pair))).all(), pair


@pytest.mark.parametrize("name", LINKS)
def test_quantiles_invert_the_links(name):
    p = np.array([1e-6, 0.2, 0.5, 0.9, 1 - 1e-6])
    np.testing.assert_allclose(LINKS[name].cdf(LINKS[name].quantile(p)), p, rtol=1e-9)
