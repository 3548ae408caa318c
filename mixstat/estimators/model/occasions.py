"""Occasions: rows of a long table gathered into subjects, the rows of a growth model's design."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mixstat.estimators.model.exposures import Clock, clock_of, exposures
from mixstat.estimators.model.plan import GATE, OutcomePlan, Plan
from mixstat.estimators.model.responses import ResponseData
from mixstat.estimators.model.units import first_rows, require_constant
from mixstat.exceptions import DataError, OptionError
from mixstat.families.growth import Growth
from mixstat.families.growth import Occasions as Fields
from mixstat.families.growth.change_scores import NAMES as CHANGES
from mixstat.families.growth.curve_checks import require_sound, require_times
from mixstat.families.growth.curves import make_curve, time_label
from mixstat.formula import Materialized, Matrix, Response

TIME, WAVE, VARYING, RANDOM, SCALE = "time", "wave", "varying", "random", "scale"
"""Keys of an outcome's formulas at the level of occasions."""
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64)
MAX_LEVELS = 40
LATENT_BASIS = "latent_basis"
EXPOSURE = "exposure"
"""What columns of exposures are called, with their number."""
SMOOTHING = "(smoothing)"
"""The column of the smoothing constant, the last one."""
QUARTER = 0.25
"""Over how much of the usual time between occasions a random knot is smoothed."""


class Grid(NamedTuple):
    """Where the rows of a long table stand: subject and place in time (row,), and how many there are of each."""

    subject: np.ndarray
    place: np.ndarray
    subjects: int
    places: int

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(row,) -> (occasion, subject), 0 where a subject has no such occasion."""
        spread = np.zeros((self.places, self.subjects))
        spread[self.place, self.subject] = values
        return spread

    def gather(self, values: np.ndarray) -> np.ndarray:
        """(..., occasion, subject) -> (..., row)."""
        return values[..., self.place, self.subject]


class Gathered(NamedTuple):
    """Formulas at the level of subjects, the long table's own, and the grid that leads from one to the other.

    `owner` (row,) is the subject of each row also where rows are read one by one, None where it is not known.
    """

    subjects: Materialized
    rows: Materialized
    grid: Grid
    owner: np.ndarray | None

    def seen(self, plan: Plan) -> np.ndarray:
        """(row,) whether the repeated response was observed."""
        pairs = zip(plan.outcomes, self.rows.responses or [], strict=True)
        found = [
            ~np.isnan(response.values.reshape(len(response.values), -1))
            for outcome, response in pairs
            if outcome.family.repeated
        ]
        return np.asarray(np.concatenate(found, axis=1).any(axis=1))


def gather(plan: Plan, rows: Materialized, unit: np.ndarray | None, labels: np.ndarray | None) -> Gathered:
    """Subjects of a long table. What acts on subjects must not vary inside one; occasions are sorted by time."""
    if unit is None or labels is None:
        raise OptionError("unit= is needed: the column of the subject, as in GrowthCurve(..., unit='child')")
    own = {key for outcome in plan.outcomes for key in outcome.occasion_formulas}
    matrices = {k: _constant(k, m, unit, labels) for k, m in rows.matrices.items() if k not in own}
    first = first_rows(unit)
    offsets = {k: values[first] for k, values in rows.offsets.items() if k not in own}
    subjects = replace(rows, matrices=matrices, offsets=offsets, responses=None, kept=rows.kept[first])
    return Gathered(subjects, rows, _grid(unit, times_of(plan, rows)), unit)


def _constant(key: str, matrix: Matrix, unit: np.ndarray, labels: np.ndarray) -> Matrix:
    what = "gate column" if key == GATE else "between column"
    values = require_constant(matrix.values, unit, labels, list(matrix.names), what)
    return replace(matrix, values=values)


def times_of(plan: Plan, rows: Materialized) -> np.ndarray:
    """(row,) times of the first outcome that has them, else the order of the rows."""
    for outcome in (own for planned in plan.outcomes for own in planned.own):
        if TIME in outcome.occasions:
            return _times(outcome, rows)
    return np.arange(len(rows.kept), dtype=float)


def has_waves(plan: Plan) -> bool:
    """Whether a column numbers the waves of an outcome: rows of a subject then depend on one another's times."""
    return any(WAVE in own.occasions for outcome in plan.outcomes for own in outcome.own)


