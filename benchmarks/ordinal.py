"""(l) Ordered categories, K = 4: fits next to R's clm and statsmodels, a path of 20 penalties, growth in n."""

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from timing import Row, arguments, child, clock, has_r, report, run_r, scratch, single_thread

CUTS = (0.0, 3.0, 5.0)
PENALTIES = 20


def simulate(n: int, p: int, seed: int = 7) -> pd.DataFrame:
    """Proportional odds but for every fifth column, whose slopes change at the last cut; columns uniform on (-1, 1)."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, p))
    slope = np.tile(0.5 * (np.arange(p) % 3 == 0), (len(CUTS), 1))
    slope[-1, ::5] += 0.4 / np.sqrt(max(p / 10, 1))
    below = 1 / (1 + np.exp(-(np.array(CUTS)[:, None] - slope @ x.T / np.sqrt(max(p / 10, 1)))))
    y = 1 + (rng.random(n) > np.maximum.accumulate(below, axis=0)).sum(axis=0)
    return pd.DataFrame(x, columns=names(p)).assign(y=y)


def names(p: int) -> list[str]:
    return [f"x{number}" for number in range(1, p + 1)]


def formula(p: int) -> str:
    return f"y ~ {' + '.join(names(p))}"


def timed(work: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """(wall, CPU seconds) of the fastest repeat, and the last result."""
    best, result = (float("inf"), float("inf")), None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    return *best, result


def unpenalised(frame: pd.DataFrame, p: int) -> list[Row]:
    """Proportional odds by maximum likelihood."""
    import mixstat as ms

    case = f"l: proportional odds, n={len(frame)}, p={p}"
    model = ms.OrdinalRegression(formula(p), verbose=0)
    first, _ = clock(lambda: model.fit(frame))
    seconds, cpu, fitted = timed(lambda: model.fit(frame), 5)
    note = f"CPU {cpu:.3f} s; first fit of the process {first:.2f} s"
    rows = [Row(case, "mixstat", seconds, fitted.log_likelihood_, note)]
    return [*rows, *statsmodels(case, frame, p), *clm(case, frame, p)]


def statsmodels(case: str, frame: pd.DataFrame, p: int) -> list[Row]:
    try:
        from statsmodels.miscmodels.ordinal_model import OrderedModel
    except ImportError:
        return [Row(case, "statsmodels OrderedModel", None, None, "not installed")]
    ordered = pd.Series(pd.Categorical(frame["y"], ordered=True))
    model = OrderedModel(ordered, frame[names(p)], distr="logit")
    seconds, cpu, found = timed(lambda: model.fit(method="bfgs", disp=0, maxiter=1000), 1)
    return [Row(case, "statsmodels OrderedModel, bfgs", seconds, float(found.llf), f"CPU {cpu:.3f} s")]


def clm(case: str, frame: pd.DataFrame, p: int) -> list[Row]:
    if not has_r("ordinal"):
        return [Row(case, "clm", None, None, "ordinal not installed")]
    with scratch() as folder:
        path = Path(folder) / "ordinal.csv"
        frame.to_csv(path, index=False, quoting=csv.QUOTE_NONE)
        found = run_r("ordinal.R", path, formula(p))
    return [Row(case, name, float(wall), float(value), f"CPU {float(cpu):.3f} s") for name, wall, cpu, value in found]


def path(frame: pd.DataFrame, p: int) -> list[Row]:
    """Fused slopes along 20 penalties down to a hundredth of the largest, from the table to certified points."""
    import mixstat as ms

    case = f"l: path of {PENALTIES} penalties, n={len(frame)}, p={p}"
    model = ms.OrdinalRegression(formula(p), slopes="shrunken", penalty=0.01, verbose=0)

    def work() -> list:
        fused = placed_of(model, frame)
        return fused.path(fused.largest() * 0.01 ** np.linspace(0, 1, PENALTIES))

    first, _ = clock(work)
    seconds, cpu, points = timed(work, 3)
    worst = max(point.kkt for point in points), max(point.gap for point in points)
    note = f"CPU {cpu:.3f} s; first {first:.2f} s; KKT residual {worst[0]:.0e}, duality gap {worst[1]:.0e} at most"
    return [Row(case, "mixstat", seconds, -len(frame) * points[-1].loss, note)]


def placed_of(model: Any, frame: pd.DataFrame) -> Any:
    """The fused problem of a penalised model."""
    from mixstat.estimators.model.fitting import prepare, standardize
    from mixstat.fit.fused_model import placed
    from mixstat.fit.precision import double

    @double
    def made() -> Any:
        request = model._request(None)
        prepared = prepare(frame, request, None)
        return placed(standardize(request, prepared).model).fused

    return made()


def growth(sizes: list[int], p: int) -> list[Row]:
    """Proportional odds, and one shrunken fit, each size in a process of its own."""
    rows = []
    for kind in ("parallel", "shrunken"):
        for n in sizes:
            found = child("large_ordinal.py", n, p, kind)
            note = (
                f"peak {found['peak']:.2f} GB ({found['before']:.2f} GB before the fit); CPU {found['cpu']:.1f} s; "
                f"first fit {found['cold']:.1f} s"
            )
            rows.append(Row(f"l: growth in n, p={p}, {kind}", f"mixstat, n={n}", found["warm"], found["value"], note))
    return rows


def main() -> None:
    args = arguments(__doc__, n=10_000, p=50, divide=1)
    single_thread()
    sizes = [n // args.divide for n in (10_000, 100_000, 1_000_000)]
    grown = growth(sizes, min(20, args.p))  # while this process is small: a child's peak memory begins with it
    frame = simulate(args.n, args.p)
    report([*unpenalised(frame, args.p), *path(frame, args.p), *grown], args.json)


if __name__ == "__main__":
    main()
