"""Survival notes: what a summary says of a law of survival times, beyond its coefficients."""

import numpy as np

from mixstat.estimators.model.state import Fitted
from mixstat.families.survival import APGW, GeneralizedGamma, Spline, Survival

SCALES = {
    "aft": "the formula acts on phi (accelerated failure time): a slope b multiplies times by exp(-b)",
    "ph": "the formula acts on lambda (proportional hazards, where gamma has no covariates): hazard ratios are exp(b)",
}
BOTH = (
    "both scales are estimated; near the Weibull (kappa = 1) they are hardly told apart, so that their intercepts, not "
    "curves, are uncertain: leave other_scale= out unless the data are many"
)
CURE = (
    "kappa is below 0, so that a share of everybody is taken never to have the event; it lies beyond the data and "
    "hangs on the form of the law: see cure_fraction() and, before quoting it, cure_profile()"
)
SAME_CURE = "covariates of phi and gamma do not change that share; those of lambda do"
TWICE = "kappa below 0 and the class Never both stand for cure, and the data hardly tell them apart; keep one of them"


def survival_notes(fitted: Fitted) -> list[str]:
    """Notes on the laws of survival times in the model."""
    slots = [slot for template in fitted.assembled.stacks for stack in template for slot in stack]
    notes = [note for slot in slots if isinstance(slot.family, Survival) for note in _of_law(slot.family)]
    return list(dict.fromkeys([*notes, *_of_cure(fitted)]))


def _of_law(family: Survival) -> list[str]:
    if isinstance(family, GeneralizedGamma):
        return ["the formula acts on the location of log time: a slope b multiplies times by exp(b)"]
    if isinstance(family, Spline):
        ratio = "odds of the event" if family.odds else "hazards"
        return [f"the formula acts on the log {ratio}: ratios are exp(b)"]
    assert isinstance(family, APGW)
    notes = [SCALES[family.scale]]
    if "phi" in family.pinned:
        notes.append(f"phi = 1 / {np.exp(family.constants[0]):g} (time_scale)")
    if "lambda" in family.pinned:
        notes.append("lambda = 1")
    if not {"phi", "lambda"} & set(family.pinned) and family.kappa is None:
        notes.append(BOTH)
    return notes


def _of_cure(fitted: Fitted) -> list[str]:
    labels = [fitted.assembled.named.labels[p] for p in fitted.assembled.named.ties.representative]
    shapes = [
        value
        for label, value in zip(labels, fitted.theta, strict=True)
        if label.parameter.split("[")[0] == "kappa1" and label.term == "Intercept"
    ]
    if not any(value < 0 for value in shapes):
        return []
    acts = {label.parameter for label in labels if label.term != "Intercept"}
    same = [SAME_CURE] if acts & {"phi", "gamma"} and "lambda" not in acts else []
    never = any(extra.name == "never" for extra in fitted.extras)
    return [CURE, *same, *([TWICE] if never else [])]
