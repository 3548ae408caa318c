"""The only module that touches formulaic: its transforms, its contrasts, its rank reduction, behind our own evaluation.

formulaic's parser and its `eval` are not used: terms come from `grammar.py`, expressions are walked by `evaluate.py`.
formulaic is imported on first use, so that formulas of plain columns do not pay for it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.exceptions import FormulaError, MixstatError, UnseenLevelError
from mixstat.formula.evaluate import State, check_finite, evaluate
from mixstat.formula.frame import Column
from mixstat.formula.grammar import Factor, Term, label
from mixstat.formula.whitelist import shorten

MAX_COLUMNS = 5000
MAX_CELLS = 2**31


class Block(NamedTuple):
    """One formula's matrix with the names of its columns and the terms they belong to."""

    names: tuple[str, ...]
    terms: tuple[str, ...]
    values: np.ndarray


class Learned(NamedTuple):
    """What new data need: state of transforms by call, and levels of encoded factors by expression (both plain)."""

    transforms: State
    encoders: dict[str, Any]


@functools.cache
def transform(name: str) -> Any:
    """formulaic's transform, or its contrast (`Treatment`, `contr.sum`), by name."""
    from formulaic.transforms import TRANSFORMS, ContrastsRegistry

    return getattr(ContrastsRegistry, name[6:]) if name.startswith("contr.") else TRANSFORMS[name]


@functools.cache
def _materializer() -> type:
    """A PandasMaterializer that looks columns up in our own and evaluates by our own walk."""
    from formulaic.materializers import PandasMaterializer
    from interface_meta import override

    class SafeMaterializer(PandasMaterializer):
        REGISTER_NAME = "mixstat"
        REGISTER_INPUTS: Sequence[str] = ()
        columns: Mapping[str, Column]
        state: State
        encoders: Mapping[str, Any]

        @override
        def _lookup(self, name: str) -> tuple[Any, set[Any]]:
            column = self.columns[name]
            return (column.series() if column.kind == "level" else column.numbers()), set()

        @override
        def _evaluate(self, expr: str, metadata: Any, spec: Any) -> tuple[Any, set[Any]]:
            value = _plain(expr, evaluate(expr, self.columns, self.nrows, self.state))
            if expr in self.encoders:
                _check_levels(expr, value, self.encoders[expr][1])
            return value, set()

        @override
        def _build_model_matrix(self, spec: Any, drop_rows: Sequence[int]) -> Any:
            self._count_columns(spec)
            return super()._build_model_matrix(spec, drop_rows)

        def _count_columns(self, spec: Any) -> None:
            """Refused before they are made: interactions of factors with many levels."""
            total = sum(np.prod([_width(self.factor_cache[f.expr].values) for f in t.factors]) for t in spec.formula)
            if total > MAX_COLUMNS:
                raise FormulaError(f"the formula gives about {total:.0f} columns, over {MAX_COLUMNS}; merge levels.")
            if total * self.nrows > MAX_CELLS:
                raise FormulaError(f"the formula gives about {total:.0f} columns for {self.nrows} rows: too large.")

    return SafeMaterializer


def _plain(expr: str, value: Any) -> Any:
    """The value of a factor, checked to be finite numbers (or marked as categorical by C)."""
    if hasattr(value, "__formulaic_metadata__") and value.__formulaic_metadata__.kind.value == "categorical":
        return value
    for part in value.values() if isinstance(value, dict) else [value]:
        array = np.asarray(part)
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
            raise FormulaError(f"{expr!r} does not give numbers; use C(...) for categories.")
        check_finite(expr, array.astype(np.float64, copy=False))
    if isinstance(value, np.ndarray) and not hasattr(value, "__formulaic_metadata__"):
        return _named(value.astype(np.float64, copy=False))
    return value


def _check_levels(expr: str, value: Any, levels: Sequence[Any]) -> None:
    """UnseenLevelError when C(...) meets what it had not met in fit."""
    data = pd.Series(value.__wrapped__)
    unseen = data[~data.isin(list(levels))]
    if len(unseen):
        raise unseen_levels(expr, [_item(v) for v in pd.unique(unseen)], len(unseen), levels)


def unseen_levels(name: str, unseen: Sequence[Any], count: int, levels: Sequence[Any]) -> UnseenLevelError:
    """The error that names column, levels, rows and what was there in fit."""
    came = shorten(", ".join(repr(v) for v in unseen))
    known = shorten(", ".join(repr(v) for v in levels))
    return UnseenLevelError(
        f"{name!r} holds levels that were not there in fit: {came} (in {count} rows); known levels: {known}. "
        "Drop or recode those rows, or fit on data that hold them."
    )


