"""Growth families with predictors and data of a few subjects, and their classes for the brute-force reference."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mixstat.families.growth import Growth, Occasions
from mixstat.families.growth.curves import make_curve
from tests.growth import brute_force as bf
from tests.growth.brute_force import GrowthClass, Trajectory, Unit

WAVES = (0.0, 1.0, 2.0, 4.0, 6.0)
COUNTS = (5, 4, 3, 2, 1, 5, 4)
PADDED = 6
FORMS: dict[str, tuple[bf.Curve, list[float], list[float]]] = {
    "linear": (bf.linear, [3.0, 1.0], []),
    "quadratic": (bf.quadratic, [3.0, 1.0, -0.2], []),
    "polynomial": (bf.polynomial(3), [3.0, 1.0, -0.2, 0.03], []),
    "negative_exponential": (bf.negative_exponential, [3.0, 5.0], [0.6]),
    "jenss_bayley": (bf.jenss_bayley, [3.0, 1.0, -2.0], [-0.7]),
    "bilinear": (bf.bilinear, [3.0, 1.0, -0.5], [2.4]),
    "trilinear": (bf.trilinear, [3.0, 1.0, -0.5, 0.8], [1.6, 3.7]),
    "latent_basis": (bf.latent_basis(WAVES), [3.0, 4.0], [0.2, 0.6, 1.1]),
}
"""Curves of the reference with growth factors and nonlinear coefficients."""
SMOOTHED = {"bilinear": bf.bilinear, "trilinear": bf.smoothed_trilinear}
"""Where knots are random."""


@dataclass(frozen=True)
class Case:
    """A growth model. `random` names curve coefficients, or says which columns, 0 (constant), 1 (time) or 2 (z).

    `blocks` are the names of random coefficients that correlate; `fixed` the columns with a coefficient in the mean;
    `effects` are coefficients of a subject's x on every coefficient of an expanded curve; `smoothing` is the constant
    of random knots.
    """

    curve: str = ""
    random: tuple[str | int, ...] = ()
    residual: str = "iid"
    blocks: tuple[tuple[str, ...], ...] | None = None
    fixed: tuple[int, ...] = ()
    effects: bool = False
    proportional: bool = False
    log_sigma: float = -0.4
    log_diagonal: float = -0.3
    below: float = 0.35
    smoothing: float = 1e-6
    change: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [self.curve or "columns", "+".join(map(str, self.random)), self.residual, "effects" * self.effects]
        parts += [f"smoothing{self.smoothing:g}" * (self.smoothing != 1e-6)]
        parts += ["proportional" * self.proportional]
        parts += [f"blocks{len(self.blocks)}" if self.blocks is not None else "", f"fixed{len(self.fixed)}"]
        return "-".join(part for part in [*parts, *self.change] if part and part != "fixed0")

    @property
    def expands(self) -> bool:
        return any(isinstance(name, str) and name.startswith(("knot", "rate")) for name in self.random)

    @property
    def smoothed(self) -> bool:
        return self.expands and self.curve in SMOOTHED

    @property
    def family(self) -> Growth:
        levels = WAVES if self.residual == "occasion" else ()
        columns = ("one", "time", "z", *(f"{wave:g}" for wave in levels))
        scale = {"formula": (0, 2), "occasion": tuple(range(3, 3 + len(WAVES)))}.get(self.residual, ())
        return Growth(
            curve=make_curve(self.curve, random=self.expands, degree=3, times=WAVES) if self.curve else None,
            columns=(*columns, "(smoothing)") if self.smoothed else columns,
            fixed=self.fixed,
            random=self.random,
            blocks=self.blocks,
            residual="iid" if self.residual == "formula" else self.residual,
            scale_columns=scale,
            levels=levels,
            effects=self.effects,
            proportional=self.proportional,
            smoothing=len(columns) if self.smoothed else -1,
        )

    @property
    def entries(self) -> dict[tuple[int, int], float]:
        """Of the lower factor of the random covariance, the diagonal in logs."""
        names = self.random
        together = [names] if self.blocks is None else self.blocks
        below = [(j, i) for j in range(len(names)) for i in range(j + 1)]
        pairs = [(j, i) for j, i in below if i == j or any(names[j] in b and names[i] in b for b in together)]
        return {(j, i): self.log_diagonal - 0.1 * j if i == j else self.below / (j + i) for j, i in pairs}

    @property
    def psi(self) -> np.ndarray:
        factor = np.zeros((len(self.random),) * 2)
        for (j, i), value in self.entries.items():
            factor[j, i] = np.exp(value) if i == j else value
        if self.proportional:
            first = factor[0, 0]
            factor[0, 0] = 1.0
            factor *= first
        return factor @ factor.T

    @property
    def scale(self) -> list[float]:
        """Predictors of the residual."""
        s = self.log_sigma
        return {
            "iid": [s],
            "occasion": [s + 0.1 * j for j in range(len(WAVES))],
            "formula": [s, 0.3],
            "ar1": [s, self.change.get("log_process", -0.1), self.change.get("log_rate", -0.5)],
            "brownian": [s, self.change.get("log_process", -0.6)],
        }[self.residual]

    def predictors(self, rng: np.random.Generator) -> np.ndarray:
        """(P, subject): all but the covariance's entries vary between subjects."""
        alpha, coefficients = FORMS[self.curve][1:] if self.curve else ([], [])
        curve = [*alpha, *coefficients]
        head = [*curve, *([0.15] * len(curve) if self.effects else []), *([0.5, -0.3, 0.2][: len(self.fixed)])]
        parts = [np.array(part, dtype=float) for part in (head, list(self.entries.values()), self.scale)]
        spread = [self.change.get("spread", 0.05), 0.0, 0.05]
        return np.concatenate(
            [p[:, None] + s * rng.normal(size=(len(p), len(COUNTS))) for p, s in zip(parts, spread, strict=True)]
        )

    def occasions(self, rng: np.random.Generator) -> Occasions:
        """Subjects of unequal numbers of occasions: jittered or common times, one time twice, one occasion unseen."""
        n = len(COUNTS)
        common = self.curve == "latent_basis" or self.residual == "occasion"
        times = np.tile(np.array([*WAVES, WAVES[-1]])[:, None], (1, n))
        times = times if common else np.sort(times + rng.uniform(0, 0.4, times.shape), axis=0)
        times = times * self.change.get("time", 1.0)
        if not common:
            times[2, 0] = times[1, 0]
        seen = (np.arange(PADDED)[:, None] < np.array(COUNTS)).astype(float)
        seen[1, 1] = 0.0
        times = np.where(
            np.arange(PADDED)[:, None] < np.array(COUNTS), times, times[np.array(COUNTS) - 1, np.arange(n)]
        )
        z = rng.normal(size=times.shape)
        levels = [(times == wave).astype(float) for wave in WAVES] if self.residual == "occasion" else []
        y = np.where(seen > 0, self.change.get("level", 3.0) + times / times.max() + rng.normal(size=times.shape), 0.0)
        soft = [np.full_like(times, self.smoothing)] if self.smoothed else []
        return Occasions(y, seen, times, np.array([np.ones_like(times), times, z, *levels, *soft]))

    def subject(self, at: Occasions, i: int) -> tuple[Unit, np.ndarray]:
        """The reference's unit: what was seen, and its columns (column, occasion)."""
        kept = at.seen[:, i] > 0
        columns = at.columns[:, kept, i]
        waves = np.searchsorted(WAVES, at.time[kept, i]) if self.residual == "occasion" else None
        return Unit(at.y[kept, i], at.time[kept, i], np.ones(1), z=columns[[0, 2]].T, waves=waves), columns

    def reference(self, eta: np.ndarray, columns: np.ndarray) -> GrowthClass:
        """The class at one subject's predictors (P,): columns are growth factors of the reference's curve."""
        curve, alpha, coefficients = FORMS[self.curve] if self.curve else (None, [], [])
        if self.smoothed:
            curve = partial(SMOOTHED[self.curve], smoothing=self.smoothing)
        count, taken = len(alpha), len(alpha) + len(coefficients)
        names = [*make_curve(self.curve, times=WAVES, degree=3).coefficients] if self.curve else []
        effects = eta[taken : 2 * taken] if self.effects else np.zeros(taken)
        taken *= 2 if self.effects else 1
        kappa = np.zeros(3)
        kappa[list(self.fixed)] = eta[taken : taken + len(self.fixed)]
        residual = eta[taken + len(self.fixed) + len(self.entries) :]
        moved = tuple(range(len(coefficients))) if self.expands else ()
        order = [*names[:count], 0, 1, 2, *(names[count:] if self.expands else [])]
        places = [order.index(name) for name in self.random]
        psi = np.zeros((len(order),) * 2)
        psi[np.ix_(places, places)] = self.psi
        beta = np.concatenate([effects[:count], np.zeros(3), effects[count:] if self.expands else []])
        trajectory = Trajectory(
            partial(_with_columns, curve, count, columns),
            [*eta[:count], *kappa],
            eta[count : len(names)],
            moved,
        )
        return GrowthClass(trajectory, psi, _residual(self.residual, residual), beta[:, None])


def _with_columns(
    curve: bf.Curve | None,
    count: int,
    columns: np.ndarray,
    times: np.ndarray,
    eta: np.ndarray,
    coefficients: np.ndarray,
) -> np.ndarray:
    own = 0.0 if curve is None else curve(times, eta[:count], coefficients)
    return own + eta[count:] @ columns[:3]


def _residual(name: str, eta: np.ndarray) -> bf.Residual:
    made: dict[str, Callable[[], bf.Residual]] = {
        "iid": lambda: bf.iid(np.exp(2 * eta[0])),
        "occasion": lambda: bf.by_occasion(np.exp(2 * eta)),
        "formula": lambda: bf.log_linear(eta),
        "ar1": lambda: bf.total(bf.autoregressive(np.exp(eta[2]), np.exp(eta[1])), bf.iid(np.exp(2 * eta[0]))),
        "brownian": lambda: bf.total(bf.brownian(np.exp(eta[1])), bf.iid(np.exp(2 * eta[0]))),
    }
    return made[name]()
