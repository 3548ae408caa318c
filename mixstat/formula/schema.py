"""Schema: what formulas learn from data (terms, levels, knots), and the matrices they give on these and on new data.

All formulas of a model are read in one pass, so that rows with missing values drop together.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from mixstat.exceptions import DataError, FormulaError
from mixstat.formula import compat, terms
from mixstat.formula.evaluate import State, numeric
from mixstat.formula.frame import LARGEST, Column, Table, can_be_squared
from mixstat.formula.grammar import Right, Term, label, parse_right
from mixstat.formula.left import Left, Response
from mixstat.formula.lexer import sides, uses_dot
from mixstat.formula.transforms import MAX_LEVELS
from mixstat.formula.whitelist import lag_of, shorten

MISSING = ("error", "drop", "response")


@dataclass(frozen=True, eq=False)
class Matrix:
    """Columns of one formula. `values` (row, column) float64, read-only and shared by formulas of equal terms.

    `terms` gives for each column the term it belongs to: names ("Intercept", "g[T.b]"), terms ("1", "g").
    """

    names: tuple[str, ...]
    values: np.ndarray
    terms: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Materialized:
    """Arrays of the kept rows. `kept` are their positions in the data given; `n_given` counts rows before dropping."""

    matrices: dict[str, Matrix]
    offsets: dict[str, np.ndarray]
    responses: list[Response] | None
    variables: dict[str, np.ndarray]
    kept: np.ndarray
    n_given: int
    n_dropped: int


class Seen(NamedTuple):
    """What was learnt of a raw column: its kind and, for kind "level", its levels."""

    kind: str
    levels: tuple[Any, ...]
    ordered: bool


class Schema:
    """Learnt formulas. Made by `Schema.learn`; holds no data; plain enough to be pickled and written as JSON."""

    def __init__(
        self,
        formulas: Mapping[str, str],
        lefts: Mapping[str, Left],
        rights: Mapping[str, Right],
        keep_missing_response: bool,
    ) -> None:
        self.formulas = dict(formulas)
        self.lefts, self.rights = dict(lefts), dict(rights)
        self.keep_missing_response = keep_missing_response
        self.seen: dict[str, Seen] = {}
        self.transforms: State = {}
        self.encoders: dict[str, Any] = {}
        self.columns: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    @classmethod
    def learn(
        cls,
        data: Any,
        *,
        main: Mapping[str, str],
        parts: Mapping[str, str] | None = None,
        variables: Sequence[str] = (),
        apart: Sequence[str] = (),
        keep_missing_response: bool = False,
        subset: np.ndarray | None = None,
    ) -> tuple[Schema, Materialized]:
        """Learn from `data` and give its matrices.

        `main` holds two-sided formulas (one response each), `parts` one-sided ones ("~ x"). A '.' on a right side
        stands for all columns that are not on a left side nor in `variables` or `apart`. Rows with a missing value in
        any column used drop; with `keep_missing_response` a row stays if one response is observed, others being NaN.
        `subset` restricts the data to some rows (positions, or one boolean a row).
        """
        parts = dict(parts or {})
        rows = _positions(subset, data)
        table = Table(data, rows)
        schema = cls({**main, **parts}, *_parse(main, parts, table.names, [*variables, *apart]), keep_missing_response)
        if len(schema.formulas) < len(main) + len(parts):
            raise FormulaError(f"a key stands in main and in parts: {sorted(set(main) & set(parts))}.")
        columns, keep, raw = schema._rows(table, variables, True, "drop")
        columns = {name: column.used_levels() for name, column in columns.items()}
        schema.seen = _seen(columns, schema._right_names())
        return schema, schema._materialize(columns, keep, raw, table, True)

    def transform(
        self, data: Any, *, response: bool = False, variables: Sequence[str] = (), missing: str = "error"
    ) -> Materialized:
        """The matrices of new data, with the levels, knots and means learnt; the left side only with `response=True`.

        `missing="error"` raises DataError when a column used has missing values; "drop" drops those rows; "response"
        keeps rows whose response alone is missing, NaN.
        """
        if missing not in MISSING:
            raise ValueError(f"missing is one of {', '.join(map(repr, MISSING))}, got {missing!r}.")
        table = Table(data)
        columns, keep, raw = self._rows(table, variables, response, missing)
        columns = {name: _align(name, column, self.seen[name]) for name, column in columns.items()}
        return self._materialize(columns, keep, raw, table, response)

    def only(self, *keys: str) -> Schema:
        """The schema of some right sides alone, which asks new data for no other columns."""
        part = copy.copy(self)
        part.lefts, part.rights = {}, {key: right for key, right in self.rights.items() if key in keys}
        return part

    def column_names(self, key: str) -> tuple[str, ...]:
        """Names of the columns of a formula's matrix."""
        return self.columns[key][0]

    def term_labels(self, key: str) -> tuple[str, ...]:
        """For each column of a formula's matrix the term it belongs to."""
        return self.columns[key][1]

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Columns of the data that the right sides use, in order of appearance."""
        return tuple(dict.fromkeys(_source(name) for name in self._right_names()))

    @property
    def response_columns(self) -> tuple[str, ...]:
        """Columns of the data that the left sides use, in order of appearance."""
        return tuple(dict.fromkeys(_source(name) for left in self.lefts.values() for name in left.variables))

    def _right_names(self) -> dict[str, None]:
        return dict.fromkeys(name for right in self.rights.values() for name in right.variables)

    def _rows(
        self, table: Table, variables: Sequence[str], response: bool, missing: str
    ) -> tuple[dict[str, Column], np.ndarray | None, dict[str, np.ndarray]]:
        """The columns and raw variables on complete rows, and which rows those are (None: all)."""
        if table.n_rows == 0:
            raise DataError("the data have no rows.")
        names = self._right_names()
        lefts = list(self.lefts.values()) if response else []
        bounds = {name for left in self.lefts.values() for name in left.infinite}
        used = [*names, *(n for left in lefts for n in left.variables)]
        columns = {name: table.column(name, infinite=name in bounds and name not in names) for name in used}
        raw = {name: table.raw(name) for name in variables}
        masks = {name: columns[name].missing for name in names} | {name: mask for name, (_, mask) in raw.items()}
        open_ends = {name for left in self.lefts.values() for name in left.open}
        for_all = [_unobserved(left, columns, open_ends) for left in lefts]
        if missing == "response":
            for_all = []
        drop = _incomplete(masks, for_all, self.keep_missing_response)
        if drop is not None and missing != "drop":
            raise _missing_error(masks, for_all, int(drop.sum()), table.n_rows)
        keep = None if drop is None else np.flatnonzero(~drop)
        if keep is None:
            return columns, None, {name: values for name, (values, _) in raw.items()}
        if not len(keep):
            raise _missing_error(masks, for_all, table.n_rows, table.n_rows)
        return {n: c.take(keep) for n, c in columns.items()}, keep, {n: v[keep] for n, (v, _) in raw.items()}

    def _materialize(
        self,
        columns: Mapping[str, Column],
        keep: np.ndarray | None,
        raw: dict[str, np.ndarray],
        table: Table,
        response: bool,
    ) -> Materialized:
        n_rows = table.n_rows if keep is None else len(keep)
        learned = compat.Learned(self.transforms, self.encoders)
        if self.columns:
            learned = compat.Learned(copy.deepcopy(self.transforms), self.encoders)
        matrices = _matrices({key: right.terms for key, right in self.rights.items()}, columns, n_rows, learned)
        for key, matrix in matrices.items():
            _check_names(self.formulas[key], self.rights[key], matrix)
            if self.columns.setdefault(key, (matrix.names, matrix.terms)) != (matrix.names, matrix.terms):
                raise DataError(f"formula {self.formulas[key]!r}: new data give other columns than those in fit.")
        offsets = {
            key: _offset(right, columns, n_rows, learned.transforms)
            for key, right in self.rights.items()
            if right.offsets
        }
        responses = None
        if response:
            responses = [terms.build(left, columns, n_rows, learned.transforms) for left in self.lefts.values()]
        kept = np.arange(table.n_rows) if keep is None else keep
        kept = kept if table.rows is None else table.rows[kept]
        return Materialized(matrices, offsets, responses, raw, kept, table.n_rows, table.n_rows - n_rows)


def _seen(columns: Mapping[str, Column], right_names: Iterable[str]) -> dict[str, Seen]:
    """Kinds and levels to remember; too many levels on a right side are refused."""
    for name in right_names:
        count = len(columns[name].levels)
        if count > MAX_LEVELS:
            hint = f"merge rare levels, or pd.to_numeric(df[{name!r}]) if they are numbers"
            raise DataError(f"column {name!r} has {count} levels, more than {MAX_LEVELS}; {hint}.")
    return {name: Seen(column.kind, column.levels, column.ordered) for name, column in columns.items()}


def _check_names(formula: str, right: Right, matrix: Matrix) -> None:
    """Every term has a column, and every column a name of its own."""
    absent = [label(term) for term in right.terms if label(term) not in matrix.terms]
    if absent:
        raise DataError(f"the term {absent[0]!r} gives no column: it has one level in the rows used; drop the term.")
    if len(set(matrix.names)) < len(matrix.names):
        twice = sorted({name for name in matrix.names if matrix.names.count(name) > 1})
        raise FormulaError(f"formula {shorten(formula)!r} gives two columns named {twice[0]!r}; rename a column.")


def _parse(
    main: Mapping[str, str], parts: Mapping[str, str], names: Iterable[Any], variables: Sequence[str]
) -> tuple[dict[str, Left], dict[str, Right]]:
    """All left and right sides, with '.' put in full."""
    for key, source in {**main, **parts}.items():
        if not isinstance(source, str):
            raise FormulaError(f"the formula for {key!r} is a text such as 'y ~ x', got {type(source).__name__}.")
    for key, source in parts.items():
        if sides(source).left is not None:
            raise FormulaError(f"the formula for {key!r} is one-sided: write '~ x', got {source!r}.")
    unnamed = [name for name in names if not isinstance(name, str)]
    if unnamed and any(uses_dot(source) for source in [*main.values(), *parts.values()]):
        raise DataError(
            f"'.' needs columns named by texts, not {unnamed[0]!r}: data.columns = data.columns.astype(str)."
        )
    lefts = {key: terms.parse_left(source) for key, source in main.items()}
    taken = {name for left in lefts.values() for name in left.variables} | set(variables)
    rights = {}
    for key, source in {**main, **parts}.items():
        others = tuple(n for n in names if n not in taken) if uses_dot(source) else None
        rights[key] = parse_right(source, others)
    return lefts, rights


def _positions(subset: Any, data: Any) -> np.ndarray | None:
    if subset is None:
        return None
    rows = np.asarray(subset)
    if rows.ndim != 1 or rows.dtype.kind not in "biu":
        raise DataError(f"subset holds positions or one boolean a row, got {rows.dtype} of shape {rows.shape}.")
    if rows.dtype == bool:
        n_given = Table(data).n_given
        if len(rows) != n_given:
            raise DataError(f"subset has {len(rows)} entries, the data have {n_given} rows.")
        return np.flatnonzero(rows)
    return rows.astype(np.intp, copy=False)


def _source(name: str) -> str:
    """The raw column behind a lagged one."""
    lagged = lag_of(name)
    return lagged[0] if lagged else name


def _incomplete(
    masks: Mapping[str, np.ndarray | None], lefts: Sequence[Mapping[str, np.ndarray | None]], keep_one: bool
) -> np.ndarray | None:
    """Which rows drop; None when none does."""
    drop = _any(masks.values())
    unobserved = [_any(left.values()) for left in lefts]
    if not keep_one:
        return _any([drop, *unobserved])
    present = [mask for mask in unobserved if mask is not None]
    if not present or len(present) < len(unobserved):
        return drop
    return _any([drop, np.logical_and.reduce(present)])


def _unobserved(left: Left, columns: Mapping[str, Column], free: Container[str]) -> dict[str, np.ndarray | None]:
    """Where a response is missing, by column; parallel outcomes are missing where all of them are."""
    masks = {name: columns[name].missing for name in left.variables if name not in free}
    if left.form != "parallel":
        return masks
    given = [mask for mask in masks.values() if mask is not None]
    return {", ".join(masks): np.logical_and.reduce(given) if len(given) == len(masks) else None}


def _any(masks: Iterable[np.ndarray | None]) -> np.ndarray | None:
    present = [mask for mask in masks if mask is not None]
    if not present:
        return None
    joined: np.ndarray = present[0] if len(present) == 1 else np.logical_or.reduce(present)
    return joined if joined.any() else None


def _missing_error(
    masks: Mapping[str, np.ndarray | None], lefts: Sequence[Mapping[str, np.ndarray | None]], count: int, n_rows: int
) -> DataError:
    counts = {n: int(m.sum()) for part in (masks, *lefts) for n, m in part.items() if m is not None}
    listed = ", ".join(f"{name!r} ({number})" for name, number in counts.items())
    lagged = " A lagged column misses its first rows." if any(lag_of(name) for name in counts) else ""
    return DataError(
        f"{count} of {n_rows} rows have missing values; by column: {listed}. Drop or fill those rows first.{lagged}"
    )


def _matrices(
    formulas: Mapping[str, tuple[Term, ...]], columns: Mapping[str, Column], n_rows: int, learned: compat.Learned
) -> dict[str, Matrix]:
    """Plain numeric columns directly, anything else through formulaic; formulas of equal terms share a matrix."""
    made: dict[tuple[Term, ...], Matrix] = {}
    others: dict[str, tuple[Term, ...]] = {}
    for key, right in formulas.items():
        if right not in made and _is_plain(right, columns):
            made[right] = _direct(right, columns, n_rows)
        elif right not in made and right not in others.values():
            others[key] = right
    if others:
        for key, block in compat.materialize(others, columns, n_rows, learned).items():
            made[others[key]] = _matrix(block.names, block.values, block.terms)
    return {key: made[right] for key, right in formulas.items()}


def _is_plain(right: tuple[Term, ...], columns: Mapping[str, Column]) -> bool:
    return all(
        not term or (len(term) == 1 and not term[0].is_call and columns[term[0].text].kind != "level") for term in right
    )


def _direct(right: tuple[Term, ...], columns: Mapping[str, Column], n_rows: int) -> Matrix:
    """The matrix of plain numeric columns, filled in place."""
    values = np.empty((n_rows, len(right)))
    for j, term in enumerate(right):
        values[:, j] = columns[term[0].text].values if term else 1.0
    names = tuple(term[0].text if term else "Intercept" for term in right)
    return _matrix(names, values, tuple(term[0].text if term else "1" for term in right))


def _matrix(names: tuple[str, ...], values: np.ndarray, owners: tuple[str, ...]) -> Matrix:
    usable = can_be_squared(values) or (np.abs(values) < LARGEST).all()
    if not usable:
        bad = [name for name, column in zip(names, values.T, strict=True) if not (np.abs(column) < LARGEST).all()]
        reason = f"not finite numbers below {LARGEST:g} (an overflow in a product?)"
        raise DataError(f"the columns {bad} are {reason}; rescale their factors.")
    values.flags.writeable = False
    return Matrix(names, values, owners)


def _offset(right: Right, columns: Mapping[str, Column], n_rows: int, state: State) -> np.ndarray:
    """The sum of a formula's offsets."""
    total = np.zeros(n_rows)
    for factor in right.offsets:
        if not factor.is_call and columns[factor.text].kind == "level":
            raise DataError(f"offset({factor.text}): the column holds texts or categories; an offset is a number.")
        total += numeric(factor.text, columns, n_rows, state) if factor.is_call else columns[factor.text].numbers()
    return total


