"""The border: whatever table came in, columns come out as plain numpy arrays with a mask of missing values.

Accepted: pandas, polars (eager) and pyarrow tables (and what narwhals wraps), dictionaries of arrays, record arrays.
Only columns that are used are looked at. Row labels are ignored: rows are positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mixstat.exceptions import DataError, UnknownColumnError
from mixstat.formula.whitelist import did_you_mean, lag_of, shorten

MAX_INTEGER = 2**53
LARGEST = 1e150
"""Size of a column's largest number, or one over it, from which squares overflow or vanish."""
SMALLEST_SQUARE = 1e-290
MAX_NUMERIC_TEXTS = 20


@dataclass(frozen=True, eq=False)
class Column:
    """One column. `kind`: "number" (float64 or int64), "flag" (bool) or "level" (codes into `levels`, -1 missing)."""

    kind: str
    values: np.ndarray
    missing: np.ndarray | None = None
    levels: tuple[Any, ...] = ()
    ordered: bool = False
    sorted_by_us: bool = False  # texts have no order of their own

    def take(self, rows: np.ndarray) -> Column:
        """The rows at the given positions, with the mask dropped when nothing is missing there."""
        missing = None if self.missing is None else self.missing[rows]
        if missing is not None and not missing.any():
            missing = None
        return replace(self, values=self.values[rows], missing=missing)

    def numbers(self) -> np.ndarray:
        """float64 values, NaN where missing (no copy for a float64 column)."""
        values = self.values.astype(np.float64, copy=False)
        if self.missing is not None and self.values.dtype != np.float64:
            values[self.missing] = np.nan
        return values

    def series(self) -> pd.Series:
        """A pandas Series: categorical for levels."""
        if self.kind != "level":
            return pd.Series(self.values)
        levels = pd.Index(list(self.levels), dtype=object if not self.levels else None)
        return pd.Series(pd.Categorical.from_codes(self.values, levels, ordered=self.ordered))

    def used_levels(self) -> Column:
        """The same column without levels that no row has."""
        if self.kind != "level":
            return self
        used = np.bincount(self.values[self.values >= 0], minlength=len(self.levels)) > 0
        if used.all():
            return self
        codes = np.append(np.cumsum(used) - 1, -1)[self.values]
        return replace(self, values=codes, levels=tuple(v for v, u in zip(self.levels, used, strict=True) if u))