def _grid(unit: np.ndarray, times: np.ndarray) -> Grid:
    order = np.lexsort((times, unit))
    counts = np.bincount(unit)
    place = np.empty(len(unit), dtype=np.int64)
    place[order] = np.arange(len(unit)) - np.repeat(np.cumsum(counts) - counts, counts)
    longest = int(counts.max())
    return Grid(unit, place, len(counts), next((size for size in SIZES if size >= longest), -(-longest // 32) * 32))


def bind(outcome: OutcomePlan, gathered: Gathered, response: Response) -> Growth:
    """The family with the occasion-level columns, times, levels and smoothing of these data."""
    _require_numbers(response)
    rows = gathered.rows
    matrices = {key: rows.matrices[outcome.part_key(key)] for key in outcome.occasions}
    time, wave = (outcome.occasions.get(key, "").removeprefix("~ 0 + ") for key in (TIME, WAVE))
    clock = clock_of(_times(outcome, rows), _waves(outcome, rows), (time, wave))
    family = bound(outcome, {key: matrix.names for key, matrix in matrices.items()}, clock)
    if family.curve is not None:
        require_sound(family.curve, clock.times)
    if family.smoothing >= 0:
        usual = (QUARTER * _usual_gap(gathered.grid, _times(outcome, rows))) ** 2
        family = replace(family, softness=((*family.softness, usual)[0], usual))
    return family


def _usual_gap(grid: Grid, times: np.ndarray) -> float:
    """The median time between occasions of a subject that follow each other; without any, a tenth of the range."""
    order = np.lexsort((times, grid.subject))
    gaps = np.diff(times[order])[np.diff(grid.subject[order]) == 0]
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else float(np.ptp(times)) / 10.0 or 1.0


def bound(outcome: OutcomePlan, columns: Mapping[str, Sequence[str]], clock: Clock) -> Growth:
    """The family with these columns by formula key, and with the distinct times if it needs common ones."""
    family = outcome.family
    assert isinstance(family, Growth)
    names: dict[str, int] = {}
    places = {
        key: tuple(names.setdefault(name, len(names)) for name in columns.get(key, ()))
        for key in (VARYING, RANDOM, SCALE)
    }
    family = replace(family, fixed=places[VARYING], scale_columns=places[SCALE])
    if family.curve is None:
        family = replace(family, random=places[RANDOM])
        require_blocks(family.blocks or (), tuple(columns.get(RANDOM, ())))
    if family.residual == "occasion":
        levels = _levels(clock.times, "residual='occasion'", "residual='~ C(wave)'")
        first = len(names)
        names.update({time_label(level): first + i for i, level in enumerate(levels)})
        family = replace(family, levels=levels, scale_columns=tuple(range(first, len(names))))
    if family.curve is not None and family.curve.name == LATENT_BASIS:
        levels = _levels(clock.times, "latent_basis(...)", "a spline such as bs(time, df=4)")
        family = replace(family, curve=make_curve(LATENT_BASIS, times=levels))
    if family.curve is not None and family.curve.name in CHANGES:
        instead, waves = "wave=, a column that numbers the waves", () if clock.waves is None else clock.waves.tolist()
        levels = _levels(clock.times, f"{family.curve.name}(...)", "fewer waves" if waves else instead)
        curve = make_curve(family.curve.name, times=levels, waves=waves)
        first = len(names)
        names.update({f"({EXPOSURE} {number + 1})": first + number for number in range(curve.exposures)})
        family = replace(family, curve=curve)
    if family.curve is not None and family.curve.smoothed:
        family = replace(family, smoothing=names.setdefault(SMOOTHING, len(names)))
    return replace(family, columns=tuple(names))


def require_blocks(groups: Sequence[Sequence[str]], random: tuple[str, ...]) -> None:
    """An error unless the groups, if any, hold every random coefficient once."""
    if groups and sorted(name for group in groups for name in group) != sorted(random):
        raise OptionError(
            "random_covariance= has groups of the random coefficients, each of them once: expected "
            f"{list(random)} in groups, got {[list(group) for group in groups]}"
        )


def common_times(family: Growth) -> tuple[float, ...]:
    """The distinct times that a bound family needs, if any."""
    curve = family.curve
    return curve.times if curve is not None and curve.name in (LATENT_BASIS, *CHANGES) else family.levels


def _require_numbers(response: Response) -> None:
    if response.kind != "numeric":
        raise DataError(
            f"a growth curve needs one numeric response, but column '{response.names[0]}' is {response.kind}"
        )
    values = response.values[~np.isnan(response.values)]
    if len(values) and values.min() == values.max():
        raise DataError(
            f"the response {response.names[0]!r} is {values[0]:g} in all {len(values)} rows used, so there is no "
            "growth to model; check the column"
        )
    if np.isinf(values).any():
        raise DataError(f"the response {response.names[0]!r} is infinite in {np.isinf(values).sum()} rows; remove them")


def _times(outcome: OutcomePlan, rows: Materialized) -> np.ndarray:
    """(row,) times of an outcome, zeros where it has none."""
    if TIME not in outcome.occasions:
        return np.zeros(len(rows.kept))
    matrix = rows.matrices[outcome.part_key(TIME)]
    if matrix.values.shape[1] != 1:
        shown = outcome.occasions[TIME].removeprefix("~ 0 + ")
        raise DataError(
            f"the times {shown!r} of {outcome.shown!r} are categories ({', '.join(matrix.names[:3])}, ...); a growth "
            "curve needs numbers: convert them, for example with pandas.to_numeric"
        )
    return matrix.values[:, 0]


def _waves(outcome: OutcomePlan, rows: Materialized) -> np.ndarray | None:
    """(row,) numbers of the waves, where a column has them."""
    if WAVE not in outcome.occasions:
        return None
    matrix = rows.matrices[outcome.part_key(WAVE)]
    if matrix.values.shape[1] != 1:
        shown = outcome.occasions[WAVE].removeprefix("~ 0 + ")
        raise DataError(f"wave={shown!r} holds categories, expected the numbers of the waves")
    return matrix.values[:, 0]


def _require_positive(family: Growth, times: np.ndarray, rows: np.ndarray) -> None:
    if family.residual == "brownian" and (times < 0).any():
        first = int(np.argmax(times < 0))
        raise DataError(
            f"residual='brownian' starts at time 0, but {(times < 0).sum()} times are negative (first: {times[first]:g}"
            f" in row {rows[first]}); count time from the first occasion, or use residual='ar1'"
        )


def _levels(times: np.ndarray, what: str, instead: str) -> tuple[float, ...]:
    if len(times) > MAX_LEVELS:
        raise DataError(
            f"{what} needs common times, but there are {len(times)} different ones (at most {MAX_LEVELS}); round them, "
            f"or use {instead}"
        )
    if len(times) < 2:
        raise DataError(f"{what} needs at least 2 different times, but there is {len(times)}")
    return tuple(float(t) for t in times)


def encode(outcome: OutcomePlan, family: Growth, gathered: Gathered, response: Response | None) -> ResponseData:
    """A growth response as its family reads it; without a response (new data) no occasion is observed."""
    rows, grid = gathered.rows, gathered.grid
    count = len(rows.kept)
    values = np.full(count, np.nan) if response is None else np.asarray(response.values, dtype=float)
    seen = ~np.isnan(values)
    times = _times(outcome, rows)
    _require_positive(family, times[seen], rows.kept[seen])
    if family.curve is not None:
        require_times(family.curve, times)
    names = family.columns[: family.turned + len(family.levels)]
    columns = np.array([_column(outcome, family, rows, name, times) for name in names]).reshape(-1, count)
    if family.curve is not None and family.curve.exposures:
        spent = exposures(family.curve, times, _waves(outcome, rows), gathered.owner, rows.kept)
        columns = np.concatenate([columns, spent])
    fields = Fields(
        grid.spread(np.where(seen, values, 0.0)),
        grid.spread(seen.astype(float)),
        _filled(grid, times),
        _with_smoothing(family, np.array([grid.spread(column) for column in columns]), grid),
    )
    names = ("response",) if response is None else response.names
    present = fields.seen.sum(axis=0)
    mean = (fields.y.sum(axis=0) / np.maximum(present, 1.0))[None]
    data = family.entered(family.write(fields))
    return ResponseData(names, family, data, mean, present > 0, np.zeros(grid.subjects, bool))


def _with_smoothing(family: Growth, columns: np.ndarray, grid: Grid) -> np.ndarray:
    """(column, occasion, subject), the smoothing constant everywhere, where no occasion is too."""
    columns = columns.reshape(-1, grid.places, grid.subjects)
    if family.smoothing < 0:
        return columns
    return np.concatenate([columns, np.full((1, *columns.shape[1:]), family.softness[0])])


def _filled(grid: Grid, times: np.ndarray) -> np.ndarray:
    """Times, the last one repeated where a subject has no such occasion."""
    spread = grid.spread(times)
    last = np.bincount(grid.subject) - 1
    final = spread[last, np.arange(grid.subjects)]
    return np.where(np.arange(grid.places)[:, None] <= last, spread, final)


def _column(outcome: OutcomePlan, family: Growth, rows: Materialized, name: str, times: np.ndarray) -> np.ndarray:
    for key in (VARYING, RANDOM, SCALE):
        matrix = rows.matrices.get(outcome.part_key(key)) if key in outcome.occasions else None
        if matrix is not None and name in matrix.names:
            return matrix.values[:, matrix.names.index(name)]
    levels = np.array(family.levels)
    unknown = ~np.isin(times, levels)
    if unknown.any():
        met = ", ".join(map(time_label, family.levels))
        raise DataError(f"time {times[unknown][0]:g} was not seen in fit, where residual='occasion' met {met}")
    return (times == float(name)).astype(float)
