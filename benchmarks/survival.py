"""(k) Survival: n = 1e5, three covariates on scale and power, next to R's survreg, flexsurv and mpr, and lifelines."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from timing import Row, arguments, child, clock, has_r, report, run_r, scratch, single_thread

RIGHT = "x1 + x2 + x3"
FORMULA = f"Surv(time, event) ~ {RIGHT}"


def simulate(n: int, seed: int = 5) -> pd.DataFrame:
    """Weibull times, proportional hazards with a power effect, about one third censored."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=(n, 2)), rng.integers(0, 2, n)])
    gamma = np.exp(0.3 + x @ [0.05, 0.0, 0.2])
    time = (rng.exponential(size=n) / np.exp(-0.2 + x @ [0.4, -0.3, 0.5])) ** (1 / gamma)
    end = rng.uniform(0, 3.2, n)
    names = {f"x{j + 1}": x[:, j] for j in range(3)}
    return pd.DataFrame({"time": np.minimum(time, end), "event": (time <= end).astype(int), **names})


def models() -> dict[str, Any]:
    """Ours, by what they are compared with."""
    import mixstat as ms

    power = {"power": f"~ {RIGHT}", "verbose": 0}
    return {
        "Weibull, hazards and power": ms.SurvivalRegression(FORMULA, scale="ph", baseline="weibull", **power),
        "kappa free, hazards and power": ms.SurvivalRegression(FORMULA, scale="ph", **power),
        "Weibull, accelerated, shape too": ms.SurvivalRegression(FORMULA, baseline="weibull", **power),
        "generalised gamma": ms.SurvivalRegression(FORMULA, baseline="generalized_gamma", verbose=0),
        "Weibull, accelerated": ms.SurvivalRegression(FORMULA, baseline="weibull", verbose=0),
    }


def ours(frame: pd.DataFrame) -> dict[str, Row]:
    rows = {}
    for name, model in models().items():
        first, _ = clock(lambda model=model: model.fit(frame))
        seconds, fitted = clock(lambda model=model: model.fit(frame), repeats=3)
        note = f"first fit of the process {first:.2f} s; {fitted.status_[:40]}"
        rows[name] = Row(f"k: {name}", "mixstat", seconds, fitted.log_likelihood_, note)
    return rows


def theirs(frame: pd.DataFrame) -> list[Row]:
    """R's programs that are installed, by one script on the same rows."""
    with scratch() as folder:
        path = Path(folder) / "survival.csv"
        frame.to_csv(path, index=False, quoting=csv.QUOTE_NONE)
        found = []
        for package in ("survival", "flexsurv", "mpr"):
            if has_r(package):
                found += [
                    Row(f"k: {case}", program, float(seconds), float(value))
                    for case, program, seconds, value in run_r("survival.R", package, path)
                ]
            else:
                found.append(Row("k: Weibull, hazards and power", package, None, None, "not installed"))
        return found


def lifelines(frame: pd.DataFrame) -> list[Row]:
    case = "k: Weibull, accelerated, shape too"
    try:
        from lifelines import WeibullAFTFitter
    except ImportError:
        return [Row(case, "lifelines", None, None, "not installed")]
    seconds, fitted = clock(lambda: WeibullAFTFitter().fit(frame, "time", "event", ancillary=True))
    return [Row(case, "lifelines", seconds, float(fitted.log_likelihood_))]


def cold(n: int) -> list[Row]:
    """The first fit of a process at n = 2,000, without and with jax's compilation cache."""
    case = "k: kappa free, first fit of a process, n = 2000"
    plain = child("first_survival.py", n)
    rows = [Row(case, "mixstat, no cache", plain["seconds"], plain["value"])]
    with scratch() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        child("first_survival.py", n, **cache)
        cached = child("first_survival.py", n, **cache)
    return [*rows, Row(case, "mixstat, from the cache", cached["seconds"], cached["value"])]


def main() -> None:
    args = arguments(__doc__, n=100_000)
    single_thread()
    frame = simulate(args.n)
    mine = ours(frame)
    others = [*theirs(frame), *lifelines(frame)]
    rows = [row for first in mine.values() for row in (first, *(o for o in others if o.case == first.case))]
    report([*rows, *cold(min(args.n, 2000))], args.json)


if __name__ == "__main__":
    main()
