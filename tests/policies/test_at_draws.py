"""Densities at draws, rows last, are those of the head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixstat.policies import GaussianMixturePolicy
from mixstat.policies.at_draws import densities


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("squash", [True, False])
def test_they_are_those_of_the_head(covariance, squash):
    policy = GaussianMixturePolicy(3, 2, n_experts=4, covariance=covariance, squash=squash, hidden=(8,))
    key = jax.random.PRNGKey(1)

    def both(params, observations):
        head = policy.head(params, observations)
        u = head.rsample_components(key).pre_squash
        wide = head.over_draws()
        each = wide.component_log_prob(pre_squash=u)
        return densities(head, u), wide.log_prob(pre_squash=u), jnp.diagonal(each, axis1=-2, axis2=-1)

    found, mixture, own = jax.jit(both)(policy.init(key), jax.random.normal(key, (5, 3)))
    np.testing.assert_allclose(found.mixture, mixture, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.own, own, rtol=1e-5, atol=1e-5)
