"""Recovery of bilinear growth in two classes: bias, precision and coverage of mixtures with and without covariates.

    python studies/growth.py [--replicates 500] [--jobs 1] [--directory runs]

The design of the public demonstration code of Liu and Perera (2022, Psychological Methods, doi 10.1037/met0000436): 500
subjects, ten waves (the first and last exact, the others within a quarter), two classes,

    y_ij = eta0_i + eta1_i min(t_ij, knot_k) + eta2_i max(t_ij - knot_k, 0) + e_ij,      e_ij ~ N(0, 1)
    eta_i = alpha_k + B_k x_i + zeta_i,      logit P(class 2) = log(1.5) g1 + log(1.7) g2

with knots 3.5 and 5.5. Chosen here: a second pair of knots, 4 and 5; gate covariates with the correlation of x; x and g
independent. So both models that are fitted to a data set, with and without x and g, are true: without x the growth
factors have their total covariance, alike in both classes, and without g the classes have log odds of 0. Fits start
from the true classes.
Writes growth.csv (measures with Monte-Carlo standard errors) and growth.json (how they were made).
"""

import argparse
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.studies import Estimates

SEED = 20262
UNITS, WAVES, JITTER = 500, 10, 0.25
KNOTS = [(3.5, 5.5), (4.0, 5.0)]
FACTORS = ("intercept", "slope1", "slope2")
ALPHA = np.array([[100, -5, -2.6], [100, -5, -3.4]])
TOTAL = np.array([[25, 1.5, 1.5], [1.5, 1, 0.3], [1.5, 0.3, 1]])
"""Covariance of the growth factors of either class, over x."""
PHI = np.array([[1, 0.3], [0.3, 1]])
STRONG = np.array([[1.251505, 1.877258], [0.250301, 0.3754515], [0.250301, 0.3754515]])
EFFECTS = (STRONG / np.sqrt(2), STRONG)
"""Rows: growth factors. x explains 13% of each factor's variance in class 1, 26% in class 2."""
GATE = np.log([1.5, 1.7])
PLAIN, FULL = "finite mixture", "full mixture of experts"


def simulate(rng: np.random.Generator, knots: tuple[float, float]) -> pd.DataFrame:
    """One row an occasion; `class` is the true one."""
    x, g = rng.multivariate_normal([0, 0], PHI, (2, UNITS))
    kind = (rng.random(UNITS) < 1 / (1 + np.exp(-g @ GATE))).astype(int)
    roots = [np.linalg.cholesky(TOTAL - effects @ PHI @ effects.T) for effects in EFFECTS]
    zeta = np.einsum("iqr,ir->iq", np.array(roots)[kind], rng.normal(size=(UNITS, 3)))
    eta = ALPHA[kind] + np.einsum("iqm,im->iq", np.array(EFFECTS)[kind], x) + zeta
    time = np.arange(WAVES) + rng.uniform(-JITTER, JITTER, (UNITS, WAVES))
    time[:, [0, -1]] = 0, WAVES - 1
    knot, (level, early, late) = np.array(knots)[kind][:, None], eta.T[..., None]
    y = level + early * np.minimum(time, knot) + late * np.maximum(time - knot, 0) + rng.normal(size=time.shape)
    unit = {"unit": np.arange(UNITS), "class": kind + 1, "x1": x[:, 0], "x2": x[:, 1], "g1": g[:, 0], "g2": g[:, 1]}
    rows = {name: np.repeat(values, WAVES) for name, values in unit.items()}
    return pd.DataFrame({**rows, "time": time.ravel(), "y": y.ravel()})


def fit(data: pd.DataFrame, knots: tuple[float, float]) -> list[Estimates]:
    """Both models, started from the true classes: the study is of the estimator, not of the search for it."""
    options = {"n_experts": 2, "start": data.groupby("unit", sort=False)["class"].first().to_numpy(), "verbose": 0}
    curve = ms.GrowthCurve("y ~ bilinear(time)", unit="unit")
    plain = ms.MixtureOfExperts(curve, **options).fit(data)
    curve = ms.GrowthCurve("y ~ bilinear(time)", unit="unit", between="~ x1 + x2")
    full = ms.MixtureOfExperts(curve, gate="~ g1 + g2", **options).fit(data)
    total = {"parameter": {"random_covariance": "total_covariance"}}
    return [found(plain, data, PLAIN, plain.tidy().replace(total)), found(full, data, FULL, full.tidy())]


