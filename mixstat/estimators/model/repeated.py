"""Repeated outcomes: one growth model, or those of parallel outcomes put together, bound to data and encoded."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixstat.estimators.model import occasions
from mixstat.estimators.model.occasions import Gathered, require_blocks
from mixstat.estimators.model.plan import OutcomePlan
from mixstat.estimators.model.responses import ResponseData
from mixstat.families.growth import Growth
from mixstat.families.growth.parallel import ParallelGrowth
from mixstat.formula import Response

Repeated = Growth | ParallelGrowth


def bind(outcome: OutcomePlan, gathered: Gathered, response: Response) -> Repeated:
    """The family with what these data say of every outcome."""
    pairs = zip(outcome.own, split(response, outcome), strict=True)
    return joined(outcome, [occasions.bind(own, gathered, part) for own, part in pairs])


def joined(outcome: OutcomePlan, own: Sequence[Growth]) -> Repeated:
    """The family that bound growth models of the outcome make."""
    if not outcome.members:
        return own[0]
    family = outcome.family
    assert isinstance(family, ParallelGrowth)
    family = replace(family, members=tuple(own))
    require_blocks(family.blocks or (), family.random_names)
    return family


def encode(outcome: OutcomePlan, family: Repeated, gathered: Gathered, response: Response | None) -> ResponseData:
    """A repeated response as its family reads it; without a response (new data) no occasion is observed."""
    known = [None] * len(outcome.own) if response is None else split(response, outcome)
    members = zip(outcome.own, family.members, known, strict=True)
    parts = [occasions.encode(own, member, gathered, part) for own, member, part in members]
    if not outcome.members:
        return parts[0]
    names = ("response",) if response is None else response.names
    data, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("data", "values"))
    seen: np.ndarray = np.logical_or.reduce([part.seen for part in parts])
    return ResponseData(names, family, data, values, seen, np.zeros_like(seen))


def split(response: Response, outcome: OutcomePlan) -> list[Response]:
    """The response of every outcome."""
    if response.values.ndim == 1:
        return [response]
    return [Response("numeric", (name,), response.values[:, o]) for o, name in enumerate(response.names)]