def _named(value: np.ndarray) -> Any:
    """Several columns of one call are numbered from 1, whichever function made them."""
    if value.ndim == 1:
        return value
    from formulaic.materializers.types import FactorValues

    return FactorValues(value, column_names=tuple(str(i + 1) for i in range(value.shape[1])))


def _width(values: Any) -> int:
    """An upper bound of the columns a factor gives."""
    plain = getattr(values, "__wrapped__", values)
    if isinstance(plain, dict):
        return len(plain)
    if values.__formulaic_metadata__.kind.value == "categorical":
        return len(plain.cat.categories) if isinstance(plain.dtype, pd.CategoricalDtype) else len(pd.unique(plain))
    return plain.shape[1] if getattr(plain, "ndim", 1) == 2 else 1


def materialize(
    formulas: Mapping[str, Sequence[Term]], columns: Mapping[str, Column], n_rows: int, learned: Learned
) -> dict[str, Block]:
    """The matrices of all formulas in one pass; `learned` is filled when it is empty and obeyed when it is not.

    Levels that were not there while learning raise UnseenLevelError. Nothing of formulaic is raised.
    """
    _refuse_clash(formulas)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            return _materialize(formulas, columns, n_rows, learned)
    except MixstatError:
        raise
    except Exception as error:
        raise _translated(error) from error


def _translated(error: BaseException) -> MixstatError:
    """Our own error when there is one in the chain, else one that tells formulaic's message."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, MixstatError):
            return inner
        inner = inner.__cause__
    if type(error).__name__ == "DataMismatchWarning":
        return UnseenLevelError(f"levels that were not there in fit (or are not in levels=[...]): {error}")
    return FormulaError(f"the formula cannot be evaluated on the data: {error}")


def _refuse_clash(formulas: Mapping[str, Sequence[Term]]) -> None:
    """formulaic keeps factors by their text: a column named 'log(x)' beside the call log(x) would be mixed up."""
    factors = {factor for terms in formulas.values() for term in terms for factor in term}
    for factor in factors:
        if factor.is_call and Factor(factor.text, False) in factors:
            raise FormulaError(f"{factor.text!r} is a column's name and a call in the same model; rename the column.")


def _materialize(
    formulas: Mapping[str, Sequence[Term]], columns: Mapping[str, Column], n_rows: int, learned: Learned
) -> dict[str, Block]:
    from formulaic.errors import DataMismatchWarning
    from formulaic.model_spec import ModelSpecs

    warnings.simplefilter("error", DataMismatchWarning)
    encoders = _thawed(learned.encoders)
    specs = {f"f{i}": _spec(terms, encoders) for i, terms in enumerate(formulas.values())}
    materializer = _materializer()(pd.DataFrame(index=pd.RangeIndex(n_rows)))
    materializer.columns, materializer.state, materializer.encoders = columns, learned.transforms, learned.encoders
    matrices = materializer.get_model_matrix(ModelSpecs(**specs))
    if not learned.encoders:
        learned.encoders.update(_frozen(encoders))
    return {key: _block(getattr(matrices, f"f{i}"), terms) for i, (key, terms) in enumerate(formulas.items())}


def _spec(terms: Sequence[Term], encoders: dict[str, Any]) -> Any:
    from formulaic.formula import SimpleFormula
    from formulaic.model_spec import ModelSpec
    from formulaic.parser.types import Factor as Part
    from formulaic.parser.types import Term as Product

    def product(term: Term) -> Any:
        parts = [Part(f.text, eval_method="python" if f.is_call else "lookup") for f in term]
        return Product(parts or [Part("1", eval_method="literal")])

    formula = SimpleFormula([product(term) for term in terms], _ordering="none")
    return ModelSpec(formula=formula, output="numpy", na_action="ignore", encoder_state=encoders)


def _block(matrix: Any, terms: Sequence[Term]) -> Block:
    structure = matrix.model_spec.structure
    labels = [label(term) for term in terms]
    names = tuple(str(name) for part in structure for name in part.columns)
    owners = tuple(owner for owner, part in zip(labels, structure, strict=True) for _ in part.columns)
    return Block(names, owners, np.asarray(matrix, dtype=np.float64))


def _frozen(encoders: Mapping[str, Any]) -> dict[str, Any]:
    """Plain encoder state: expression -> [kind, levels], for categorical factors."""
    return {
        expr: [kind.value, [_item(level) for level in state["categories"]]]
        for expr, (kind, state) in encoders.items()
        if "categories" in state
    }


def _item(level: Any) -> Any:
    return level.item() if isinstance(level, np.generic) else level


def _thawed(encoders: Mapping[str, Any]) -> dict[str, Any]:
    from formulaic.parser.types import Factor as Part

    return {expr: (Part.Kind(kind), {"categories": list(levels)}) for expr, (kind, levels) in encoders.items()}