def _align(name: str, column: Column, seen: Seen) -> Column:
    """New data in the kind and levels learnt; DataError when they do not fit."""
    if seen.kind == "level":
        return _align_levels(name, column, seen)
    if column.kind == "level" and not (column.missing is not None and column.missing.all()):
        raise DataError(f"column {name!r} held numbers in fit and holds texts or categories now; convert it.")
    if seen.kind == column.kind:
        return column
    values = column.values if column.missing is None else np.where(column.missing, 0, column.values)
    if seen.kind == "number":
        return replace(column, kind="number", values=values.astype(np.float64))
    if not np.isin(values, (0, 1)).all():
        raise DataError(f"column {name!r} held booleans in fit and holds other numbers now.")
    return replace(column, kind="flag", values=values.astype(bool))


def _align_levels(name: str, column: Column, seen: Seen) -> Column:
    if column.kind == "level":
        levels, codes = column.levels, column.values
    else:
        unique, codes = np.unique(column.values, return_inverse=True)
        levels = tuple(unique.tolist())
        codes = codes if column.missing is None else np.where(column.missing, -1, codes)
    position = {level: i for i, level in enumerate(seen.levels)}
    mapped = np.array([*(position.get(level, -2) for level in levels), -1], dtype=np.intp)[codes]
    unseen = np.unique(codes[mapped == -2])
    if len(unseen):
        count = int((mapped == -2).sum())
        raise compat.unseen_levels(name, [levels[i] for i in unseen], count, seen.levels)
    return Column("level", mapped, column.missing, seen.levels, seen.ordered)
