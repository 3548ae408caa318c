"""Sampling: draws from the posterior and from Laplace's approximation, and draws of any kind for ArviZ."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.exporting import groups, kind_of
from mixstat.estimators.methods.priors import multipliers
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import integer, number
from mixstat.estimators.model.random import generator
from mixstat.exceptions import ConvergenceWarning, DataError, OptionError
from mixstat.inference.nuts import Schedule
from mixstat.inference.posterior import normal_draws
from mixstat.inference.prior import make_prior
from mixstat.inference.sampling import sample
from mixstat.results.draws import PosteriorDraws
from mixstat.results.inference_data import to_inference_data

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.fit.problem import Problem


class Sampling:
    """Methods that draw coefficients."""

    fitted_: "Fitted"
    _problem: "Problem"
    verbose: int

    def sample_posterior(
        self,
        draws: int = 1000,
        chains: int = 4,
        *,
        warmup: int = 500,
        priors: Mapping[str, float] | None = None,
        target_acceptance: float = 0.8,
        random_state: Any = None,
    ) -> PosteriorDraws:
        """Draw the coefficients from their posterior by the no-U-turn sampler, chains started around the maximum.

        The likelihood is the unpenalised one, weights included as powers. Priors are independent normal
        distributions of the coefficients for standardised covariates (mean 0, standard deviation 1); with s the
        response's standard deviation on the scale of an identity link, and 1 for a log or logit link, they have

        ============== ================================================ ==================
        key            coefficients                                     standard deviation
        ============== ================================================ ==================
        "intercept"    location intercepts                              2.5 s
        "slope"        slopes of the location and of other parameters   2.5 s, 2.5
        "scale"        intercepts of other parameters (log sigma, ...)  1.5
        "gate"         gate coefficients (log odds)                     2.5
        ============== ================================================ ==================

        Intercepts are centred at one expert's moments of the whole sample (the response's mean on its link, the log
        of its standard deviation), all others at 0. Gate coefficients are correlated 1/2, so that no class is
        special (Gelman, Jakulin, Pittau and Su, 2008, Annals of Applied Statistics 2; the autoscaled defaults of
        rstanarm are alike).

        Experts of equal form are exchangeable under the prior: draws are relabelled afterwards to agree with the
        labels of the fit, by the Kullback-Leibler criterion on the responsibilities (Stephens, 2000, JRSS-B 62).

        Parameters
        ----------
        draws, chains, warmup : int
            Draws kept of each chain, chains, and draws of each chain that adapt the sampler and are discarded.
        priors : mapping, optional
            Other multiples than 2.5 and 1.5: by a key above, a parameter ("sigma") or a term ("x"), the last being
            the strongest, e.g. {"slope": 1.0, "sigma": 0.5}.
        target_acceptance : float
            Mean acceptance that the step size is adapted to; nearer 1 against divergent draws.

        Chains run one after another, in rounds of a few draws each. Shows progress, and can be interrupted: what is
        done is returned. Warns where draws diverge or chains do not agree. Needs blackjax and the training data.
        """
        check_is_fitted(self, "fitted_")
        schedule = Schedule(
            integer("chains", chains, 1),
            integer("draws", draws, 4),
            integer("warmup", warmup, 20),
            number("target_acceptance", target_acceptance, low=0.05, high=0.999),
        )
        if self.fitted_.plan.repeated:
            raise OptionError("sample_posterior() has no priors for growth curves; see bootstrap() and laplace_draws()")
        rng, scales = generator(random_state), multipliers(self.fitted_, priors)
        if not hasattr(self, "_problem"):
            raise DataError("sample_posterior() needs the training data, which a saved model does not hold; refit")
        _require_blackjax()
        origin, information = self.fitted_.solution.theta, self._information()  # type: ignore[attr-defined]
        if not len(origin) or not np.isfinite(information).all():
            raise DataError("there is nothing to draw: no free coefficient, or the information there is not finite")
        prior = make_prior(self._problem, scales)
        found = sample(self._problem, prior, (origin, information), schedule, rng, silent=not self.verbose)
        on_user_scale = {"values": report.to_user_coefficients(self.fitted_, found.values)}
        result = PosteriorDraws(**vars(found) | on_user_scale, labels=tuple(report.labels_of(self.fitted_)))
        if not result.is_sound:
            warnings.warn(
                f"{result.status}; raise warmup, draws or target_acceptance", ConvergenceWarning, stacklevel=2
            )
        return result

    def laplace_draws(self, n: int = 1000, random_state: Any = None, *, covariance: str | None = None) -> np.ndarray:
        """Draws (draw, coefficient) from Normal(estimate, covariance(covariance)), in the order of `covariance()`.

        Raises DataError where a coefficient has no standard error.
        """
        check_is_fitted(self, "fitted_")
        spread = report.given_zeros(self.fitted_, self.covariance(covariance))  # type: ignore[attr-defined]
        unknown = ~report.estimated(self.fitted_, spread)
        if unknown.any():
            names = [x.name for x, missing in zip(report.labels_of(self.fitted_), unknown, strict=True) if missing]
            raise DataError(f"no standard error, so no Laplace draws, for: {', '.join(names)}; fix or drop them")
        return normal_draws(generator(random_state), self.fitted_.theta, spread, integer("n", n, 1))

    def to_arviz(
        self, draws: Any = None, kind: str | None = None, *, log_likelihood: bool = True, random_state: Any = None
    ) -> Any:
        """Draws as ArviZ knows them: InferenceData (ArviZ 0.2x) or DataTree (1.x).

        draws : the result of `sample_posterior()` or `bootstrap()`, or an array (draw, coefficient) or (chain, draw,
            coefficient) on the user's scale in the order of `covariance()`; None for 1000 Laplace draws.
        kind : "laplace", "posterior" or "bootstrap"; needed for arrays alone.
        log_likelihood : whether to add the pointwise log-likelihood, w_i log p(y_i) by draw and unit (units without
            weight left out), which `arviz.loo` and `arviz.compare` need: 8 bytes a draw and unit, and the training
            data. Laplace draws are drawn from an approximation, so that their loo is one too.

        Groups: `posterior` (in attributes, `kind` says whether it is Laplace's approximation), `log_likelihood`,
        `sample_stats` of sampled draws, `observed_data`; draws of a bootstrap, which are no posterior, stand alone in
        `bootstrap` with chain = 1 and have no log-likelihood.
        """
        check_is_fitted(self, "fitted_")
        kind = kind_of(draws, kind)
        given = self.laplace_draws(random_state=random_state) if draws is None else draws
        problem = getattr(self, "_problem", None)
        found = groups(self.fitted_, problem, given, kind=kind, log_likelihood=log_likelihood)
        return to_inference_data(found, {"kind": kind})


def _require_blackjax() -> None:
    try:
        import blackjax  # noqa: F401
    except ImportError:
        raise ImportError("sample_posterior() needs blackjax: pip install 'mixstat[bayes]'") from None
