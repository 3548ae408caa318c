"""One state, exact answers: `pi*(a) = exp(r(a) / alpha) / Z` maximises `J = E r(a) + alpha H(pi)`, and
`KL(pi || pi*) = (V* - J) / alpha` with `V* = alpha log Z`.

`OneState` is a reward with four bumps on [-1, 1]^2, whose integrals are sums over a grid; `obstacle_task` a behaviour
to clone that passes an obstacle on either side. Both have a mean that is the worst of actions.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import trapezoid

from mixstat.core.family import Array
from mixstat.core.kernel import kernel
from mixstat.exceptions import OptionError
from mixstat.fit.precision import double
from mixstat.policies.head import MixtureHead
from mixstat.policies.losses import actor_loss
from mixstat.policies.optimizer import adam
from mixstat.policies.squashing import log_jacobian, squash, stopped


@dataclass(frozen=True)
class OneState:
    """`r(a) = sum_g exp(-|a - g|^2 / (2 spread^2))`, g one of `goals`, at temperature alpha.

    Four goals at distance 0.6 from the centre in two dimensions; one Gaussian that fits one of M separated bumps has
    divergence log M at least. `alpha` is the entropy's weight.
    """

    spread: float = 0.2
    alpha: float = 0.1
    goals: tuple[tuple[float, ...], ...] = ((0.6, 0.0), (-0.6, 0.0), (0.0, 0.6), (0.0, -0.6))

    def __post_init__(self) -> None:
        if not (self.spread > 0 and self.alpha > 0):
            raise OptionError(f"spread and alpha must be positive, got {self.spread!r} and {self.alpha!r}")

    @property
    def action_size(self) -> int:
        return len(self.goals[0])

    def reward(self, action: Array) -> Array:
        """r, (...,), of actions (..., D)."""
        gaps = action[..., None, :] - jnp.asarray(self.goals, jnp.result_type(action, jnp.float32))
        return jnp.sum(jnp.exp(-0.5 * jnp.sum(gaps**2, axis=-1) / self.spread**2), axis=-1)

    def value(self, points: int = 1201) -> float:
        """V* = alpha log int exp(r / alpha), by the trapezoidal rule on a grid of `points` a dimension (float64)."""
        axis = np.linspace(-1.0, 1.0, points)
        grid = np.stack(np.meshgrid(*[axis] * self.action_size, indexing="ij"), axis=-1)
        gaps = [np.sum((grid - np.asarray(goal)) ** 2, axis=-1) for goal in self.goals]
        exponent = sum(np.exp(-0.5 * gap / self.spread**2) for gap in gaps) / self.alpha
        top = exponent.max()
        total = np.exp(exponent - top)
        for _ in range(self.action_size):
            total = trapezoid(total, axis, axis=-1)
        return float(self.alpha * (top + np.log(total)))

    def divergence(self, head: MixtureHead, key: Array | None = None, *, draws: int = 100_000) -> float:
        """KL(pi || pi*) in nats of a head of one state (no leading axes).

        By quadrature (see `objective`; standard deviations of u of .03 and more); with a key by Monte Carlo over draws.
        """
        return (self.value() - (self._integrated(head) if key is None else self._drawn(head, key, draws))) / self.alpha

    @double
    def _integrated(self, head: MixtureHead) -> float:
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), head)
        return float(jax.jit(partial(self.objective, points=601))(wide))

    def _drawn(self, head: MixtureHead, key: Array, draws: int) -> float:
        drawn = jax.vmap(head.draw)(jax.random.split(key, draws))
        log_prob = head.over_draws().log_prob(pre_squash=drawn.pre_squash)
        return float(jnp.mean(self.reward(drawn.action) - self.alpha * log_prob))

    def objective(self, head: MixtureHead, points: int = 201, reach: float = 6.0) -> Array:
        """J by the trapezoidal rule over u in [-reach, reach]^D: exact where the head has no mass beyond, smooth.

        Its gradient is the exact one that estimators of `actor_loss` are unbiased for, or not.
        """
        axis = jnp.linspace(-reach, reach, points, dtype=head.mean.dtype)
        u = jnp.stack(jnp.meshgrid(*[axis] * self.action_size, indexing="ij"), axis=-1).reshape(-1, self.action_size)
        log_prob = head.over_draws().log_prob(pre_squash=u)
        mass = jnp.exp(log_prob + log_jacobian(u)) * (axis[1] - axis[0]) ** self.action_size
        return jnp.sum(mass * (self.reward(squash(u)) - self.alpha * log_prob))

    def start(self, key: Array, n_experts: int, *, spread: float = 0.3, log_sd: float = -1.0) -> MixtureHead:
        """A head of equal weights whose means are spread around the centre."""
        shape = (n_experts, self.action_size)
        return MixtureHead(jnp.zeros(n_experts), spread * jax.random.normal(key, shape), jnp.full(shape, log_sd))

    def improve(
        self,
        head: MixtureHead,
        key: Array,
        *,
        estimator: str = "marginal",
        steps: int = 2000,
        batch: int = 64,
        learning_rate: float = 5e-3,
        frozen_experts: bool = False,
        **options: str | float,
    ) -> "Improved":
        """Adam on `actor_loss` (whose further options may be given) from `head`, one compiled loop; needs optax.

        `frozen_experts` lets the gate alone learn.
        """
        search = Search(estimator, batch, learning_rate, frozen_experts, tuple(sorted(options.items())))
        return Improved(*_improve(self, search, head, jax.random.split(key, steps)))


class Improved(NamedTuple):
    """Where Adam has led: the head, and the loss of every step (step,)."""

    head: MixtureHead
    losses: Array


class Search(NamedTuple):
    """How to improve: static."""

    estimator: str
    batch: int
    learning_rate: float
    frozen_experts: bool
    options: tuple[tuple[str, str | float], ...]

    def loss(self, problem: OneState, head: MixtureHead, key: Array) -> Array:
        """`actor_loss` on a batch of one state."""
        seen = replace(stopped(head), logits=head.logits) if self.frozen_experts else head
        rows = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.batch, *leaf.shape)), seen)
        return actor_loss(self.estimator, key, rows, problem.reward, problem.alpha, **dict(self.options))[0]  # type: ignore[arg-type]


def _steps(problem: OneState, search: Search, head: MixtureHead, keys: Array) -> tuple[MixtureHead, Array]:
    optimiser = adam(search.learning_rate)

    def step(carry: tuple, key: Array) -> tuple:
        head, state = carry
        loss, gradient = jax.value_and_grad(lambda h: search.loss(problem, h, key))(head)
        moves, state = optimiser.update(gradient, state, head)
        return (jax.tree.map(jnp.add, head, moves), state), loss

    losses: Array
    (head, _), losses = jax.lax.scan(step, (head, optimiser.init(head)), keys)
    return head, losses


_improve = kernel(_steps, specs=2)


class Demonstrations(NamedTuple):
    """Observations (row, 1), actions (row, 1) of a behaviour to clone, and the log-density of each (row,)."""

    observations: np.ndarray
    actions: np.ndarray
    log_density: np.ndarray


@dataclass(frozen=True)
class Obstacle:
    """A behaviour that passes an obstacle |a| < `clearance` on either side: `a = z (.6 + .2 x) + noise e`.

    x ~ U(-1, 1) is observed, z = 1 with probability 1 / (1 + exp(-3 x)) and else -1, e standard normal.
    """

    noise: float = 0.05
    clearance: float = 0.3

    def demonstrations(self, rows: int, random_state: int | np.random.Generator | None = None) -> Demonstrations:
        """Draws of it, and the truth's log-density of each."""
        rng = np.random.default_rng(random_state)
        x = rng.uniform(-1.0, 1.0, rows)
        side = np.where(rng.random(rows) < 1.0 / (1.0 + np.exp(-3.0 * x)), 1.0, -1.0)
        action = side * (0.6 + 0.2 * x) + self.noise * rng.standard_normal(rows)
        return Demonstrations(x[:, None], action[:, None], self.log_density(x, action))

    def log_density(self, x: np.ndarray, action: np.ndarray) -> np.ndarray:
        """The truth's, (row,)."""
        each = [
            -np.logaddexp(0.0, -3.0 * z * x) - 0.5 * ((action - z * (0.6 + 0.2 * x)) / self.noise) ** 2
            for z in (1.0, -1.0)
        ]
        return np.logaddexp(*each) - np.log(self.noise) - 0.5 * np.log(2.0 * np.pi)

    def crashes(self, actions: np.ndarray) -> float:
        """Share of actions that hit the obstacle."""
        return float(np.mean(np.abs(np.asarray(actions)) < self.clearance))
