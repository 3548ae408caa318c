"""Expansions: what a summary says of curves that are expanded around random knots and rates."""

from collections.abc import Iterator

from mixstat.estimators.model.assembly import Assembled
from mixstat.families.growth import Growth

ROBUST = (
    "a random {what} enters by a first-order expansion, so that the likelihood is an approximation: standard errors "
    "are robust ones (sandwich); covariance('information') has those that count on it"
)
SMOOTHED = (
    "|t - knot| is sqrt((t - knot)^2 + c), c = {constant:.4g} in squared units of time{usual}; smoothing= sets c (1e-6 "
    "in nlpsem 0.4)"
)


def notes_on_expansions(assembled: Assembled) -> list[str]:
    """How standard errors came about, and how knots were smoothed."""
    found = [note for family in _expanded(assembled) for note in _notes(family)]
    return list(dict.fromkeys(found))


def _expanded(assembled: Assembled) -> Iterator[Growth]:
    slots = (slots[0] for template in assembled.stacks for slots in template)
    families = (getattr(slot.family, "parts", ()) for slot in slots)
    return (part for parts in families for _, part in parts if part.expands)


def _notes(family: Growth) -> Iterator[str]:
    assert family.curve is not None
    names = [name for name in family.curve.nonlinear if name in family.random]
    yield ROBUST.format(what=", ".join(names))
    if family.softness:
        constant, default = family.softness
        usual = ", the square of a quarter of the usual time between occasions" if constant == default else ""
        yield SMOOTHED.format(constant=constant, usual=usual)
