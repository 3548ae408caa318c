"""What the observed times of a growth curve say too little about, in the time that was given."""

from collections.abc import Iterator, Mapping

import numpy as np

from mixstat.core.expert import Outcome
from mixstat.estimators.model.assembly import Assembled
from mixstat.estimators.model.responses import ResponseData, distinct
from mixstat.families.growth.form import GrowthForm
from mixstat.families.growth.mixed import MixedModel, Occasions

Knots = tuple[int, dict[str, float]]
"""An expert, and its knots by name in the order of the curve."""
SIDE = 2
"""Occasions that a slope needs on its side of a knot."""
FAR = 10.0
"""Distance of the times from 0, in their range, that is worth a remark."""


def remarks_on_times(
    assembled: Assembled, phi: np.ndarray, responses: Mapping[str, ResponseData], weight: np.ndarray, *, sound: bool
) -> list[str]:
    """Knots outside the observed times, or with fewer than two occasions of most subjects on a side; and where a fit
    that is not sound could not be centred, times far from 0.

    `phi` are coefficients of standardised covariates, so that an intercept is the knot of an average subject.
    """
    found: list[str] = []
    for response in distinct(responses):
        family = response.family
        if not isinstance(family, MixedModel):
            continue
        for number, ((_, member), at) in enumerate(zip(family.parts, family.split(response.data), strict=True)):
            if member.curve is not None:
                knots = _knots(assembled, phi, number)
                found += _of_outcome(member, Occasions(*(part[..., weight > 0] for part in at)), knots, sound)
    return list(dict.fromkeys(found))


def _of_outcome(member: GrowthForm, at: Occasions, knots: Iterator[Knots], sound: bool) -> list[str]:
    way = member.coordinates
    at = at._replace(time=way.centre + way.scale * at.time)
    times = at.time[at.seen > 0]
    found = [text for expert, mine in knots for text in _judged(at, expert, mine)]
    if not sound and way.centre == 0 and abs(times.mean()) > FAR * np.ptp(times):
        found.append(
            f"times run from {times.min():g} to {times.max():g}, far from 0, so that a curve's coefficients can hardly "
            f"be told apart; count from the first, as in (time - {times.min():g})"
        )
    return found


def _knots(assembled: Assembled, phi: np.ndarray, number: int) -> Iterator[Knots]:
    """Of one outcome, expert by expert."""
    expert = 0
    parts, _ = assembled.mixture.split(phi)
    for group, part in zip(assembled.mixture.groups, parts, strict=True):
        for copy in range(group.copies):
            expert += 1
            for outcome, theta in zip(group.outcomes, group.split(part[copy : copy + 1]), strict=True):
                if isinstance(outcome.family, MixedModel):
                    yield expert, _values(outcome, theta[0, 0], *outcome.family.parts[number])


def _values(outcome: Outcome, theta: np.ndarray, first: int, member: GrowthForm) -> dict[str, float]:
    way, found = member.coordinates, {}
    for place, name in enumerate(member.coefficients, start=first):
        if name.startswith("knot"):
            intercept = theta[int(np.flatnonzero(outcome.parameter_of == place)[0])]
            found[outcome.family.parameters[place].name] = way.centre + way.scale * intercept
    return found


def _judged(at: Occasions, expert: int, knots: dict[str, float]) -> Iterator[str]:
    """At most one remark a knot."""
    times = at.time[at.seen > 0]
    values = list(knots.values())
    for name, value in knots.items():
        which = f"{name} {value:.4g} of expert {expert}"
        if not times.min() < value < times.max():
            yield f"{which} lies outside the observed times {times.min():.4g} to {times.max():.4g}; use fewer knots"
            continue
        before = _few(at, at.time <= value) and value == min(values)
        after = _few(at, at.time >= value) and value == max(values)
        if before or after:
            yield f"{which} has fewer than {SIDE} occasions {'before' if before else 'after'} it in most subjects"


def _few(at: Occasions, side: np.ndarray) -> bool:
    counts = (at.seen * side).sum(axis=0)
    return bool(np.mean(counts[at.seen.sum(axis=0) > 0] < SIDE) > 0.5)
