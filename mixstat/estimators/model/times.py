"""What the observed times of a growth curve say too little about, in the time that was given."""

from collections.abc import Iterator, Mapping

import numpy as np

from mixstat.core.expert import Outcome
from mixstat.estimators.model.assembly import Assembled
from mixstat.estimators.model.responses import ResponseData, distinct
from mixstat.families.growth import Growth, Occasions

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
    known = [(r.family, r.data) for r in distinct(responses) if isinstance(r.family, Growth)]
    if not known or known[0][0].curve is None:
        return []
    family, data = known[0]
    way, at = family.coordinates, family.read(data)
    at = Occasions(*(part[..., weight > 0] for part in at))
    at = at._replace(time=way.centre + way.scale * at.time)
    times = at.time[at.seen > 0]
    found = [text for expert, knots in _knots(assembled, phi) for text in _judged(at, expert, knots)]
    if not sound and way.centre == 0 and abs(times.mean()) > FAR * np.ptp(times):
        found.append(
            f"times run from {times.min():g} to {times.max():g}, far from 0, so that a curve's coefficients can hardly "
            f"be told apart; count from the first, as in (time - {times.min():g})"
        )
    return found


def _knots(assembled: Assembled, phi: np.ndarray) -> Iterator[tuple[int, dict[str, float]]]:
    """(expert, knots by name in the order of the curve)."""
    expert = 0
    parts, _ = assembled.mixture.split(phi)
    for group, part in zip(assembled.mixture.groups, parts, strict=True):
        for copy in range(group.copies):
            expert += 1
            for outcome, theta in zip(group.outcomes, group.split(part[copy : copy + 1]), strict=True):
                yield expert, _of_outcome(outcome, theta[0, 0])


def _of_outcome(outcome: Outcome, theta: np.ndarray) -> dict[str, float]:
    names = [p.name if p.name.startswith("knot") and not p.term else "" for p in outcome.family.parameters]
    first = [int(np.flatnonzero(outcome.parameter_of == p)[0]) for p, name in enumerate(names) if name]
    if not first or not isinstance(outcome.family, Growth):
        return {}
    way = outcome.family.coordinates
    return dict(zip([name for name in names if name], way.centre + way.scale * theta[first], strict=True))


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
