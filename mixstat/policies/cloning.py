"""BehaviourCloning: mixture density regression, `max sum_i v_i log pi(a_i | s_i)`, v_i = exp(A_i / temperature) or 1.

With advantages A it is advantage-weighted regression: EM whose responsibilities r_ik are multiplied by exp(A_i / beta).
References: Pomerleau (1989), NIPS; Bishop (1994), NCRG/94/004; Peng, Kumar, Zhang and Levine (2019), arXiv 1910.00177.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from mixstat.estimators.model.checks import choice, integer, number
from mixstat.exceptions import ConvergenceWarning, OptionError
from mixstat.fit.precision import double
from mixstat.fit.progress import counting, warn_of_interrupt
from mixstat.policies.cloning_adam import CHUNK, Rate, train
from mixstat.policies.cloning_data import mean_log_density, pick, row_weights, to_sample, warn_of_clipped
from mixstat.policies.cloning_em import Best, Objective, Sample, climb, finish, log_likelihood
from mixstat.policies.cloning_starts import best_start
from mixstat.policies.policy import GaussianMixturePolicy

SLOPE = 1e-4
"""Largest entry of the gradient of a mean log-likelihood that counts as its maximum."""


class BehaviourCloning:
    """Fit a policy to demonstrated actions, by EM (no extra needed) or by Adam (needs optax).

    Parameters
    ----------
    policy : GaussianMixturePolicy
    method : "em" or "adam"
        "em": generalised EM in float64 from several starts, then L-BFGS on the likelihood itself.
    n_init : int
        Starts, by k-means of actions and of observations with actions in turn; the best after a short EM is followed.
    max_iter, tol : int, float
        Steps of EM at most; it ends when one gains less than `tol` in mean log-likelihood, and L-BFGS goes on.
    steps, batch, learning_rate : int, int, float
        Of Adam; the rate falls to 0 as a cosine.
    validation_fraction, patience : float, int
        Rows held out to choose when to stop, and how long to wait for a better value.
    ridge, scale_penalty : float
        Precision of a normal prior on the weights (not biases) of policies with layers or a network; every expert sees
        the whole sample with a total weight of `scale_penalty / n` rows, so that no standard deviation shrinks to 0.
    random_state : int, Generator or None
    verbose : int

    Attributes
    ----------
    params_ : dict
        What the policy's methods take, float32.
    log_likelihood_ : float
        Mean log-density of the training actions, a row (weighted).
    history_ : list of float
        Mean log-likelihood of u less the penalties: before every step of EM, or of every hundred steps of Adam.
    n_rows_, n_clipped_ : int
        Rows, and those with an action at a bound, which was clipped to 1 - 1e-6.
    effective_rows_ : float
        (sum v)^2 / sum v^2 of the weights.
    converged_, status_ : bool, str
    """

    def __init__(
        self,
        policy: GaussianMixturePolicy,
        *,
        method: str = "em",
        n_init: int = 4,
        max_iter: int = 200,
        tol: float = 1e-4,
        steps: int = 5000,
        batch: int = 256,
        learning_rate: float = 3e-3,
        validation_fraction: float = 0.0,
        patience: int = 5,
        ridge: float = 30.0,
        scale_penalty: float = 1.0,
        random_state: int | np.random.Generator | None = None,
        verbose: int = 1,
    ):
        self.policy = policy
        self.method = method
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.steps = steps
        self.batch = batch
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.ridge = ridge
        self.scale_penalty = scale_penalty
        self.random_state = random_state
        self.verbose = verbose

    @double
    def fit(
        self, observations: Any, actions: Any, *, sample_weight: Any = None, advantages: Any = None, beta: float = 1.0
    ) -> "BehaviourCloning":
        """Fit to observations (row, p) and actions (row, D).

        Rows are weighted by `sample_weight` (row,) and, if `advantages` (row,) are given, by exp(advantage / `beta`).
        DataError: shapes that do not fit, missing values, actions beyond [-1, 1] of a policy that squashes.
        """
        _check_options(self)
        sample, clipped = to_sample(self.policy, observations, actions, row_weights(sample_weight, advantages, beta))
        warn_of_clipped(clipped, len(sample.weight))
        rng, layers = np.random.default_rng(self.random_state), has_layers(self.policy)
        training, held_out = hold_out(sample, self.validation_fraction, rng)
        n = len(training.weight)
        objective = Objective(self.ridge * layers / n, self.scale_penalty / n**2 if self.policy.n_experts > 1 else 0.0)
        best = Best(held_out and (lambda p: float(log_likelihood(self.policy, p, held_out))), self.patience)
        self.history_: list[float] = []
        slope = self._search(training, objective, best, rng)
        self.converged_, self.status_ = verdict(slope, held_out is not None, layers, self.method)
        if not self.converged_ and np.isfinite(slope):
            warnings.warn(self.status_, ConvergenceWarning, stacklevel=3)
        self.params_ = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), best.params)
        self.n_rows_, self.n_clipped_ = len(sample.weight), clipped
        self.effective_rows_ = float(np.sum(sample.weight) ** 2 / np.sum(np.square(sample.weight)))
        self.log_likelihood_ = mean_log_density(self.policy, self.params_, sample)
        return self

    @double
    def score(self, observations: Any, actions: Any, *, sample_weight: Any = None) -> float:
        """Mean log-density of the actions, a row, squashing included."""
        if not hasattr(self, "params_"):
            raise OptionError("this BehaviourCloning is not fitted yet: call fit first")
        sample, _ = to_sample(self.policy, observations, actions, row_weights(sample_weight, None, 1.0))
        return mean_log_density(self.policy, self.params_, sample)

    def _search(self, sample: Sample, objective: Objective, best: Best, rng: np.random.Generator) -> float:
        """Climb from the start; the largest entry of the last gradient (nan of Adam)."""
        best.offer(best_start(self.policy, sample, objective, self.n_init, rng))
        by_em = self.method == "em"
        total = self.max_iter if by_em else -(-self.steps // CHUNK)
        try:
            with counting(f"cloning by {self.method}", total, silent=self.verbose < 1) as count:
                path = self._by_em(sample, objective, best) if by_em else self._by_adam(sample, objective, best, rng)
                for value in path:
                    self.history_.append(value)
                    count()
            return finish(self.policy, sample, objective, best, max(1, self.max_iter // 10)) if by_em else np.nan
        except KeyboardInterrupt:
            warn_of_interrupt("the fit", len(self.history_), total)
            return np.inf

    def _by_em(self, sample: Sample, objective: Objective, best: Best) -> Iterator[float]:
        return climb(self.policy, sample, objective, best, self.max_iter, self.tol)

    def _by_adam(self, sample: Sample, objective: Objective, best: Best, rng: np.random.Generator) -> Iterator[float]:
        rate = Rate(self.steps, min(self.batch, len(sample.weight)), self.learning_rate)
        return train(self.policy, sample, objective, best, int(rng.integers(2**31)), rate)


def has_layers(policy: GaussianMixturePolicy) -> bool:
    """Whether the features have parameters."""
    return bool(policy.hidden) if policy.network is None else True


def hold_out(sample: Sample, fraction: float, rng: np.random.Generator) -> tuple[Sample, Sample | None]:
    """Rows to fit, and rows to stop by (None if there are none)."""
    rows = len(sample.weight)
    aside = int(fraction * rows)
    if aside == 0:
        return sample, None
    order = rng.permutation(rows)
    return pick(sample, np.sort(order[aside:])), pick(sample, np.sort(order[:aside]))


def verdict(slope: float, held_out: bool, layers: bool, method: str) -> tuple[bool, str]:
    """(converged, status) of a search whose last gradient is `slope`."""
    if slope == np.inf:
        return False, "interrupted: the best so far"
    if held_out:
        return True, "stopped where the held-out likelihood was highest"
    if method == "adam":
        return True, "all steps of Adam are done"
    if layers:
        return True, f"stopped near a maximum: no entry of the gradient exceeds {slope:.1e}"
    if slope <= SLOPE:
        return True, f"converged: no entry of the gradient exceeds {slope:.1e}"
    return False, f"not converged: an entry of the gradient is {slope:.1e}; raise max_iter"


def _check_options(cloning: BehaviourCloning) -> None:
    if not isinstance(cloning.policy, GaussianMixturePolicy):
        raise OptionError(f"policy must be a GaussianMixturePolicy, got {type(cloning.policy).__name__}")
    choice("method", cloning.method, ("em", "adam"))
    for name in ("n_init", "max_iter", "steps", "batch", "patience"):
        integer(name, getattr(cloning, name), 1)
    for name in ("tol", "learning_rate", "ridge", "scale_penalty"):
        number(name, getattr(cloning, name))
    number("validation_fraction", cloning.validation_fraction, high=0.9)
