"""Scene: the rows, outputs and averages that effects are asked of, and the answers as long tables."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.core.design import Data
from mixstat.estimators.methods.settings import covariates_of, data_of
from mixstat.estimators.model.new_data import with_response
from mixstat.estimators.model.outputs import Means, is_covariate
from mixstat.estimators.model.slots import Slot
from mixstat.estimators.model.state import Fitted
from mixstat.estimators.model.units import check_weight
from mixstat.exceptions import DataError, OptionError
from mixstat.formula.frame import Table
from mixstat.inference.effects import Estimate, Query, Rows, average_effects, row_effects
from mixstat.inference.survival import PREFIX
from mixstat.results.effects import STATISTICS

RESERVED = ("term", "contrast", "expert", "group", *STATISTICS)
"""Names of the answer's own columns."""


class Averages(NamedTuple):
    """Levels that rows are averaged in: the level of each row, and weights (row,) that sum to 1 in each level."""

    code: np.ndarray
    weight: np.ndarray


class Moments(NamedTuple):
    """Times that a survival curve is asked for: `logs` (time, row) or (time, 1), `weights` (output, time) of sums over
    them or None, and `shown` (output,), what tables call an output."""

    logs: np.ndarray
    weights: np.ndarray | None
    shown: np.ndarray


class Scene(NamedTuple):
    """What effects are asked of.

    `keys` has a row for each row of the answer within an output (rowid, or the levels of `by`), `outputs` one for each
    output (columns expert and group, where there are several). `data` holds the response only if the target is
    "responsibility". `moments` are there where the target is a curve of survival times.
    """

    fitted: Fitted
    at: Estimate
    frame: pd.DataFrame
    data: Data
    target: str
    keys: pd.DataFrame
    averages: Averages | None
    outputs: pd.DataFrame
    moments: Moments | None = None


def restricted(table: Any, rows: np.ndarray | None) -> Any:
    """The table itself where all rows are used, else those at the positions `rows`, column by column."""
    opened = Table(table, rows)
    if opened.n_rows == opened.n_given:
        return table
    columns = {name: opened.raw(name)[0] for name in opened.names}
    return {name: pd.Categorical(v) if v.dtype == object else v for name, v in columns.items()}


def open_scene(
    fitted: Fitted,
    table: Any,
    target: str,
    by: Any,
    weight: Any,
    covariance: np.ndarray,
    moments: Moments | None = None,
) -> Scene:
    """Read the table once; errors name the column at fault."""
    opened = Table(table)
    if not opened.n_rows:
        raise DataError("the data have no rows")
    require_gate(fitted, target)
    frame = covariates_of(fitted, table)
    data = with_response(fitted, table).data if target == "responsibility" else data_of(fitted, frame)
    keys, averages = _averages(opened, by, weight)
    if target == "responsibility" and fitted.plan.repeated:
        keys = _subjects(fitted, opened, averages)
    ties = fitted.assembled.named.ties
    at = Estimate(fitted.phi, ties.matrix, covariance)
    return Scene(fitted, at, frame, data, target, keys, averages, _outputs(fitted, target, moments), moments)


def answer(
    scene: Scene,
    keys: Mapping[str, str],
    form: str,
    data: Data,
    *,
    other: tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]] | None = None,
    covariate: np.ndarray | None = None,
    scale: str = "dydx",
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """(keys, estimates, standard errors), outputs one after the other; `keys` are further columns of one value."""
    fitted = scene.fitted
    query = Query(scene.target, form, scale, places_of(fitted))
    rows = rows_at(scene, data, other, covariate)
    mixture = fitted.assembled.mixture
    if scene.averages is None:
        found = row_effects(mixture, query, scene.at, rows)
    else:
        found = average_effects(mixture, query, scene.at, rows, *scene.averages)
    if not np.isfinite(found.estimate).all():
        what = "logarithms and ratios need positive means" if form != "level" else "they overflow"
        raise DataError(f"some effects {'of ' + repr(keys['term']) if keys else ''} are not finite: {what}")
    return _long_keys(scene, keys), found.estimate.ravel(), found.std_error.ravel()


def rows_at(
    scene: Scene,
    data: Data,
    other: tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]] | None = None,
    covariate: np.ndarray | None = None,
) -> Rows:
    """The rows as kernels take them."""
    rows = Rows(
        data,
        (data.columns, data.offsets, ()) if other is None else other,
        np.ones(data.columns.shape[-1]) if covariate is None else covariate,
        constants_of(scene.fitted),
    )
    return rows if scene.moments is None else rows._replace(times=scene.moments.logs, weights=scene.moments.weights)


def _long_keys(scene: Scene, keys: Mapping[str, str]) -> pd.DataFrame:
    count, outputs = len(scene.keys), len(scene.outputs)
    table = scene.keys.iloc[np.tile(np.arange(count), outputs)].reset_index(drop=True).assign(**keys)
    repeated = scene.outputs.iloc[np.repeat(np.arange(outputs), count)].reset_index(drop=True)
    return pd.concat([table, repeated], axis=1)


