"""Family: a distribution as one log-density of a few linear predictors, `log f(y | eta_1, ..., eta_P)`.

A family never sees covariates or coefficients. `log_density` is written for one expert and a run of rows; score and
curvature follow by automatic differentiation over the P predictors of a row (Stasinopoulos and Rigby, 2007, JSS 23(7):
distributional regression; here every parameter may have its own formula).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.exceptions import OptionError

Array = Any
"""A numpy or jax array."""

LINKS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda value: value,
    "log": np.log,
    "logit": lambda value: np.log(value) - np.log1p(-value),
}


@dataclass(frozen=True)
class Parameter:
    """One linear predictor of a family: `link(parameter) = eta`.

    `name` is what tables print (`"mean"`, `"mean[y1]"`); `key` is the keyword under which a user gives its formula
    (`sigma="~ x"`); location parameters take the main formula. `term` is what tables call the intercept of a predictor
    that is one of several of a name (the coefficient of an occasion-level covariate, an entry of a covariance).
    `common` parameters are the same in all experts of a mixture; those of `origin` have no intercept,
    those that are not `offset` do not take their formula's offset, which another one has.
    """

    name: str
    link: str = "identity"
    location: bool = False
    key: str = ""
    term: str = ""
    common: bool = False
    origin: bool = False
    offset: bool = True

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.name)


class Tails(NamedTuple):
    """Logs of both tails at y: log P(Y <= y) and log P(Y > y)."""

    lower: np.ndarray
    upper: np.ndarray

    def probability(self) -> np.ndarray:
        """P(Y <= y), from the smaller tail."""
        return np.where(self.lower < self.upper, np.exp(self.lower), -np.expm1(self.upper))


class Natural(NamedTuple):
    """Predictors that tables show on another scale, all of them together (a covariance, not its factor).

    `parameters` are their places in `Family.parameters`. `to` takes their coefficients (P, column), intercepts first
    and 0 where a predictor lacks a column, and gives as many, one to one; it is numpy and analytic, so that a complex
    step gives its derivative. `link` is what tables call the scale, None for that of the predictors.
    """

    parameters: tuple[int, ...]
    to: Callable[[np.ndarray], np.ndarray]
    link: str | None = "identity"


class ClosedForm:
    """Optional closed-form M-step of families that are Gaussian in some residual.

    Where all parameters but the location are constant and nothing is tied, the location is weighted least squares and
    the rest follows from the scatter.
    """

    has_closed_form: ClassVar[bool] = False

    def residuals(self, eta: Sequence[Array], data: Array) -> Array:
        """(dimension, row): response minus location predictor, on the scale where the family is Gaussian."""
        raise NotImplementedError

    def fit_scatter(self, scatter: np.ndarray, total: np.ndarray, weight: float) -> np.ndarray:
        """Constant predictors of the other parameters (host).

        `scatter` (dimension, dimension) is the weighted sum of products of the residuals after least squares, `total`
        (dimension,) its diagonal before (what rounding is measured against), `weight` the sum of weights.
        """
        raise NotImplementedError

    def scatter_log_density(self, constants: Array, scatter: Array, weight: Array) -> Array:
        """Weighted sum of log f over rows whose residuals have this scatter, up to terms free of the parameters."""
        raise NotImplementedError


class Limit(NamedTuple):
    """A point that a fit may be on its way to where constant predictors run to infinity.

    eta      predictors (P,) in the limit
    held     those that inform nothing there, the one that runs away first
    words    what it means; `{who}` is where the expert is named
    remark   what follows from it, and is said once
    loss     what the limit may cost of the objective, relative
    rivals   values of the first of `held` at which the objective must not be higher than in the limit
    """

    eta: np.ndarray
    held: tuple[int, ...]
    words: str
    remark: str = ""
    loss: float = 1e-5
    rivals: tuple[float, ...] = ()


class Selection:
    """Optional selection: rows are there only because their response let them in, as survivors who enter late."""

    @property
    def truncated(self) -> bool:
        """Whether rows are there by a selection on the response, of probability exp(`log_entry`)."""
        return False

    def log_entry(self, eta: Sequence[Array], data: Array) -> Array:
        """log P(the row is observed | eta), (row,), of a truncated family."""
        raise NotImplementedError

    def entry_score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        """First (P, row) and second (P, P, row) derivatives of `log_entry`."""
        raise NotImplementedError


class Softening:
    """Optional softening: constants in the data make the log-density smooth; the larger they are, the smoother."""

    @property
    def stages(self) -> int:
        """In how many stages a search comes from smooth densities to its own; 0 where that is smooth itself."""
        return 0

    @property
    def jumps(self) -> tuple[int, ...]:
        """Parameters in whose predictors a density that is not smooth jumps."""
        return ()

    @property
    def approximate(self) -> bool:
        """Whether the density is an approximation of what it stands for, so that errors are those of a sandwich."""
        return False

    def softened(self, data: np.ndarray, stage: int) -> np.ndarray:
        """`data` with the constants of a stage: 0 is the smoothest, `stages` our own."""
        return data


class Distribution:
    """Optional distribution function of a family with one response (host), for quantiles, intervals and residuals."""

    name: ClassVar[str]
    discrete: ClassVar[bool]

    def tails(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        """log P(Y <= y) and log P(Y > y) at any real y (..., row), both finite inside the support however far out.

        `data` (m, row) is given where the response's constants are known (trials).
        """
        raise OptionError(
            f"family {self.name!r} has no distribution function, which quantiles, intervals and residuals need; "
            "choose a family of one numeric response, or give the family a method `tails`"
        )

    def tails_below(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> Tails:
        """Left limits, log P(Y < y) and log P(Y >= y): a mass function stands on whole numbers."""
        return self.tails(eta, np.ceil(y) - 1.0 if self.discrete else y, data)

    def cdf(self, eta: Sequence[np.ndarray], y: np.ndarray, data: np.ndarray | None = None) -> np.ndarray:
        """P(Y <= y | eta), (..., row)."""
        return self.tails(eta, y, data).probability()


@dataclass(frozen=True)
class Family(ClosedForm, Selection, Softening, Distribution):
    """Base of all families: frozen, hashed by value, holding no arrays.

    A subclass states `name`, `parameters` and the five methods below. `data` is what `encode` returns: an array
    (m, row) whose first `dimension` rows are the response itself and whose other rows are whatever constants of the
    response the density needs (`log y!`, trials). `eta` is a sequence of P arrays, each (row,), or (1,) where the
    predictor is constant; results broadcast to (row,).
    """

    name: ClassVar[str] = ""
    discrete: ClassVar[bool] = False
    """Whether the density is a probability mass function."""
    unbounded: ClassVar[bool] = False
    """Whether a mixture's likelihood is unbounded (a scale may shrink to a point): the scale penalty then applies."""
    repeated: ClassVar[bool] = False
    """Whether a row is a whole subject with its occasions."""
    reach: ClassVar[float] = 5.0
    """Largest change of a predictor on a log or logit scale in one step of a fit."""
    coded: ClassVar[bool] = False
    """Whether the response holds categories, which the data hold as codes."""
    ordered: ClassVar[bool] = False
    """Whether the categories need an order."""
    safe_value: ClassVar[float] = 0.0
    """A valid response, put where one is missing so that every density stays finite."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        raise NotImplementedError

    @property
    def dimension(self) -> int:
        """Number of response columns."""
        return 1

    @property
    def order_by(self) -> int:
        """The parameter whose average predictor orders the experts of a mixture."""
        return 0

    @property
    def kinks(self) -> tuple[int, ...]:
        """Parameters in whose predictors the density is continuous but not smooth (knots of a broken line)."""
        return ()

    @property
    def natural(self) -> tuple[Natural, ...]:
        """Groups of predictors that tables show on another scale than the predictor's."""
        return ()

    @property
    def absorbing(self) -> np.ndarray | None:
        """(P, P) what the intercepts (rows) gain where each predictor (columns) gains 1 by a shift of a covariate; None
        where each predictor's own intercept does."""
        return None

    def translation(self, source: "Family") -> tuple[Natural, ...]:
        """How predictors of `source`, of the same form but other constants, are this family's; none where they are."""
        return ()

    def order_value(self, eta: np.ndarray) -> float:
        """What the experts of a mixture are ordered by, from their average predictors (P,)."""
        return float(eta[self.order_by])

    def limits(self, eta: np.ndarray) -> list[Limit]:
        """Limits that the predictors eta (P,) of an average row may be on their way to."""
        return []

    @property
    def categories(self) -> tuple:
        """The response's levels for a categorical or ordinal family, else empty."""
        return ()

    def specialize(self, names: Sequence[str], levels: Sequence | None) -> "Family":
        """This family for a response with these column names and (if categorical) these levels."""
        return self

    def learnt(self, y: np.ndarray, weight: np.ndarray) -> "Family":
        """This family with the constants that it needs of the sample, y (row,) or (row, columns) and weights (row,)."""
        return self

    def encode(self, y: np.ndarray, name: str) -> np.ndarray:
        """Check the response, float64 (row,) or (row, columns), and return `data` (m, row).

        Raises DataError naming the column `name`, the number of offending rows and the first offending value.
        Missing entries (NaN) are passed through as NaN; the caller masks them.
        """
        raise NotImplementedError

    def uninformed(self, data: np.ndarray) -> str:
        """Why these rows cannot inform the parameters ("has no ..."), an empty text where they can."""
        return ""

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        """log f(y | eta), (row,): stable in log space for every finite eta."""
        raise NotImplementedError

    def mean(self, eta: Sequence[Array]) -> Array:
        """E[y | eta], (row,), or (dimension, row) for several responses, or (category, row) probabilities."""
        raise NotImplementedError

    def mean_given(self, eta: Sequence[Array], data: Array) -> Array:
        """`mean` of a row whose constants are known: of a repeated family (occasion, row)."""
        return self.mean(eta)

    def sample(self, rng: np.random.Generator, eta: Sequence[np.ndarray], data: np.ndarray | None) -> np.ndarray:
        """One draw a row, (row,) or (row, dimension); `data` is given where the response is known (trials)."""
        raise NotImplementedError

    def start(self, data: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Constant predictors (P,) that fit the weighted sample roughly (moments): where Newton may begin."""
        raise NotImplementedError

    def degenerate(self, eta: np.ndarray) -> str:
        """What is wrong with an expert whose average predictors are these (P,), an empty text if nothing is."""
        return ""

    def starts(self, data: np.ndarray, weight: np.ndarray) -> Sequence[np.ndarray]:
        """Several of such predictors where one is not enough: the fit of a single expert tries each."""
        return [self.start(data, weight)]

    def redrawn(self, data: np.ndarray, values: np.ndarray) -> np.ndarray | None:
        """`data` with other values of the response, observed in the way it was; None where they are encoded anew."""
        return None

    def drawn(self, data: np.ndarray) -> int:
        """How many values `sample` draws for a row."""
        return self.dimension

    def observations(self, data: np.ndarray) -> np.ndarray:
        """(row,) how many observations a row holds."""
        return np.ones(data.shape[-1])

    def features(self, data: np.ndarray) -> np.ndarray:
        """(feature, row) what k-means sees of a response when it looks for starts."""
        return data[:1]

    def score(self, eta: Array, data: Array) -> Array:
        """First derivatives (P, row) of `log_density` over the predictors `eta` (P, row) of each row."""
        return jax.grad(lambda e: jnp.sum(self.log_density(tuple(e), data)))(eta)

    def score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        """First (P, row) and second (P, P, row) derivatives of `log_density` over the predictors `eta` (P, row)."""
        count = eta.shape[0]
        directions = jnp.broadcast_to(jnp.eye(count, dtype=eta.dtype)[:, :, None], (count, *eta.shape))
        slope, push = jax.linearize(lambda e: self.score(e, data), eta)
        return slope, jax.vmap(push)(directions)


@dataclass(frozen=True)
class Entry(Family):
    """A family's probability of being observed in the place of its density, with the same predictors."""

    family: Family

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.family.parameters

    def log_density(self, eta: Sequence[Array], data: Array) -> Array:
        if not self.family.truncated:
            return jnp.zeros(data.shape[-1])
        return self.family.log_entry(eta, data)

    def score(self, eta: Array, data: Array) -> Array:
        return self.score_and_curvature(eta, data)[0]

    def score_and_curvature(self, eta: Array, data: Array) -> tuple[Array, Array]:
        if not self.family.truncated:
            return jnp.zeros_like(eta), jnp.zeros((len(eta), *eta.shape))
        return self.family.entry_score_and_curvature(eta, data)