def found(model: ms.MixtureOfExperts, data: pd.DataFrame, method: str, table: pd.DataFrame) -> Estimates:
    """`tidy()`, in which variances have delta-method errors, with accuracy and entropy of the classes."""
    table = table[["expert", "parameter", "term", "estimate", "std_error", "conf_low", "conf_high"]]
    quality = {"accuracy": accuracy(model, data), "entropy": model.entropy()}
    extra = pd.DataFrame({"expert": pd.NA, "parameter": quality.keys(), "term": "", "estimate": quality.values()})
    table = pd.concat([table, extra.astype({"expert": table["expert"].dtype})], ignore_index=True)
    return Estimates(table, converged=model.converged_, status=model.status_, method=method)


def accuracy(model: ms.MixtureOfExperts, data: pd.DataFrame) -> float:
    """Share of subjects whose most probable class is the true one, under the better of the two numberings."""
    found = np.argmax(model.responsibilities(data), axis=1)
    share = float(np.mean(found + 1 == data.groupby("unit", sort=False)["class"].first().to_numpy()))
    return max(share, 1 - share)


def truth(knots: tuple[float, float]) -> dict[str, float]:
    """True values as `tidy()` names them."""
    values = {"2:gate:Intercept": 0.0, "2:gate:g1": GATE[0], "2:gate:g2": GATE[1]}
    for k, (knot, alpha, effects) in enumerate(zip(knots, ALPHA, EFFECTS, strict=True), start=1):
        values |= {f"{k}:knot:Intercept": knot, f"{k}:residual_variance:Intercept": 1.0}
        for q, factor in enumerate(FACTORS):
            values |= {f"{k}:{factor}:Intercept": alpha[q], f"{k}:{factor}:x1": effects[q, 0]}
            values[f"{k}:{factor}:x2"] = effects[q, 1]
        given = TOTAL - effects @ PHI @ effects.T
        for name, covariance in (("random_covariance", given), ("total_covariance", TOTAL)):
            for a, b in zip(*np.tril_indices(3), strict=True):
                term = FACTORS[a] if a == b else f"{FACTORS[a]},{FACTORS[b]}"
                values[f"{k}:{name}:{term}"] = covariance[a, b]
    return {name: float(value) for name, value in values.items()}


def summarise(study: ms.Study) -> pd.DataFrame:
    """The measures, with the means of accuracy and entropy."""
    measures, results = study.measures(), study.results()
    quality = results[results["parameter"].isin(["accuracy", "entropy"])]
    means = quality.groupby(["scenario", "knots", "method", "parameter"], sort=False)["estimate"]
    means = means.agg(value="mean", mcse="sem", n_replicates="size").reset_index()
    means = means.rename(columns={"parameter": "measure"}).assign(excluded=0)
    kept = measures[~measures["parameter"].isin(["accuracy", "entropy"])]
    return pd.concat([kept, means], ignore_index=True)


def write(study: ms.Study, replicates: int) -> None:
    """The committed files."""
    folder = Path(__file__).parent
    measures = summarise(study)
    measures.to_csv(folder / "growth.csv", index=False, float_format="%.6g")
    about = {
        "script": "studies/growth.py",
        "seed": SEED,
        "replicates": replicates,
        "date": date.today().isoformat(),
        "mixstat": ms.__version__,
    }
    (folder / "growth.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(measures.groupby(["knots", "method", "measure"], sort=False)["value"].agg(["mean", "min", "max"]).round(4))


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
        scenarios={"knots": KNOTS},
        directory=chosen.directory,
    )
    write(study.run(n_jobs=chosen.jobs), chosen.replicates)


if __name__ == "__main__":
    main()
