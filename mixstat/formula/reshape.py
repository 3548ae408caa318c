"""From wide tables (one row a unit, one column a wave) to the long form (one row an occasion) that models read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError, OptionError
from mixstat.formula.frame import Table
from mixstat.formula.whitelist import shorten


class Waves(NamedTuple):
    """What one long column is made of: a column, a number (times) or None (not measured) a wave."""

    role: str
    name: str
    entries: tuple[Any, ...]
    numbers: tuple[int, ...] | None = None  # of the waves, where a pattern found them

    def __str__(self) -> str:
        return f"{self.role} {self.name!r}"

    @property
    def columns(self) -> list[str]:
        return [entry for entry in self.entries if isinstance(entry, str)]


def wide_to_long(
    table: Any,
    *,
    outcomes: Mapping[str, str | Sequence[str | None]],
    times: Mapping[str, str | Sequence[Any]],
    unit: str | None = None,
    time_varying: Mapping[str, str | Sequence[str | None]] | None = None,
    keep: Sequence[str] | None = None,
    drop_missing: bool = True,
) -> pd.DataFrame:
    """A wide table (one row a unit) as a long one (one row a unit and wave).

    Parameters
    ----------
    table : pandas, polars or pyarrow table, or dictionary of arrays
    outcomes : {name of the long column: its columns in the wide table, one a wave}
        Either a list, None where a wave was not measured, or a pattern: `"Y*"` stands for the columns Y1, Y2, ..., Y10
        (`*` is a whole number) in the order of the numbers.
    times : {name of the long column: columns as above, or one number a wave}
        Columns when each unit has times of its own (`"T*"`), numbers when all share them (`range(5)`, `[0, 1, 3]`).
        With several time scales (grade and age) rows are in the order of the first.
    unit : str, optional
        The column that identifies units. Without it a column `unit` is made: 1, 2, ...
    time_varying : as `outcomes`, optional
        Covariates measured at every wave; they decide nothing about which rows remain.
    keep : list of str, optional
        Columns of the unit to repeat in its rows. By default all that are not named above.
    drop_missing : bool
        Leave out rows without any observed outcome (and so units that have none); a time may be missing there.

    Returns
    -------
    pandas.DataFrame with the columns unit, times, outcomes, time-varying, kept; units in the order of the table, each
    by time (rows without a time, which only `drop_missing=False` leaves, last). Types are kept.

    Raises
    ------
    OptionError
        The numbers of waves differ, a column is used twice, or two long columns would have one name.
    DataError
        A column is not there, a unit has two rows or no name, the columns of an outcome are of different types, or a
        time is missing where an outcome is observed.

    Examples
    --------
    >>> import mixstat as ms
    >>> wide = {"id": ["a", "b"], "sex": [0, 1], "Y1": [10.0, 12.0], "Y2": [11.0, None]}
    >>> wide |= {"T1": [0.0, 0.1], "T2": [1.2, None]}
    >>> ms.wide_to_long(wide, unit="id", outcomes={"score": "Y*"}, times={"year": "T*"})
      id  year  score  sex
    0  a   0.0   10.0    0
    1  a   1.2   11.0    0
    2  b   0.1   12.0    1
    """
    opened = Table(table)
    waves = [
        *_read_waves("times", times, opened.names),
        *_read_waves("outcomes", outcomes, opened.names),
        *_read_waves("time_varying", time_varying or {}, opened.names),
    ]
    _check_waves(waves)
    kept = _kept(opened.names, waves, unit, keep)
    _check_names([unit or "unit", *(wave.name for wave in waves), *kept])
    stacked = {wave.name: _stack(wave, opened) for wave in waves}
    observed = np.logical_or.reduce([stacked[name].notna().to_numpy() for name in outcomes])
    labels = _units(opened, unit)
    for wave in waves[: len(times)]:
        _check_times(wave, stacked[wave.name], observed, labels)
    rows = _rows(stacked[next(iter(times))], observed | (not drop_missing), opened.n_given)
    subject = rows % opened.n_given
    long = {unit or "unit": labels.take(subject)} | {name: values.take(rows) for name, values in stacked.items()}
    long |= {name: _series(opened, name).take(subject) for name in kept}
    return pd.DataFrame({name: values.reset_index(drop=True) for name, values in long.items()})


def _read_waves(role: str, given: Mapping[str, Any], names: list[Any]) -> list[Waves]:
    if not isinstance(given, Mapping):
        raise OptionError(f"{role} must be a dictionary {{name: columns}}, got {type(given).__name__}")
    if not given and role != "time_varying":
        raise OptionError(f"{role} is empty; give at least one, for example {role}={{'name': ['column1', 'column2']}}")
    return [_read_wave(role, name, value, names) for name, value in given.items()]


def _read_wave(role: str, name: Any, value: Any, names: list[Any]) -> Waves:
    if not isinstance(name, str):
        raise OptionError(f"{role}: names must be texts, got {name!r}")
    if isinstance(value, str):
        return _match(role, name, value, names)
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise OptionError(f"{role} {name!r} must be a list of columns or a pattern such as 'Y*', got {value!r}")
    waves = Waves(role, name, tuple(value))
    if role == "times" and waves.entries and all(_is_number(entry) for entry in waves.entries):
        return waves
    bad = [entry for entry in waves.entries if not isinstance(entry, str) and (entry is not None or role == "times")]
    if bad or not waves.columns:
        expected = (
            "columns (texts) or finite numbers" if role == "times" else "columns (texts), None where not measured"
        )
        raise OptionError(f"{waves} must list {expected}, got {shorten(repr(list(value)))}")
    return waves


def _is_number(entry: Any) -> bool:
    return isinstance(entry, (Real, np.number)) and not isinstance(entry, bool) and bool(np.isfinite(float(entry)))


def _match(role: str, name: str, pattern: str, names: list[Any]) -> Waves:
    """The columns that fit 'Y*', by their numbers."""
    if pattern.count("*") != 1:
        raise OptionError(f"{role} {name!r}: a pattern holds one * for the wave's number, as in 'Y*'; got {pattern!r}")
    form = re.compile(r"(\d+)".join(re.escape(part) for part in pattern.split("*")))
    found = [(int(hit[1]), column) for column in names if isinstance(column, str) and (hit := form.fullmatch(column))]
    if not found:
        raise DataError(f"{role} {name!r}: no column fits {pattern!r} (* stands for a whole number)")
    numbers, columns = zip(*sorted(found), strict=True)
    if len(set(numbers)) < len(numbers):
        raise OptionError(f"{role} {name!r}: {pattern!r} fits {list(columns)}, two of one number; list the columns")
    return Waves(role, name, columns, numbers)


def _check_waves(waves: list[Waves]) -> None:
    lengths = {str(wave): len(wave.entries) for wave in waves}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise OptionError(f"the numbers of waves differ: {counts}; list None where a wave was not measured")
    numbered = [wave for wave in waves if wave.numbers is not None]
    for wave in numbered[1:]:
        if wave.numbers != numbered[0].numbers:
            both = f"{numbered[0]} has {list(numbered[0].numbers or ())}, {wave} has {list(wave.numbers or ())}"
            raise OptionError(f"the waves differ: {both}; list the columns, None where a wave was not measured")
    users: dict[str, Waves] = {}
    for wave in waves:
        for column in wave.columns:
            if column in users:
                where = f"in {users[column]} and {wave}" if users[column] is not wave else f"in {wave}"
                raise OptionError(f"column {column!r} is used twice, {where}")
            users[column] = wave


def _kept(names: list[Any], waves: list[Waves], unit: str | None, keep: Sequence[str] | None) -> list[Any]:
    used = {column for wave in waves for column in wave.columns} | {unit}
    if keep is None:
        return [name for name in names if name not in used]
    if isinstance(keep, str):
        raise OptionError(f"keep must be a list of columns, got the text {keep!r}")
    taken = [name for name in keep if name in used]
    if taken:
        raise OptionError(f"keep names column {taken[0]!r}, which is the unit or a wave's column already")
    return list(keep)


def _check_names(names: list[Any]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        advice = "rename one, or leave a column out by keep=[...]" + (", or give unit=" if twice[0] == "unit" else "")
        raise OptionError(f"two columns of the long table would be named {twice[0]!r}; {advice}")


def _series(table: Table, name: Any) -> pd.Series:
    return table.series(name).reset_index(drop=True)


def _stack(wave: Waves, table: Table) -> pd.Series:
    """The values of all waves under each other, (wave * unit,); missing where a wave was not measured."""
    if not wave.columns:
        return pd.Series(np.repeat(np.asarray(wave.entries), table.n_given))
    columns = {name: _series(table, name) for name in wave.columns}
    filled = {name: values for name, values in columns.items() if values.notna().any()} or columns
    values = pd.concat(list(filled.values()), ignore_index=True)
    dtypes = {name: str(part.dtype) for name, part in filled.items()}
    if values.dtype == object and set(dtypes.values()) != {"object"}:
        advice = "give them one type (of categoricals: the same categories)"
        raise DataError(f"the columns of {wave} do not go together: {shorten(str(dtypes), 200)}; {advice}")
    places = {name: np.arange(table.n_given) + table.n_given * number for number, name in enumerate(filled)}
    nowhere = np.full(table.n_given, -1)
    return values.reindex(np.concatenate([places.get(entry, nowhere) for entry in wave.entries])).reset_index(drop=True)


def _units(table: Table, unit: str | None) -> pd.Series:
    """The label of each row of the wide table."""
    if unit is None:
        return pd.Series(np.arange(1, table.n_given + 1))
    labels = _series(table, unit)
    missing = labels.isna().to_numpy()
    if missing.any():
        raise DataError(f"unit column {unit!r} is missing in {missing.sum()} rows (first: row {np.argmax(missing)})")
    again = labels.duplicated().to_numpy()
    if again.any():
        first = labels[np.argmax(again)]
        raise DataError(
            f"unit {first} has {(labels == first).sum()} rows ({again.sum()} rows of column {unit!r} repeat a unit); "
            "expected one row a unit: a table of one row an occasion is in the long form already"
        )
    return labels


def _check_times(wave: Waves, values: pd.Series, observed: np.ndarray, labels: pd.Series) -> None:
    """Every observed outcome has a finite number as its time."""
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        raise DataError(f"{wave}: columns {wave.columns} are of type {values.dtype}; times must be numbers")
    lacking = observed & ~np.isfinite(values.to_numpy(dtype=np.float64, na_value=np.nan))
    if not lacking.any():
        return
    by_wave = lacking.reshape(-1, len(labels))
    number = int(np.argmax(by_wave.any(axis=1)))
    culprit = labels[int(np.argmax(by_wave[number]))]
    raise DataError(
        f"{wave}: column {wave.entries[number]!r} is missing or infinite in {by_wave[number].sum()} rows where an "
        f"outcome is observed (first: unit {culprit}; {lacking.sum()} in all waves); fill in these times, or make the "
        "outcomes missing"
    )


def _rows(time: pd.Series, present: np.ndarray, units: int) -> np.ndarray:
    """Positions in the stack to show: by unit, then time (missing last), then wave."""
    rows = np.flatnonzero(present)
    if not len(rows):
        raise DataError("no outcome is observed in any row")
    values = time.to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    return rows[np.lexsort((values, rows % units))]