def require_gate(fitted: Fitted, target: str) -> None:
    """An error where the gate is not all that covariates say of classes."""
    if target in ("mean", "gate") and fitted.plan.repeated and fitted.plan.has_several_outcomes:
        raise OptionError(
            f"{target!r} has no standard errors where covariates are modelled jointly and so inform membership; ask "
            "for each expert's, use predict(), or refit with covariates='fixed'"
        )


def _subjects(fitted: Fitted, opened: Table, averages: Averages | None) -> pd.DataFrame:
    """A row a unit."""
    if averages is not None:
        raise OptionError("responsibilities of a growth model stand a unit, not a row: leave by= out")
    return pd.DataFrame({fitted.unit_name: pd.unique(opened.raw(str(fitted.unit_name))[0])})


def _averages(opened: Table, by: Any, weight: Any) -> tuple[pd.DataFrame, Averages | None]:
    """(keys of the answer, averages or None for rows)."""
    count = opened.n_rows
    if by is None or by is False:
        if weight is not None:
            raise OptionError("weight= weighs averages, which by=True or by='column' asks for")
        return pd.DataFrame({"rowid": np.arange(count)}), None
    weights = _weights(opened, weight)
    if by is True:
        return pd.DataFrame(index=range(1)), Averages(np.zeros(count, dtype=np.int64), weights / weights.sum())
    names = [by] if isinstance(by, str) else by
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise OptionError(f"by must be None, True, a column name or a list of them, got {by!r}")
    taken = [name for name in names if name in RESERVED]
    if taken:
        raise OptionError(f"by= column {taken[0]!r} has the name of a column of the result; rename it in the table")
    columns = pd.DataFrame({name: _levels(opened, name) for name in names})
    code = columns.groupby(list(names), sort=True, observed=True).ngroup().to_numpy()
    first = np.unique(code, return_index=True)[1]
    total = np.bincount(code, weights)
    if (total == 0).any():
        raise DataError(f"weight is zero in all rows of a level of {', '.join(names)}")
    return columns.iloc[first].reset_index(drop=True), Averages(code, weights / total[code])


def _levels(opened: Table, name: str) -> np.ndarray:
    values, missing = opened.raw(name)
    if missing is not None:
        raise DataError(f"by= column {name!r} is missing in {missing.sum()} rows (first: row {np.argmax(missing)})")
    return values


def _weights(opened: Table, weight: Any) -> np.ndarray:
    if weight is None:
        return np.ones(opened.n_rows)
    named = isinstance(weight, str)
    name = f"weight column {weight!r}" if named else "weight"
    return check_weight(opened.raw(weight)[0] if named else weight, opened.n_rows, name)


def _slots(fitted: Fitted) -> list[dict[int, tuple[tuple[int, int], Slot]]]:
    """Of every expert template: response -> ((outcome, item) in the core, slot), responses in the user's order."""
    found = []
    for template in fitted.assembled.stacks:
        places = {
            int(slot.plan.key.split(".")[1]): ((outcome, item), slot)
            for outcome, slots in enumerate(template)
            for item, slot in enumerate(slots)
            if not is_covariate(fitted, slot)
        }
        found.append(dict(sorted(places.items())))
    return found


def places_of(fitted: Fitted) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Group -> response -> (outcome, item), as a query names them."""
    return tuple(tuple(place for place, _ in template.values()) for template in _slots(fitted))


def _outputs(fitted: Fitted, target: str, moments: Moments | None = None) -> pd.DataFrame:
    """One row an output: expert (unless it is the overall mean), group where there are several, time of a curve."""
    if moments is not None:
        times = pd.DataFrame({"time": moments.shown})
        if not target.startswith(PREFIX):
            return times
        number = fitted.assembled.mixture.classes
        return pd.concat([times.assign(expert=pd.array([k + 1] * len(times), dtype="Int64")) for k in range(number)])
    classes = np.arange(1, fitted.assembled.mixture.classes + 1)
    if target not in ("mean", "expert_mean"):
        return pd.DataFrame({"expert": pd.array(classes, dtype="Int64")})
    names: list[str] = []
    for _, slot in _slots(fitted)[0].values():
        columns = len(slot.family.categories) or slot.family.dimension
        names += Means(slot, np.empty(0)).names[:columns]
    table = pd.DataFrame(index=range(len(names) * (len(classes) if target == "expert_mean" else 1)))
    if target == "expert_mean":
        table["expert"] = pd.array(np.repeat(classes, len(names)), dtype="Int64")
    if len(names) > 1:
        table["group"] = names * (len(table) // len(names))
    return table


def constants_of(fitted: Fitted) -> np.ndarray:
    """Means of classes without parameters, (extra, output)."""
    slots = [slot for _, slot in _slots(fitted)[0].values()]
    means = [
        np.concatenate([np.asarray(extra.mean(state, index, slot.family)) for index, slot in enumerate(slots)])
        for extra, state in zip(fitted.extras, fitted.extra_states, strict=True)
    ]
    outputs = sum(len(slot.family.categories) or slot.family.dimension for slot in slots)
    return np.array(means, dtype=np.float64).reshape(len(means), outputs)
