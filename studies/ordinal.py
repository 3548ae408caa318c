"""Probabilities of a rare category: logistic regression, proportional odds, and slopes shrunken towards it.

    python studies/ordinal.py [--replicates 40] [--jobs 1] [--directory runs]

The designs of Faletto and Bien (2023, ICML): 2,500 rows, ten covariates uniform on (-1, 1), four categories,

    logit P(y <= k) = a_k + x'b_k,    a in {(0, 3, 5), (0, 3.5, 5.5), (0, 4, 6)}

so that the last category has about 1.2, 0.7 or 0.4 per cent of the rows. Sparse designs: each slope of the first cut
is 0.5 with probability pi and 0 otherwise, each later one differs from that of the cut before by 0.5 or -0.5 with
probability pi in all; dense: slopes of the first cut, and differences, are uniform on (-0.5, 0.5). Coefficients are
drawn anew for every data set, until no row has a category of negative probability.

Fits: logistic regression of the last category against the rest; proportional odds; shrunken differences with the
penalty of least left-out log-loss, 20 penalties down to a hundredth of the largest, in five stratified folds (fewer
where the last category has fewer rows). The error of a fit is the mean over the rows of the squared difference
between the estimated and the true probability of the last category.
Writes ordinal.csv (a row a data set) and ordinal.json (how it was made).
"""

import argparse
import json
import time
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.studies import Estimates

SEED = 20264
ROWS, COLUMNS = 2500, 10
STEP = 0.5
CUTS = {5.0: (0.0, 3.0, 5.0), 5.5: (0.0, 3.5, 5.5), 6.0: (0.0, 4.0, 6.0)}
"""Intercepts of P(y <= k) by that of the last cut."""
DESIGNS = {"sparse, 1/2": 1 / 2, "sparse, 1/3": 1 / 3, "dense": None}
"""Probability that a coefficient is not zero."""
NAMES = [f"x{number}" for number in range(1, COLUMNS + 1)]
RIGHT = " + ".join(NAMES)
METHODS = ("logistic", "proportional odds", "shrunken")


def slopes(rng: np.random.Generator, share: float | None) -> np.ndarray:
    """(cut, column) slopes of P(y <= k)."""
    shape = (len(CUTS[5.0]), COLUMNS)
    if share is None:
        return np.cumsum(rng.uniform(-STEP, STEP, shape), axis=0)
    moved = STEP * (rng.random(shape) < share)
    moved[1:] *= rng.choice([-1, 1], (shape[0] - 1, COLUMNS))
    return np.cumsum(moved, axis=0)


def simulate(rng: np.random.Generator, design: str, last: float) -> pd.DataFrame:
    """y, x1 to x10, the true probability of the last category, and whether y is in it."""
    while True:
        x, slope = rng.uniform(-1, 1, (ROWS, COLUMNS)), slopes(rng, DESIGNS[design])
        below = 1 / (1 + np.exp(-(np.array(CUTS[last])[:, None] + slope @ x.T)))
        y = 1 + (rng.random(ROWS) > below).sum(axis=0)
        if (np.diff(below, axis=0) >= 0).all() and (y == 4).sum() >= 2 and len(np.unique(y)) == 4:
            break
    return pd.DataFrame(x, columns=NAMES).assign(y=y, rare=(y == 4).astype(int), truth=1 - below[-1])


def models(rare: int) -> dict[str, ms.OrdinalRegression]:
    """The fits by name."""
    shrunken = ms.OrdinalRegressionCV(
        f"y ~ {RIGHT}", n_penalties=20, smallest=0.01, cv=min(5, rare), random_state=0, verbose=0
    )
    return {
        "logistic": ms.OrdinalRegression(f"rare ~ {RIGHT}", verbose=0),
        "proportional odds": ms.OrdinalRegression(f"y ~ {RIGHT}", verbose=0),
        "shrunken": shrunken,
    }


def fit(data: pd.DataFrame, design: str, last: float) -> Estimates:
    """Errors of the three fits, the share of the last category, and seconds."""
    found = {"share": float(data["rare"].mean())}
    for name, model in models(int(data["rare"].sum())).items():
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ms.ConvergenceWarning)
            model.fit(data)
        found[f"{name}: seconds"] = time.perf_counter() - begin
        found[f"{name}: mse"] = float(((rare_probability(model, data) - data["truth"]) ** 2).mean())
        found[f"{name}: converged"] = float(model.converged_)
    table = pd.DataFrame({"expert": pd.NA, "parameter": found.keys(), "term": "", "estimate": found.values()})
    return Estimates(table.astype({"expert": "Int64"}).assign(std_error=np.nan))


def rare_probability(model: ms.OrdinalRegression, data: pd.DataFrame) -> np.ndarray:
    """1 - F(last predictor), which no crossing of other cuts touches."""
    known = model.tidy().set_index(["parameter", "term"])["estimate"]
    cut = "cut_1" if "cut_3" not in known.index.get_level_values(0) else "cut_3"
    slope = np.zeros(COLUMNS)
    for (parameter, term), value in known.items():
        if parameter == "location" or parameter.startswith("difference_"):
            slope[NAMES.index(term)] += value
    return 1 / (1 + np.exp(known[cut, "Intercept"] - data[NAMES].to_numpy() @ slope))


def write(study: ms.Study, replicates: int) -> None:
    """The committed files."""
    folder = Path(__file__).parent
    keys = ["design", "last", "replicate"]
    table = study.results().pivot(index=keys, columns="parameter", values="estimate").reset_index()
    table.to_csv(folder / "ordinal.csv", index=False, float_format="%.6g")
    about = {
        "script": "studies/ordinal.py",
        "seed": SEED,
        "replicates": replicates,
        "date": date.today().isoformat(),
        "mixstat": ms.__version__,
        "failures": len(study.failures()),
    }
    (folder / "ordinal.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    errors = table.groupby(["design", "last"], sort=False)[[f"{name}: mse" for name in METHODS]]
    print((1e5 * errors.mean()).round(2).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--directory", help="keep replicates here and continue from them")
    chosen = parser.parse_args()
    study = ms.Study(
        simulate=simulate,
        fit=fit,
        truth={f"{name}: mse": 0.0 for name in METHODS},
        replicates=chosen.replicates,
        seed=SEED,
        scenarios={"design": list(DESIGNS), "last": list(CUTS)},
        directory=chosen.directory,
        relabel=False,
    )
    write(study.run(n_jobs=chosen.jobs), chosen.replicates)


if __name__ == "__main__":
    main()
