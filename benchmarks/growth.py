"""(j) Growth: a two-class bilinear mixture with gate and within-class covariates, n = 500 by ten waves, warm and cold;
many subjects; one class with a straight line next to statsmodels' MixedLM."""

import pandas as pd
from first_growth import model
from simulate import growth
from timing import Row, arguments, child, clock, memory, report, scratch, single_thread


def warm(frame: pd.DataFrame, case: str) -> list[Row]:
    """After a first fit: 20 starts, and a fit from the parameters of another."""
    first = model(n_init=1).fit(frame)
    many, fitted = clock(lambda: model().fit(frame), repeats=3)
    single, again = clock(lambda: model(start=first).fit(frame), repeats=5)
    return [
        Row(f"{case}, 20 starts, warm", "mixstat", many, fitted.log_likelihood_, fitted.status_[:60]),
        Row(f"{case}, one fit, warm", "mixstat", single, again.log_likelihood_, f"{again.n_parameters_} parameters"),
    ]


def cold(n: int, case: str) -> list[Row]:
    """The first fit of a process, import included, without and with jax's compilation cache."""
    plain = child("first_growth.py", n)
    rows = [Row(f"{case}, first fit of a process, 20 starts", "mixstat, no cache", plain["seconds"], plain["value"])]
    with scratch() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        child("first_growth.py", n, **cache)
        cached = child("first_growth.py", n, **cache)
    return [*rows, Row(rows[0].case, "mixstat, from the cache", cached["seconds"], cached["value"])]


def line(frame: pd.DataFrame) -> list[Row]:
    """One class, y ~ time, random intercept and slope."""
    import mixstat as ms

    case = f"j: one class, straight line, {frame['id'].nunique()} subjects"
    ours = ms.GrowthCurve("y ~ linear(time)", unit="id", verbose=0)
    ours.fit(frame)
    seconds, fitted = clock(lambda: ours.fit(frame), repeats=5)
    rows = [Row(case, "mixstat", seconds, fitted.log_likelihood_)]
    try:
        from statsmodels.formula.api import mixedlm
    except ImportError:
        return rows
    theirs = mixedlm("y ~ time", frame, groups="id", re_formula="~ time")
    seconds, result = clock(lambda: theirs.fit(reml=False), repeats=2)
    return [*rows, Row(case, "statsmodels MixedLM", seconds, float(result.llf))]


def many(n: int) -> list[Row]:
    """Twenty starts (on a subset of the subjects) and Newton on all."""
    seconds, fitted = clock(lambda: model().fit(growth(n)))
    note = f"peak {memory():.2f} GB, first fit of this size"
    return [Row(f"j: growth, {n} subjects by ten waves, 20 starts", "mixstat", seconds, fitted.log_likelihood_, note)]


def main() -> None:
    args = arguments(__doc__, n=500, large=100_000)
    single_thread()
    case, frame = f"j: growth, {args.n} subjects by ten waves", growth(args.n)
    rows = [*warm(frame, case), *cold(args.n, case), *line(frame)]
    for size in sorted({args.large // 10, args.large}):
        rows += many(size)
    report(rows, args.json)


if __name__ == "__main__":
    main()
