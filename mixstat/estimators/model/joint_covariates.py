"""Covariates of subjects that are modelled jointly with their growth: a further, normal outcome of each subject."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixstat.estimators.model.occasions import Gathered
from mixstat.estimators.model.plan import Plan
from mixstat.estimators.model.state import Fitted
from mixstat.exceptions import DataError, OptionError
from mixstat.formula import Response
from mixstat.formula.frame import Table
from mixstat.formula.terms import parse_left


def joint_names(plan: Plan) -> tuple[str, ...]:
    """Columns of the covariates that are modelled jointly, none in other models."""
    beside = [outcome for outcome in plan.outcomes if plan.repeated and not outcome.family.repeated]
    return tuple(dict.fromkeys(name for outcome in beside for name in parse_left(outcome.formula).variables))


def mean_labels(fitted: Fitted) -> dict[tuple[int, str], int]:
    """Places in theta of the class means of covariates that are modelled jointly, by expert and column."""
    names = {f"mean[{name}]": name for name in joint_names(fitted.plan)}
    labels = [fitted.assembled.named.labels[place] for place in fitted.assembled.named.ties.representative]
    return {(x.expert, names[x.parameter]): place for place, x in enumerate(labels) if x.parameter in names}


def require_numbers(plan: Plan, table: Any) -> None:
    """An error where a covariate that is modelled jointly holds categories."""
    names = joint_names(plan)
    opened = Table(table) if names else None
    for name in names:
        column = opened.column(name) if opened is not None and name in opened.names else None
        if column is not None and column.kind == "level":
            shown = ", ".join(map(str, column.levels[:3])) + (", ..." if len(column.levels) > 3 else "")
            raise OptionError(
                f"covariates='joint' models {name!r} as normal, but it holds categories ({shown}); give numbers, for "
                "example a column of 0 and 1 for each level, or use covariates='fixed'"
            )


def require_apart(plan: Plan, dropped: set[str]) -> None:
    """An error where covariates that are modelled jointly are constant or collinear: they have no joint density."""
    gone = {name.split(":", 1)[1] for name in dropped} & set(joint_names(plan))
    if gone:
        raise DataError(
            f"covariates='joint' models {', '.join(map(repr, joint_names(plan)))} as normal together, but "
            f"{', '.join(map(repr, sorted(gone)))} is constant or a linear combination of the others; leave it out"
        )


def covariate_response(names: Sequence[str], gathered: Gathered) -> Response:
    """The covariates of every subject, from their columns in the formulas of its growth."""
    known = {name: m.values[:, i] for m in gathered.subjects.matrices.values() for i, name in enumerate(m.names)}
    values = np.stack([known[name] for name in names], axis=1)
    return (
        Response("vector", tuple(names), values) if len(names) > 1 else Response("numeric", tuple(names), values[:, 0])
    )
