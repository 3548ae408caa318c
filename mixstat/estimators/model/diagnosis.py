"""Diagnosis: what the data cannot inform, found before a fit (errors) or after it (part of the status).

Perfect separation (Albert and Anderson, 1984, Biometrika 71) and parameters on their boundary show as standard errors
far beyond what any sample allows; an exact fit as a density far beyond that of the response's own spread.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from mixstat.estimators.model.assembly import Assembled
from mixstat.estimators.model.columns import Columns
from mixstat.estimators.model.plan import Plan
from mixstat.estimators.model.responses import ResponseData, distinct
from mixstat.estimators.model.sample import Sample
from mixstat.estimators.model.times import remarks_on_times
from mixstat.exceptions import CollinearityWarning, DataError
from mixstat.families.growth.mixed import MixedModel
from mixstat.fit.linear_algebra import invert
from mixstat.fit.solution import Solution, Verdict
from mixstat.fit.standardize import aliased, constant
from mixstat.fit.verdict import MAXIMUM
from mixstat.results.labels import Label

UNBOUNDED_ERROR = 30.0
"""Standard error of a coefficient (standardised covariate, log or logit scale) that no interior maximum has."""
RUNAWAY, ALIKE = 6.0, 0.9999
"""Size of a slope (of the same) without a standard error that has run away; correlation of what is one parameter."""
EXACT, FURTHER = 18.0, 8.0
"""Mean log-density of a response scaled to standard deviation 1 from which it is fitted exactly; by further column."""


FLAT = 1e-6
"""Newton decrement that counts as converged where a parameter runs to its boundary and the likelihood is flat."""


def collinear(plan: Plan, columns: Columns, values: np.ndarray, weight: np.ndarray) -> set[str]:
    """ "key:column" of columns that are linear combinations of those before them; of outcomes whose penalty tells such
    columns apart, only of those that are constant."""
    known: dict[tuple, list[int]] = {}
    told_apart = {outcome.key for outcome in plan.outcomes if outcome.separable}
    dropped = set()
    for key, places in columns.places.items():
        find = constant if key in told_apart else aliased
        if (find, places) not in known:
            known[find, places] = find(values, weight, places) if places != (0,) else []
        dropped |= {f"{key}:{columns.by_place[places[index]]}" for index in known[find, places]}
    return dropped


def warn_of_collinear(dropped: set[str]) -> None:
    """A warning that names the columns."""
    if dropped:
        growth = any(".kappa:" in name for name in dropped)
        first = " (a curve's factors and what acts on them stand first)" if growth else ""
        warnings.warn(
            f"column(s) {', '.join(map(repr, column_names(dropped)))} are constant or linear combinations of the "
            f"columns before them{first}; their coefficients are not estimated (fixed at 0). Drop them from the "
            "formula to silence this",
            CollinearityWarning,
            stacklevel=6,
        )


def column_names(dropped: set[str] | tuple[str, ...]) -> list[str]:
    """Names out of "key:column"."""
    return sorted({name.split(":", 1)[1] for name in dropped})


def count_observations(responses: Mapping[str, ResponseData], sample: Sample) -> int:
    """Observed responses of positive weight."""
    return int(
        sum(
            response.family.observations(response.data)[response.seen & (sample.design_weight > 0)].sum()
            for response in distinct(responses)
        )
    )


def require_enough(assembled: Assembled, responses: Mapping[str, ResponseData], sample: Sample) -> None:
    """At least as many observations as parameters, and as many units as experts."""
    observations, size = count_observations(responses, sample), assembled.named.ties.size
    units, experts = int((sample.weight > 0).sum()), assembled.mixture.experts
    if units < experts:
        raise DataError(f"{units} unit(s) cannot inform {experts} experts; use fewer experts, or more data")
    if observations < size and not assembled.named.penalty.any():
        raise DataError(
            f"{observations} observations cannot inform {size} parameters; use fewer experts or covariates, "
            "shared= or fixed= parameters, or a penalty"
        )


def require_variation(plan: Plan, responses: Mapping[str, ResponseData], sample: Sample) -> None:
    """A continuous response with a free scale must vary: otherwise its density has no bound."""
    for outcome in plan.outcomes:
        response = responses[outcome.key]
        nothing = response.family.uninformed(response.data[:, response.seen & (sample.design_weight > 0)])
        if nothing:
            raise DataError(f"the response {response.names[0]!r} {nothing}")
        if not response.family.unbounded or response.family.repeated or outcome.fixed:
            continue
        used = response.seen & ~response.at_atom & (sample.design_weight > 0)
        for name, values in zip(response.names, response.values[:, used], strict=False):
            if len(values) and values.min() == values.max():
                what = f"is {values[0]:g} in all {len(values)} rows used" if len(values) > 1 else "has one row"
                raise DataError(
                    f"the response {name!r} {what}, so family {response.family.name!r} has no scale to estimate; "
                    "check the column, or hold the scale by fixed="
                )
            if not len(values):
                raise DataError(f"the response {name!r} has no row beside the point mass; drop the expert or the mass")


def diagnose(
    assembled: Assembled, solution: Solution, responses: Mapping[str, ResponseData], sample: Sample
) -> Verdict:
    """The verdict of the fit with what is found here: an exact fit, too few observations, separation, boundaries."""
    verdict = solution.verdict
    found = []
    observations = count_observations(responses, sample)
    if _is_exact(solution, responses, sample):
        found.append("the response is fitted exactly, so the likelihood has no bound and scales mean nothing")
    elif observations < assembled.named.ties.size and solution.certificate is None:
        found.append(f"{observations} observations cannot inform {assembled.named.ties.size} parameters")
    separated, edge, alike = _runaway(assembled, solution)
    if alike:
        found.append(f"these data cannot tell {_listed(alike)} apart; fix one of them, or leave it out")
    if separated:
        found.append(
            f"perfect separation: coefficients of {_listed(separated)} grow without bound; drop a covariate, merge "
            "levels or set penalty"
        )
    sound = verdict.converged and not found
    remarks = remarks_on_times(assembled, solution.phi, responses, sample.design_weight, sound=sound)
    if not found and not edge and not remarks:
        return verdict
    flat = bool(edge) and verdict.status.startswith("not converged") and solution.decrement < FLAT
    converged = (verdict.converged or flat) and not found
    rest = verdict.status.removeprefix(MAXIMUM).removeprefix("; ")
    words = [rest] if rest and not flat else []
    edges = [f"{_listed(edge)} lies on the boundary of its range"] if edge else []
    start = ["converged"] if converged and (flat or verdict.status.startswith(MAXIMUM)) else []
    return verdict._replace(converged=converged, status="; ".join([*start, *found, *edges, *remarks, *words]))


def _is_exact(solution: Solution, responses: Mapping[str, ResponseData], sample: Sample) -> bool:
    total, gain = 0.0, solution.log_likelihood
    for unbounded, weight, values in (part for response in distinct(responses) for part in _observed(response, sample)):
        if not unbounded or not weight.any():
            return False
        mean = values @ weight / weight.sum()
        spread = np.sqrt(((values - mean[:, None]) ** 2) @ weight / weight.sum())
        gain += float(weight.sum() * np.log(np.maximum(spread, 1e-300)).sum())
        total += float(weight.sum() * (EXACT + FURTHER * (len(values) - 1)))
    return gain > total


def _observed(response: ResponseData, sample: Sample) -> Iterator[tuple[bool, np.ndarray, np.ndarray]]:
    """Whether the density has no bound, weights (value,) and values (dimension, value) of what was observed; occasions
    of subjects one by one, outcome by outcome."""
    weight, family = np.where(response.seen & ~response.at_atom, sample.design_weight, 0.0), response.family
    if isinstance(family, MixedModel):
        for at in family.split(response.data):
            yield True, (at.seen * weight).ravel(), at.y.reshape(1, -1)
        return
    yield family.unbounded, weight, np.where(weight > 0, response.values, 0.0)


class _Runaway(NamedTuple):
    """Labels of slopes and locations, and of other parameters, whose standard error is beyond reason; of those whose
    estimates are one line."""

    location: list[Label]
    other: list[Label]
    alike: list[Label]


def _runaway(assembled: Assembled, solution: Solution) -> _Runaway:
    if solution.information is None or not len(solution.information):
        return _Runaway([], [], [])
    labels = [assembled.named.labels[position] for position in assembled.named.ties.representative]
    covariance, _ = invert(solution.information)
    error = np.sqrt(np.diag(covariance).clip(min=0.0))
    wild = error > UNBOUNDED_ERROR
    with np.errstate(invalid="ignore", divide="ignore"):
        line = (np.abs(covariance / np.outer(error, error)) > ALIKE) & wild[:, None] & wild[None]
    alike = wild & (line.sum(axis=1) > 1)
    slope = np.array([label.term != "Intercept" for label in labels])
    gone = slope & np.isnan(error) & (np.abs(solution.theta) > RUNAWAY)

    def chosen(which: np.ndarray, names: set[tuple[str, str]]) -> list[Label]:
        return [label for label, bad in zip(labels, which, strict=True) if bad and _is_one_of(label, names)]

    location, other = _unitless(assembled)
    left = wild & ~alike
    return _Runaway(chosen(left | gone, location), chosen(left, other), chosen(alike, location | other))


def _is_one_of(label: Label, parameters: set[tuple[str, str]]) -> bool:
    name = _base(label.parameter)
    return (name, "") in parameters or (name, label.term) in parameters


def _unitless(assembled: Assembled) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(name, term if it has one of its own) of (locations, other parameters) without the unit of a response."""
    families = [outcome.family for group in assembled.mixture.groups for outcome in group.outcomes]
    named = [
        ((_base(p.name), p.term), p.location)
        for f in families
        for p in f.parameters
        if f.discrete or p.link != "identity"
    ]
    return {name for name, location in named if location}, {name for name, location in named if not location}


def _base(parameter: str) -> str:
    return parameter.split("[")[0]


def _listed(labels: list[Label]) -> str:
    """Parameters and experts, each once."""
    shown = [f"{label.parameter} (expert {label.expert})" if label.expert else label.parameter for label in labels]
    return ", ".join(dict.fromkeys(shown))
