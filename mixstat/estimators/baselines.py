"""Baselines: the law of survival times that a user's words ask for."""

from typing import Any, NamedTuple

import numpy as np

from mixstat.estimators.model.checks import choice, integer, number
from mixstat.exceptions import OptionError
from mixstat.families.survival import APGW, GeneralizedGamma, Spline, Survival

SCALES = ("aft", "ph", "po")
OTHER = {"aft": "lambda", "ph": "phi"}
"""The scale of the adapted power generalised Weibull that the main formula does not act on."""
LOG_TIME = ("lognormal", "gamma", "generalized_gamma")
SPLINES = {"hazard_spline": "ph", "odds_spline": "po"}
"""Splines and the scale that the main formula acts on."""


class Baseline(NamedTuple):
    """A case of the adapted power generalised Weibull: its `kappa`, what is 1 in it, whether both scales are free."""

    kappa: float | None
    unit: tuple[str, ...] = ()
    both: bool = False


BASELINES: dict[str | None, Baseline] = {
    None: Baseline(None),
    "exponential": Baseline(1.0, ("gamma",)),
    "weibull": Baseline(1.0),
    "loglogistic": Baseline(0.0, ("lambda",)),
    "burr": Baseline(0.0, both=True),
    "lomax": Baseline(0.0, ("gamma",), both=True),
    "gompertz": Baseline(np.inf, ("gamma",), both=True),
    "exponential_power": Baseline(np.inf, ("lambda",)),
    "linear_hazard": Baseline(2.0, ("gamma",), both=True),
}


class Asked(NamedTuple):
    """The arguments that decide the law."""

    scale: Any
    baseline: Any
    knots: Any
    power: Any
    shape: Any
    other_scale: Any
    time_scale: Any

    @classmethod
    def of(cls, model: Any) -> "Asked":
        return cls(*(getattr(model, name) for name in cls._fields))


def law_of(asked: Asked) -> Survival:
    """The family, without what no parameter is by the baseline or by a formula that is not given."""
    choice("scale", asked.scale, SCALES)
    if asked.baseline in BASELINES:
        return _weibull(asked)
    known = ", ".join(repr(name) for name in (*BASELINES, *LOG_TIME, *SPLINES) if name)
    if asked.baseline not in (*LOG_TIME, *SPLINES):
        raise OptionError(f"baseline must be None (kappa is estimated) or one of {known}, got {asked.baseline!r}")
    needed = SPLINES.get(asked.baseline, "aft")
    if asked.scale != needed:
        raise OptionError(f"baseline={asked.baseline!r} goes with scale={needed!r}, got scale={asked.scale!r}")
    for option in ("other_scale", "time_scale"):
        if getattr(asked, option) is not None:
            raise OptionError(f"baseline={asked.baseline!r} has one scale; leave {option}= out")
    if asked.baseline in SPLINES:
        return Spline(odds=asked.baseline == "odds_spline", interior=integer("knots", asked.knots, 0))
    if asked.shape is not None and asked.baseline != "generalized_gamma":
        raise OptionError(f"shape= acts on q, which baseline={asked.baseline!r} does not have; leave it out")
    return GeneralizedGamma(case=asked.baseline, common_shape=asked.shape is None)


def _weibull(asked: Asked) -> APGW:
    baseline = BASELINES[asked.baseline]
    if asked.scale == "po":
        raise OptionError("scale='po' goes with baseline='odds_spline'; use 'aft' or 'ph'")
    _refuse_formulas(asked, baseline)
    other = OTHER[asked.scale]
    pinned = {*baseline.unit} | ({other} if asked.other_scale is None and not baseline.both else set())
    constants: tuple[float, ...] = ()
    if asked.time_scale is not None:
        if "phi" not in pinned:
            raise OptionError("time_scale= says where phi is 1, but phi is estimated here; leave it out")
        constants = (float(np.log(number("time_scale", asked.time_scale, low=1e-300))),)
    return APGW(
        scale=asked.scale,
        kappa=baseline.kappa,
        pinned=tuple(sorted(pinned)),
        common_shape=asked.shape is None,
        constants=constants,
    )


def _refuse_formulas(asked: Asked, baseline: Baseline) -> None:
    """Formulas of what the baseline fixes."""
    name = asked.baseline
    if asked.scale == "ph" and "lambda" in baseline.unit:
        raise OptionError(
            f"baseline={name!r} has lambda = 1, so that scale='ph' has nothing to act on; use scale='aft'"
            + (", or baseline='burr'" if name == "loglogistic" else "")
        )
    for option, parameter in (("other_scale", OTHER[asked.scale]), ("power", "gamma")):
        if getattr(asked, option) is not None and parameter in baseline.unit:
            raise OptionError(f"{option}= acts on {parameter}, which is 1 in baseline={name!r}; leave it out")
    if asked.shape is not None and baseline.kappa is not None:
        raise OptionError(f"shape= acts on kappa, which baseline={name!r} fixes; leave one of them out")