class Table:
    """A table whose columns are read on demand; `rows` restricts it to some positions."""

    def __init__(self, data: Any, rows: np.ndarray | None = None) -> None:
        self.source, self.names, self.n_given = _open(data)
        self.rows = rows
        self._known = set(self.names)
        self._cache: dict[str, Column] = {}

    @property
    def n_rows(self) -> int:
        return self.n_given if self.rows is None else len(self.rows)

    def column(self, name: str, *, infinite: bool = False) -> Column:
        """The checked column, or a lagged one named 'lag(x, 1)'; `infinite` allows infinite values (open intervals)."""
        if name not in self._cache:
            self._cache[name] = self._load(name, infinite)
        return self._cache[name]

    def _load(self, name: str, infinite: bool) -> Column:
        lagged = None if name in self._known else lag_of(name)
        column = self._restrict(_lag(self._whole(lagged[0]), name, lagged[1]) if lagged else self._whole(name))
        return _scan(column, name, infinite)

    def _whole(self, name: str) -> Column:
        if name not in self._known:
            raise UnknownColumnError(self._absent(name) + _dotted(name))
        column = _read(self._pick(name), name)
        if len(column.values) != self.n_given:
            raise DataError(f"column {name!r} has {len(column.values)} rows, the table {self.n_given}.")
        return column

    def _restrict(self, column: Column) -> Column:
        return column if self.rows is None else column.take(self.rows)

    def series(self, name: str) -> pd.Series:
        """The column of the whole table as it came, its type kept where pandas has it."""
        return _to_pandas(self._pick(name))

    def raw(self, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Values as they came (numbers, or objects for texts; dates allowed) and the mask of missing ones, or None."""
        series = self.series(name)
        if isinstance(series.dtype, pd.api.extensions.ExtensionDtype):
            series = _plain_series(series)
        values = series.to_numpy()
        values = values if self.rows is None else values[self.rows]
        missing = np.asarray(pd.isna(values))
        return values, (missing if missing.any() else None)

    def assign(self, constants: Mapping[str, float]) -> Any:
        """The table as a data frame or a mapping, with some columns that are constant (new ones, or in place)."""
        if isinstance(self.source, pd.DataFrame):
            return self.source.assign(**constants)
        columns = {name: self.source[name] for name in self.names if name not in constants}
        return columns | {name: np.full(self.n_given, value) for name, value in constants.items()}

    def _absent(self, name: str) -> str:
        listed = shorten(", ".join(repr(n) for n in self.names), 300)
        return f"no column {name!r} in the data.{did_you_mean(name, self.names)} Columns: {listed}."

    def _pick(self, name: str) -> Any:
        if name not in self._known:
            raise DataError(self._absent(name))
        if len(self._known) < len(self.names) and self.names.count(name) > 1:
            raise DataError(f"column {name!r} stands {self.names.count(name)} times in the data; rename or drop one.")
        return self.source[name]


def _dotted(name: str) -> str:
    return " A name with a dot is a column's name: attributes are not allowed in formulas." if "." in name else ""


def _open(data: Any) -> tuple[Any, list[Any], int]:
    """(something indexed by name, its names, its number of rows)."""
    if isinstance(data, pd.DataFrame):
        if data.columns.nlevels > 1:
            raise DataError("the data frame has MultiIndex columns; flatten them to one name each first.")
        return data, list(data.columns), len(data)
    if isinstance(data, np.ndarray):
        if data.dtype.names is None or data.ndim != 1:
            raise DataError("a formula needs named columns, got an array; use a data frame, or set_output('pandas').")
        return data, list(data.dtype.names), len(data)
    if isinstance(data, Mapping):
        return _open_mapping(data)
    return _open_narwhals(data)


def _open_mapping(data: Mapping[str, Any]) -> tuple[Any, list[str], int]:
    lengths = {name: np.shape(values)[0] if np.ndim(values) == 1 else -1 for name, values in data.items()}
    bad = [name for name, length in lengths.items() if length < 0]
    if bad or len(set(lengths.values())) > 1:
        what = f"column {bad[0]!r} is not one-dimensional" if bad else f"the columns' lengths differ: {lengths}"
        raise DataError(f"a dictionary has to hold one-dimensional arrays of one length; {shorten(what, 300)}.")
    return data, list(data), next(iter(lengths.values()), 0)


def _open_narwhals(data: Any) -> tuple[Any, list[str], int]:
    import narwhals.stable.v1 as nw

    try:
        frame = nw.from_native(data)
    except Exception:
        frame = None
    if isinstance(frame, nw.LazyFrame):
        raise DataError(f"the data are lazy ({type(data).__name__}); call .collect() (or .compute()) first.")
    if not isinstance(frame, nw.DataFrame):
        raise DataError(f"expected a data frame (pandas, polars, pyarrow) or a dictionary, got {type(data).__name__}.")
    if isinstance(native := frame.to_native(), pd.DataFrame):
        return _open(native)
    return frame, list(frame.columns), len(frame)


def _to_pandas(values: Any) -> pd.Series:
    """A pandas Series of any column that `Table` may hold, its values untouched where possible."""
    if isinstance(values, pd.Series):
        return values
    if hasattr(values, "to_native"):
        return _narwhals_series(values)
    if isinstance(values, np.ma.MaskedArray):
        kind, blank = (float, np.nan) if values.dtype.kind in "fiu" else (object, None)
        values = np.ma.filled(values.astype(kind), blank)
    if isinstance(values, np.ndarray):
        if not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        return pd.Series(values.astype(object) if values.dtype.kind == "U" else values)
    return pd.Series(values if isinstance(values, pd.api.extensions.ExtensionArray) else list(values))


def _narwhals_series(values: Any) -> pd.Series:
    """Texts as objects, Enum with its levels, Categorical as texts (sorted later); the rest by numpy."""
    import narwhals.stable.v1 as nw

    dtype = values.dtype
    if dtype == nw.Enum:
        levels = values.cat.get_categories().to_list()
        return pd.Series(pd.Categorical(values.cast(nw.String).to_list(), categories=levels))
    if dtype == nw.Categorical:
        return pd.Series(values.cast(nw.String).to_list(), dtype=object)
    nulls = values.null_count() > 0
    if dtype == nw.Boolean and nulls:
        return pd.Series(values.to_list(), dtype="boolean")
    if dtype.is_integer() and nulls:
        return pd.Series(pd.array(values.to_list(), dtype="Int64"))
    if (dtype.is_numeric() and not dtype.is_decimal()) or dtype == nw.Boolean or dtype.is_temporal():
        return pd.Series(values.to_numpy())
    return pd.Series(values.to_list(), dtype=object)


def _plain_series(series: pd.Series) -> pd.Series:
    """Extension types (nullable, arrow, categorical, string) as plain numpy types."""
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return series.astype(object) if series.isna().any() else series.astype(bool)
    if pd.api.types.is_numeric_dtype(dtype):
        if pd.api.types.is_integer_dtype(dtype) and not series.isna().any():
            return series.astype(np.int64)
        return pd.Series(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return pd.Series(series.to_numpy(dtype=object, na_value=None))


def _read(values: Any, name: str) -> Column:
    """The column by its type; DataError when a formula cannot use that type."""
    series = _to_pandas(values)
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = tuple(_plain_level(level) for level in dtype.categories)
        return _levels(series.cat.codes.to_numpy().astype(np.intp), levels, bool(dtype.ordered))
    if isinstance(dtype, pd.api.extensions.ExtensionDtype):
        return _read_extension(series, name)
    if dtype.kind == "b":
        return Column("flag", series.to_numpy())
    if dtype.kind in "iu":
        return _read_integers(series.to_numpy(), name)
    if dtype.kind == "f":
        return Column("number", series.to_numpy().astype(np.float64, copy=False))
    if dtype.kind == "O":
        return _read_objects(series, name)
    raise _wrong_type(name, str(dtype))


def _wrong_type(name: str, dtype: str) -> DataError:
    if dtype.startswith(("datetime", "timedelta", "period", "date", "time")):
        hint = "convert it to a number first, e.g. (x - x.min()).dt.days"
    elif dtype.startswith("complex"):
        hint = "use its real and imaginary parts as two columns"
    else:
        hint = "numbers, booleans, texts and categoricals can be used"
    return DataError(f"column {name!r} is of type {dtype}, which a formula cannot use; {hint}.")


def _read_extension(series: pd.Series, name: str) -> Column:
    if isinstance(series.dtype, pd.SparseDtype):
        return _read(series.sparse.to_dense(), name)
    dtype = series.dtype
    missing = series.isna().to_numpy()
    if pd.api.types.is_bool_dtype(dtype):
        return Column("flag", series.to_numpy(dtype=bool, na_value=False), missing if missing.any() else None)
    if pd.api.types.is_integer_dtype(dtype):
        values = series.to_numpy(dtype=np.dtype(np.uint64 if "uint" in str(dtype).lower() else np.int64), na_value=0)
        return replace(_read_integers(values, name), missing=missing if missing.any() else None)
    if pd.api.types.is_float_dtype(dtype):
        return Column("number", series.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_string_dtype(dtype):
        return _read_texts(series.to_numpy(dtype=object, na_value=None), name)
    raise _wrong_type(name, str(dtype))


def _read_integers(values: np.ndarray, name: str) -> Column:
    if values.dtype.itemsize == 8 and len(values) and max(-int(values.min()), int(values.max())) > MAX_INTEGER:
        raise DataError(f"column {name!r} holds integers beyond 2**53, which lose digits as float64; rescale it.")
    return Column("number", values.astype(np.int64, copy=False))


def _read_objects(series: pd.Series, name: str) -> Column:
    """Object columns: texts, or booleans with missing values; anything else is refused."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "string":
        return _read_texts(series.to_numpy(), name)
    missing = series.isna().to_numpy()
    if kind == "boolean":
        return Column("flag", np.where(missing, False, series.to_numpy()).astype(bool), missing)
    if kind == "empty" or missing.all():
        return Column("number", np.full(len(series), np.nan))
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        hint = f"convert it: df[{name!r}] = pd.to_numeric(df[{name!r}])"
    else:
        hint = "convert it to numbers (pd.to_numeric) or to texts (.astype(str)) first"
    raise DataError(f"column {name!r} is an object column holding {kind} values; {hint}.")


def _read_texts(values: np.ndarray, name: str) -> Column:
    codes, unique = pd.factorize(values)
    order = np.argsort(unique) if len(unique) else np.zeros(0, dtype=np.intp)
    rank = np.empty(len(unique) + 1, dtype=np.intp)
    rank[order], rank[-1] = np.arange(len(unique)), -1
    levels = tuple(str(unique[i]) for i in order)
    if len(levels) > MAX_NUMERIC_TEXTS and _all_numeric(levels):
        hint = f"pd.to_numeric(df[{name!r}]), or .astype('category') if they are labels"
        raise DataError(f"column {name!r} holds {len(levels)} different numbers written as texts; use {hint}.")
    return replace(_levels(rank[codes], levels, False), sorted_by_us=True)


def _all_numeric(levels: Iterable[str]) -> bool:
    try:
        return all(np.isfinite(float(level)) for level in levels)
    except ValueError:
        return False


def _levels(codes: np.ndarray, levels: tuple[Any, ...], ordered: bool) -> Column:
    missing = codes < 0
    return Column("level", codes, missing if missing.any() else None, levels, ordered)


def _plain_level(level: Any) -> Any:
    """A level as a plain Python value: text, number or bool (anything else by its text)."""
    plain = level.item() if isinstance(level, np.generic) else level
    return plain if isinstance(plain, (str, int, float, bool)) else str(plain)


def _lag(column: Column, name: str, steps: int) -> Column:
    """The values `steps` rows earlier (later when negative); missing where there are none."""
    if column.kind == "level":
        raise DataError(f"{name}: only a column of numbers can be lagged.")
    values = np.full(len(column.values), np.nan)
    source, size = column.numbers(), len(column.values)
    if abs(steps) < size:
        low, high = max(steps, 0), size + min(steps, 0)
        values[low:high] = source[low - steps : high - steps]
    return Column("number", values)


def _scan(column: Column, name: str, allowed: bool) -> Column:
    """Infinite values refused unless allowed, sizes beyond those that can be squared always; the mask of missing ones
    added to float columns."""
    if column.values.dtype != np.float64 or can_be_squared(column.values):
        return column
    infinite = int(np.isinf(column.values).sum())
    if infinite and not allowed:
        raise DataError(f"column {name!r} holds {infinite} infinite values; make them missing or drop those rows.")
    size = np.abs(column.values[np.isfinite(column.values)]).max(initial=0.0)
    if size and not 1 / LARGEST < size < LARGEST:
        raise DataError(
            f"column {name!r} holds numbers of size up to {size:g}, whose squares overflow or vanish; rescale it."
        )
    missing = np.isnan(column.values) if column.missing is None else column.missing
    return replace(column, missing=missing) if missing.any() else column


def can_be_squared(values: np.ndarray) -> bool:
    """Whether the sum of squares neither overflows nor vanishes (zeros alone may), as where a value is not finite."""
    with np.errstate(all="ignore"):
        total = np.einsum("i,i->", values, values) if values.ndim == 1 else np.einsum("ij,ij->", values, values)
    return bool(SMALLEST_SQUARE < total < np.inf) or (total == 0 and not values.any())
