"""The log-likelihood of a mixture from its published `tidy()` coefficients, sharing no code with the package.

Twice: with `scipy.stats` densities in numpy, and from textbook formulas in `jax.numpy` for derivatives.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.scipy.special import gammaln, logsumexp
from scipy import stats
from scipy.special import expit
from scipy.special import logsumexp as scipy_logsumexp

Eta = Mapping[str, np.ndarray]
LOCATIONS = ("mean", "mean_log", "logit")


def predictors(table: pd.DataFrame, frame: pd.DataFrame, expert: int, theta: np.ndarray) -> dict[str, np.ndarray]:
    """eta of every parameter of one expert, offset o added to locations where the frame has it."""
    eta: dict[str, np.ndarray] = {}
    for index, row in enumerate(table.itertuples()):
        if row.expert is pd.NA or (row.expert == expert and row.parameter != "gate"):
            column = 1.0 if row.term == "Intercept" else frame[row.term].to_numpy()
            eta[row.parameter] = eta.get(row.parameter, np.zeros(len(frame))) + theta[index] * column
    for name in eta:
        if "o" in frame and name.split("[")[0] in LOCATIONS:
            eta[name] = eta[name] + frame["o"].to_numpy()
    return eta


def gate_scores(table: pd.DataFrame, frame: pd.DataFrame, experts: int, theta: np.ndarray) -> list:
    """Unnormalised log gate of each expert, 0 for expert 1."""
    scores = [np.zeros(len(frame)) for _ in range(experts)]
    for index, row in enumerate(table.itertuples()):
        if row.parameter == "gate":
            column = 1.0 if row.term == "Intercept" else frame[row.term].to_numpy()
            scores[row.expert - 1] = scores[row.expert - 1] + theta[index] * column
    return scores


def _scipy_categorical(frame: pd.DataFrame, eta: Eta) -> np.ndarray:
    logits = np.stack([np.zeros(len(frame)), *eta.values()])
    levels = ["a"] + [name.split("[")[1][:-1] for name in eta]
    chosen = np.array([levels.index(value) for value in frame["y"]])
    return logits[chosen, np.arange(len(frame))] - scipy_logsumexp(logits, axis=0)


def _scipy_two_responses(frame: pd.DataFrame, eta: Eta) -> np.ndarray:
    """The bivariate density with row-wise covariance: z = dependence * y + an independent error."""
    a = eta.get("dependence[z,y]", np.zeros(len(frame)))
    s, t = np.exp(eta["sigma[y]"]), np.exp(eta["sigma[z]"])
    covariance = np.array([[s**2, a * s**2], [a * s**2, a**2 * s**2 + t**2]]).transpose(2, 0, 1)
    mean = np.column_stack([eta["mean[y]"], eta["mean[z]"]])
    rows = zip(frame[["y", "z"]].to_numpy(), mean, covariance, strict=True)
    return np.array([stats.multivariate_normal.logpdf(y, m, c) for y, m, c in rows])


SCIPY: dict[str, Callable[[pd.DataFrame, Eta], np.ndarray]] = {
    "gaussian": lambda f, e: stats.norm.logpdf(f.y, e["mean"], np.exp(e["sigma"])),
    "student_t": lambda f, e: stats.t.logpdf(f.y, np.exp(e["df"]), e["mean"], np.exp(e["sigma"])),
    "lognormal": lambda f, e: stats.lognorm.logpdf(f.y, np.exp(e["sigma"]), scale=np.exp(e["mean_log"])),
    "gamma": lambda f, e: stats.gamma.logpdf(f.y, np.exp(e["shape"]), scale=np.exp(e["mean"] - e["shape"])),
    "inverse_gaussian": lambda f, e: stats.invgauss.logpdf(
        f.y, np.exp(e["mean"] - e["shape"]), scale=np.exp(e["shape"])
    ),
    "beta": lambda f, e: stats.beta.logpdf(
        f.y, expit(e["mean"]) * np.exp(e["precision"]), expit(-e["mean"]) * np.exp(e["precision"])
    ),
    "poisson": lambda f, e: stats.poisson.logpmf(f.y, np.exp(e["mean"])),
    "negative_binomial": lambda f, e: stats.nbinom.logpmf(
        f.y, np.exp(-e["dispersion"]), 1 / (1 + np.exp(e["mean"] + e["dispersion"]))
    ),
    "binomial": lambda f, e: stats.binom.logpmf(f.y, f.y + f.failures, expit(e["mean"])),
    "categorical": _scipy_categorical,
    "multivariate_gaussian": _scipy_two_responses,
    "diagonal_gaussian": _scipy_two_responses,
}


def _normal(y, mean, log_sigma):
    return -(((y - mean) / jnp.exp(log_sigma)) ** 2) / 2 - log_sigma - jnp.log(2 * jnp.pi) / 2


def _student_t(y, mean, log_sigma, df):
    z = (y - mean) / jnp.exp(log_sigma)
    constant = gammaln((df + 1) / 2) - gammaln(df / 2) - jnp.log(df * jnp.pi) / 2 - log_sigma
    return constant - (df + 1) / 2 * jnp.log(1 + z**2 / df)


def _gamma(y, mean, shape):
    return shape * jnp.log(shape / mean) + (shape - 1) * jnp.log(y) - shape * y / mean - gammaln(shape)


def _inverse_gaussian(y, mean, shape):
    return jnp.log(shape / (2 * jnp.pi * y**3)) / 2 - shape * (y - mean) ** 2 / (2 * mean**2 * y)


def _beta(y, a, b):
    return gammaln(a + b) - gammaln(a) - gammaln(b) + (a - 1) * jnp.log(y) + (b - 1) * jnp.log(1 - y)


def _negative_binomial(y, mean, size):
    constant = gammaln(y + size) - gammaln(size) - gammaln(y + 1)
    return constant + size * jnp.log(size / (size + mean)) + y * jnp.log(mean / (size + mean))


def _binomial(y, n, p):
    return gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1) + y * jnp.log(p) + (n - y) * jnp.log(1 - p)


def _categorical(frame: pd.DataFrame, eta: Eta):
    logits = jnp.stack([jnp.zeros(len(frame)), *eta.values()])
    levels = ["a"] + [name.split("[")[1][:-1] for name in eta]
    chosen = np.array([levels.index(value) for value in frame["y"]])
    return logits[chosen, np.arange(len(frame))] - logsumexp(logits, axis=0)


def _two_responses(frame: pd.DataFrame, eta: Eta):
    y, z = frame["y"].to_numpy(), frame["z"].to_numpy()
    given = eta["mean[z]"] + eta.get("dependence[z,y]", 0.0) * (y - eta["mean[y]"])
    return _normal(y, eta["mean[y]"], eta["sigma[y]"]) + _normal(z, given, eta["sigma[z]"])


def _y(frame: pd.DataFrame) -> np.ndarray:
    return frame["y"].to_numpy(dtype=float)


TEXTBOOK: dict[str, Callable[[pd.DataFrame, Eta], jax.Array]] = {
    "gaussian": lambda f, e: _normal(_y(f), e["mean"], e["sigma"]),
    "student_t": lambda f, e: _student_t(_y(f), e["mean"], e["sigma"], jnp.exp(e["df"])),
    "lognormal": lambda f, e: _normal(jnp.log(_y(f)), e["mean_log"], e["sigma"]) - jnp.log(_y(f)),
    "gamma": lambda f, e: _gamma(_y(f), jnp.exp(e["mean"]), jnp.exp(e["shape"])),
    "inverse_gaussian": lambda f, e: _inverse_gaussian(_y(f), jnp.exp(e["mean"]), jnp.exp(e["shape"])),
    "beta": lambda f, e: _beta(
        _y(f), jnp.exp(e["precision"]) / (1 + jnp.exp(-e["mean"])), jnp.exp(e["precision"]) / (1 + jnp.exp(e["mean"]))
    ),
    "poisson": lambda f, e: _y(f) * e["mean"] - jnp.exp(e["mean"]) - gammaln(_y(f) + 1),
    "negative_binomial": lambda f, e: _negative_binomial(_y(f), jnp.exp(e["mean"]), jnp.exp(-e["dispersion"])),
    "binomial": lambda f, e: _binomial(_y(f), _y(f) + f["failures"].to_numpy(), 1 / (1 + jnp.exp(-e["mean"]))),
    "categorical": _categorical,
    "multivariate_gaussian": _two_responses,
    "diagonal_gaussian": _two_responses,
}


def scipy_log_likelihood(family: str, table: pd.DataFrame, frame: pd.DataFrame, experts: int = 2) -> float:
    """sum_i w_i log sum_k pi_k f_k with scipy.stats densities; w is the frame's column w, or 1."""
    theta = table["estimate"].to_numpy()
    scores = np.stack(gate_scores(table, frame, experts, theta))
    log_gate = scores - scipy_logsumexp(scores, axis=0)
    log_expert = np.stack([SCIPY[family](frame, predictors(table, frame, k + 1, theta)) for k in range(experts)])
    return float(frame.get("w", pd.Series(1.0, frame.index)) @ scipy_logsumexp(log_gate + log_expert, axis=0))


def textbook_log_likelihood(
    family: str, table: pd.DataFrame, frame: pd.DataFrame, experts: int = 2
) -> Callable[[jax.Array], jax.Array]:
    """The same as a function of the coefficients in the order of `table`, for jax's derivatives."""
    weight = frame["w"].to_numpy() if "w" in frame else np.ones(len(frame))

    def log_likelihood(theta: jax.Array) -> jax.Array:
        scores = jnp.stack(gate_scores(table, frame, experts, theta))
        log_gate = scores - logsumexp(scores, axis=0)
        log_expert = jnp.stack(
            [TEXTBOOK[family](frame, predictors(table, frame, k + 1, theta)) for k in range(experts)]
        )
        return jnp.sum(weight * logsumexp(log_gate + log_expert, axis=0))

    return log_likelihood
