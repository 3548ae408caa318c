"""Coverage of 95% intervals of two-expert mixtures with a gate covariate: Wald by observed information and by the
sandwich, and BCa and percentile intervals of the weighted bootstrap.

    python studies/coverage.py [--replicates 500] [--jobs 1] [--directory runs]

Four truths, each with n = 300 and n = 1000 units. "gaussian" and "poisson" are the models that are fitted. Under
"heteroscedastic" and, more so, "strongly heteroscedastic" the experts' scales depend on x and the fitted ones do not:
only the sandwich and the bootstrap are right, for the pseudo-true value (White, 1982, Econometrica 50), the maximum
over one sample of a million units, and for large n (3000 is added to the latter, which is left without the bootstrap).
Writes coverage.csv (all measures with Monte-Carlo standard errors) and coverage.json (how they were made).
"""

import argparse
import json
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.studies import Estimates, wald

SEED = 20260
SCENARIOS = [
    *({"model": model, "n": n} for model in ("heteroscedastic", "gaussian", "poisson") for n in (300, 1000)),
    *({"model": "strongly heteroscedastic", "n": n} for n in (300, 1000, 3000)),
]
MEAN = {"gaussian": ((-1.0, -0.5), (1.5, 0.7)), "poisson": ((0.5, -0.3), (2.0, 0.3))}
SIGMA = (0.7, 0.9)
SPREAD = {"heteroscedastic": 0.2, "strongly heteroscedastic": 0.4}
"""By how much the log of an expert's scale rises with x."""
DRAWS = 199
"""Bootstrap replicates a data set."""
GATE = (0.3, 0.9)
LARGE = 1_000_000


def simulate(rng: np.random.Generator, model: str, n: int) -> pd.DataFrame:
    """Expert 2 has probability expit(0.3 + 0.9 v); x and v are standard normal."""
    x, v = rng.normal(size=n), rng.normal(size=n)
    second = rng.random(n) < 1 / (1 + np.exp(-GATE[0] - GATE[1] * v))
    (a, b), (c, d) = MEAN["poisson" if model == "poisson" else "gaussian"]
    mean = np.where(second, c + d * x, a + b * x)
    if model == "poisson":
        return pd.DataFrame({"x": x, "v": v, "y": rng.poisson(np.exp(mean))})
    sigma = np.where(second, SIGMA[1], SIGMA[0]) * (np.exp(SPREAD.get(model, 0.0) * x))
    return pd.DataFrame({"x": x, "v": v, "y": rng.normal(mean, sigma)})


def fitted(data: pd.DataFrame, model: str) -> ms.MixtureOfExperts:
    """The fit with the package's defaults but five starts, which are enough for experts so far apart."""
    expert = ms.Regression("y ~ x", family="poisson" if model == "poisson" else "gaussian")
    return ms.MixtureOfExperts(expert, gate="~ v", n_init=5, random_state=1, verbose=0).fit(data)


def fit(data: pd.DataFrame, model: str, n: int) -> list[Estimates]:
    """One entry a kind of interval: another kind is another entry, with its own table and `method`."""
    found = fitted(data, model)
    intervals = [wald(found), wald(found, "robust")]
    return intervals if model == "strongly heteroscedastic" else [*intervals, *resampled(found)]


def resampled(found: ms.MixtureOfExperts) -> list[Estimates]:
    """Intervals of one weighted bootstrap."""
    draws = found.bootstrap(DRAWS, random_state=1)
    columns = ["expert", "parameter", "term", "estimate", "std_error", "conf_low", "conf_high"]
    tables = {kind: draws.tidy(interval=kind)[columns] for kind in ("bca", "percentile")}
    known = wald(found)._replace(covariance=draws.covariance)
    return [known._replace(table=table, method=f"bootstrap {kind}") for kind, table in tables.items()]


@cache
def pseudo_true(model: str) -> dict[str, float]:
    """What the Gaussian mixture without a formula for sigma tends to under heteroscedastic experts."""
    large = fitted(simulate(np.random.default_rng(SEED), model, LARGE), model).tidy()
    return {f"{row.expert}:{row.parameter}:{row.term}": row.estimate for row in large.itertuples()}


def truth(model: str, n: int) -> dict[str, float]:
    """True coefficients on the scale of their links."""
    if model in SPREAD:
        return pseudo_true(model)
    values = {f"2:gate:{term}": value for term, value in zip(("Intercept", "v"), GATE, strict=True)}
    for expert, (intercept, slope) in enumerate(MEAN[model], start=1):
        values |= {f"{expert}:mean:Intercept": intercept, f"{expert}:mean:x": slope}
        if model == "gaussian":
            values[f"{expert}:sigma:Intercept"] = float(np.log(SIGMA[expert - 1]))
    return values


def write(study: ms.Study, replicates: int) -> None:
    """The committed files."""
    folder = Path(__file__).parent
    measures = study.measures()
    measures.to_csv(folder / "coverage.csv", index=False, float_format="%.6g")
    about = {
        "script": "studies/coverage.py",
        "seed": SEED,
        "replicates": replicates,
        "bootstrap_draws": DRAWS,
        "date": date.today().isoformat(),
        "mixstat": ms.__version__,
        "pseudo_true": {model: pseudo_true(model) for model in SPREAD},
    }
    (folder / "coverage.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    coverage = measures[measures["measure"] == "coverage"]
    print(coverage.groupby(["model", "n", "method"], sort=False)["value"].agg(["mean", "min", "max"]).round(4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--directory", help="keep replicates here and continue from them")
    chosen = parser.parse_args()
    study = ms.Study(
        simulate=simulate,
        fit=fit,
        truth=truth,
        replicates=chosen.replicates,
        seed=SEED,
        scenarios=SCENARIOS,
        directory=chosen.directory,
    )
    write(study.run(n_jobs=chosen.jobs), chosen.replicates)


if __name__ == "__main__":
    main()
