"""One replicate: simulate, fit, match to the truth; an exception becomes the replicate's reason."""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixstat.exceptions import ConvergenceWarning, LocalOptimumWarning, OptionError
from mixstat.studies.design import Truth
from mixstat.studies.estimates import Estimates, name_of, read_estimates
from mixstat.studies.matching import match

Record = dict[str, Any]
"""A replicate as JSON holds it: scenario and replicate (from 0), seconds, error (None or the reason), results."""


class Work(NamedTuple):
    """The user's functions and what else every replicate needs; it travels to workers."""

    simulate: Callable[..., Any]
    fit: Callable[..., Any]
    seed: int
    relabel: bool


class Batch(NamedTuple):
    """Some replicates of one scenario."""

    number: int
    scenario: Mapping[str, Any]
    truth: Truth
    replicates: Sequence[int]


def generator_of(seed: int, scenario: int, replicate: int) -> np.random.Generator:
    """A replicate's random numbers: child (scenario, replicate) of SeedSequence(seed), in whatever order it runs."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(scenario, replicate)))


def run_batch(work: Work, batch: Batch) -> list[Record]:
    """The records of a batch."""
    return [_run(work, batch, replicate) for replicate in batch.replicates]


def _run(work: Work, batch: Batch, replicate: int) -> Record:
    """One record. An OptionError over what `fit` or `truth` gave is no replicate's misfortune and is passed on."""
    began = time.perf_counter()
    error, results, returned = None, [], None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", LocalOptimumWarning)
            data = work.simulate(generator_of(work.seed, batch.number, replicate), **batch.scenario)
            returned = work.fit(data, **batch.scenario)
    except Exception as problem:
        error = _reason(problem)
    if error is None:
        try:
            results = [_result(found, batch.truth, relabel=work.relabel) for found in read_estimates(returned)]
        except OptionError:
            raise
        except Exception as problem:
            error = _reason(problem)
    return {
        "scenario": batch.number,
        "replicate": replicate,
        "seconds": round(time.perf_counter() - began, 4),
        "error": error,
        "results": results,
    }


def _reason(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"


def _result(found: Estimates, truth: Truth, *, relabel: bool) -> dict[str, Any]:
    """One method's part of a record, in the labels of the truth."""
    keys = found.keys
    known = truth.align(keys)
    estimate = found.table["estimate"].to_numpy(float, na_value=np.nan)
    if not np.isfinite(estimate).all():
        bad = [name_of(key) for key, value in zip(keys, estimate, strict=True) if not np.isfinite(value)]
        raise ValueError(f"fit gave no finite estimate of {', '.join(bad)}")
    matched = match(found, known, relabel=relabel)
    columns = zip(matched.estimate, matched.std_error, matched.conf_low, matched.conf_high, strict=True)
    return {
        "method": found.method,
        "converged": bool(found.converged),
        "status": found.status,
        "order": [place + 1 for place in matched.order],
        "rows": [[*key, *map(_number, values)] for key, values in zip(keys, columns, strict=True)],
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if math.isnan(value) else float(value)
