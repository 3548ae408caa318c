"""PosteriorDraws: chains of the coefficients on the user's scale, with what says whether they have converged."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixstat.inference.convergence import effective_size, r_hat
from mixstat.inference.sampling import Sample
from mixstat.results.labels import Label

MIXED = 1.05
"""Chains agree where every split r-hat is below this."""


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorDraws(Sample):
    """Draws of a posterior; `values` (chain, draw, coefficient) on the user's scale, in the order of `covariance()`.

    `log_posterior`, `diverging`, `acceptance`, `energy` and `steps` (integration steps) are (chain, draw);
    `step_size` (chain,). `relabelled` counts the draws whose experts changed places to agree with the fit's.
    """

    labels: tuple[Label, ...]

    def __repr__(self) -> str:
        return f"PosteriorDraws: {self.status}"

    @property
    def names(self) -> list[str]:
        """Names of the coefficients, "expert:parameter:term"."""
        return [label.name for label in self.labels]

    @property
    def theta(self) -> np.ndarray:
        """All draws (chain x draw, coefficient)."""
        return self.values.reshape(-1, self.values.shape[2])

    @property
    def status(self) -> str:
        """What was drawn and what is wrong with it, in one line."""
        chains, draws, _ = self.values.shape
        highest = np.nanmax(r_hat(self.values), initial=1.0)
        return (
            f"{chains} chains of {draws} draws{', interrupted' if self.interrupted else ''}; "
            f"{int(self.diverging.sum())} divergent; largest r_hat {highest:.3f}; {self.relabelled} relabelled"
        )

    @property
    def is_sound(self) -> bool:
        """Whether the chains are complete, agree, and none of their draws diverged."""
        mixed = np.nanmax(r_hat(self.values), initial=1.0) < MIXED
        return bool(mixed and not self.diverging.any() and not self.interrupted)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """One row a coefficient: expert, parameter, term, mean, sd, median, the central interval, r_hat, ess."""
        theta = self.theta
        low, median, high = np.quantile(theta, [0.5 - level / 2, 0.5, 0.5 + level / 2], axis=0)
        return pd.DataFrame(
            {
                "expert": pd.array([label.expert or None for label in self.labels], dtype="Int64"),
                "parameter": [label.parameter for label in self.labels],
                "term": [label.term for label in self.labels],
                "mean": theta.mean(axis=0),
                "sd": theta.std(axis=0, ddof=1),
                "median": median,
                "low": low,
                "high": high,
                "r_hat": r_hat(self.values),
                "ess": effective_size(self.values),
            }
        )
