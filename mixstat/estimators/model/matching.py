"""Matching: what experts and outcomes model has to go together."""

from collections.abc import Mapping

from mixstat.estimators.model.plan import Plan
from mixstat.estimators.model.responses import ResponseData
from mixstat.exceptions import FormulaError


def require_matching(plan: Plan, responses: Mapping[str, ResponseData]) -> None:
    """Every expert models the same responses, each once, and all as masses or all as densities."""
    for template in plan.templates:
        names = [name for outcome in template for name in _own_names(responses[outcome.key])]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise FormulaError(f"two outcomes of Joint are the same response, {twice[0]!r}; each has its own")
    for outcome in plan.outcomes:
        first, own = responses.get(f"0.{outcome.key.split('.')[1]}"), responses[outcome.key]
        if first is None or first.names != own.names:
            raise FormulaError(
                f"experts of a list model different responses ({outcome.shown!r} is not that of the first expert); "
                "give all the same left side, or use ms.Joint for several outcomes of a unit"
            )
        if first.family.discrete != own.family.discrete:
            raise FormulaError(
                f"experts of a list give {own.names[0]!r} probabilities and densities, which do not compare "
                f"({first.family.name}, {own.family.name}); take families that are all discrete or all continuous"
            )


def _own_names(response: ResponseData) -> tuple[str, ...]:
    """Columns that are the response's own; grouped binomial responses may have trials in common."""
    return response.names[:1] if response.family.name == "binomial" else response.names
