"""Options of a fit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How to search and when to stop.

    `algorithm`: "newton" (EM, then Newton; `tol` bounds the Newton decrement), "em" or "squarem" (`tol` bounds the
    gain of the mean log-likelihood in a step, as in scikit-learn's mixtures).
    """

    n_init: int = 20
    tol: float = 1e-9
    max_iter: int = 500
    algorithm: str = "newton"
    verbose: int = 1
    short_em: int = 6
    """EM steps that every start is given; those that are followed to a maximum have `longer_em` more,"""
    longer_em: int = 10
    short_tol: float = 1e-2
    """unless one gains less than this in log-likelihood."""
    screen_above: int = 20_000
    """Above this number of observations, starts are run on a random subset of `screen_units` (of subjects with repeated
    measurements `screen_subjects`)."""
    screen_units: int = 5_000
    screen_subjects: int = 1_500
    carry_large: int = 3
    """Candidates followed to a maximum where units x parameters exceeds `large`; else half of the starts."""
    large: int = 2_000_000

    def carried(self, size: int) -> int:
        """How many of the best starts are followed to a maximum, `size` being units x parameters."""
        return self.carry_large if size > self.large else max(self.carry_large, -(-self.n_init // 2))
