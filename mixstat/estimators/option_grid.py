"""Option grids: candidates that differ in the arguments of their constructor, for `select`."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from sklearn.base import clone

from mixstat.estimators.survival import SurvivalRegression
from mixstat.exceptions import OptionError
from mixstat.formula.lexer import sides

COVARIATES: dict[str, dict[str, bool]] = {
    "aft": {"power": False, "other_scale": False},
    "aft+power": {"power": True, "other_scale": False},
    "ph": {"power": False, "other_scale": False},
    "ph+power": {"power": True, "other_scale": False},
    "both": {"power": False, "other_scale": True},
}
"""What covariates may act on: the first part is `scale`, the others take the formula's right side ("both" scales)."""


class Candidate(NamedTuple):
    """What tables call a candidate, and the estimator, not fitted."""

    keys: dict[str, Any]
    model: Any


def candidates_of(
    model: Any, over: Mapping[str, Sequence[Any]] | None, covariates: Sequence[str] | None
) -> list[Candidate]:
    """All combinations of the values of `over` and of what the covariates act on."""
    grid = {name: list(values) for name, values in (over or {}).items()}
    known = set(model.get_params(deep=False))
    for name, values in grid.items():
        if name not in known or not values:
            raise OptionError(
                f"over= holds {name!r} with {len(values)} values; expected arguments of {type(model).__name__} with "
                f"one or more: {', '.join(sorted(known))}"
            )
    chosen = [{}] if covariates is None else [{"covariates": name} for name in _checked(model, covariates)]
    rows = [dict(zip(grid, values, strict=True)) | extra for values in product(*grid.values()) for extra in chosen]
    return [Candidate(row, _changed(model, row)) for row in rows]


def _checked(model: Any, covariates: Sequence[str]) -> list[str]:
    if not isinstance(model, SurvivalRegression):
        raise OptionError(f"covariates= is for a SurvivalRegression, got {type(model).__name__}; use over=")
    names = [covariates] if isinstance(covariates, str) else list(covariates)
    for name in names:
        if name not in COVARIATES:
            raise OptionError(f"covariates= holds {name!r}; expected some of {', '.join(map(repr, COVARIATES))}")
    return names


def _changed(model: Any, row: dict[str, Any]) -> Any:
    options = {name: value for name, value in row.items() if name != "covariates"}
    if "covariates" in row:
        name = row["covariates"]
        right = "~ " + str(model.formula).split("~", 1)[1].strip()
        sides(right)
        scale = "aft" if name == "both" else name.split("+")[0]
        options |= {"scale": scale} | {part: right if on else None for part, on in COVARIATES[name].items()}
    return clone(model).set_params(**options)
