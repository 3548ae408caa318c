"""Priors: from what a user asks of the prior to a multiple of its unit for every coefficient."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mixstat.estimators.model.checks import number
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import OptionError
from mixstat.inference.prior import MULTIPLIERS, kinds


def multipliers(fitted: Fitted, priors: Any) -> np.ndarray:
    """(phi,) standard deviations of the priors in units of each coefficient."""
    labels, kind = fitted.assembled.named.labels, kinds(fitted.assembled.mixture)
    given = {} if priors is None else priors
    known = [*MULTIPLIERS, *dict.fromkeys(x.parameter for x in labels), *dict.fromkeys(x.term for x in labels)]
    if not isinstance(given, Mapping):
        raise OptionError(f"priors must be a mapping such as {{'slope': 1.0}}, got {type(given).__name__}")
    for key, value in given.items():
        if key not in known:
            raise OptionError(f"priors names {key!r}; expected one of: {', '.join(dict.fromkeys(known))}")
        if number(f"priors[{key!r}]", value) <= 0:
            raise OptionError(f"priors[{key!r}] must be above 0, got {value!r}")
    scales = {**MULTIPLIERS, **given}
    return np.array(
        [
            float(given.get(label.term, given.get(label.parameter, scales[own])))
            for label, own in zip(labels, kind, strict=True)
        ]
    )
