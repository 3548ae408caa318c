"""Coverage of survival regressions whose baseline is estimated: intervals of the slopes, and fits at the boundary.

    python studies/survival.py [--replicates 500] [--jobs 1] [--directory runs]

The adapted power generalised Weibull, H(t) = lambda H0((phi t)^gamma; kappa), with 500 subjects, x Bernoulli(1/2),

    log scale = -0.3 - 0.5 x,      log gamma = 0.4 + 0.2 x,      the other scale 1,      kappa in {-0.3, 1, 3}

where the scale is phi ("aft") or lambda ("ph"), and censoring uniform on (0, c), with c such that 35 per cent are
censored (39 per cent under "ph" with kappa = -0.3, of which 26 never have the event). kappa is estimated with the
other parameters; where it runs to infinity the fit ends at the boundary (Gompertz type) and the intervals of the slopes
are those there. Such fits count like all others.
Writes survival.csv (measures with Monte-Carlo standard errors; `gompertz`, `singular`, `uncertified` and `censored` are
shares) and survival.json (how they were made).
"""

import argparse
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.studies import Estimates

SEED = 20263
SUBJECTS = 500
KAPPAS = (-0.3, 1.0, 3.0)
LATEST = {
    ("aft", -0.3): 14.5,
    ("aft", 1.0): 4.5,
    ("aft", 3.0): 3.9,
    ("ph", -0.3): 35.0,
    ("ph", 1.0): 3.5,
    ("ph", 3.0): 2.8,
}
"""The latest time of censoring."""
SCALE, LOG_GAMMA = (-0.3, -0.5), (0.4, 0.2)
LOCATION = {"aft": "phi", "ph": "lambda"}
SHARES = ("gompertz", "singular", "uncertified", "censored")


def simulate(rng: np.random.Generator, scale: str, kappa: float) -> pd.DataFrame:
    """time, event, x."""
    x = rng.integers(0, 2, SUBJECTS)
    location, gamma = np.exp(SCALE[0] + SCALE[1] * x), np.exp(LOG_GAMMA[0] + LOG_GAMMA[1] * x)
    phi, lam = (location, 1.0) if scale == "aft" else (1.0, location)
    base = 1.0 + kappa / (kappa + 1.0) * rng.exponential(size=SUBJECTS) / lam
    with np.errstate(over="ignore"):
        z = np.where(base > 0, (kappa + 1.0) * (np.maximum(base, 1e-300) ** (1.0 / kappa) - 1.0), np.inf)
    time = z ** (1.0 / gamma) / phi
    end = rng.uniform(0.0, LATEST[scale, kappa], SUBJECTS)
    return pd.DataFrame({"time": np.minimum(time, end), "event": (time <= end).astype(int), "x": x})


def fit(data: pd.DataFrame, scale: str, kappa: float) -> Estimates:
    """The default fit; proportional hazards in the unit of time of the truth, where phi is 1."""
    unit = {"time_scale": 1.0} if scale == "ph" else {}
    model = ms.SurvivalRegression("Surv(time, event) ~ x", scale=scale, power="~ x", verbose=0, **unit).fit(data)
    table = model.tidy()[["expert", "parameter", "term", "estimate", "std_error"]]
    shares = {
        "gompertz": "Gompertz type" in model.status_,
        "singular": "singular" in model.status_ or table["std_error"].isna().any(),
        "uncertified": not model.converged_,
        "censored": 1.0 - data["event"].mean(),
    }
    extra = pd.DataFrame(
        {"expert": pd.NA, "parameter": shares.keys(), "term": "", "estimate": map(float, shares.values())}
    )
    table = pd.concat([table, extra.astype({"expert": table["expert"].dtype})], ignore_index=True)
    return Estimates(table, converged=model.converged_, status=model.status_)


def truth(scale: str, kappa: float) -> dict[str, float]:
    """True values as `tidy()` names them."""
    location = LOCATION[scale]
    return {
        f"1:{location}:Intercept": SCALE[0],
        f"1:{location}:x": SCALE[1],
        "1:gamma:Intercept": LOG_GAMMA[0],
        "1:gamma:x": LOG_GAMMA[1],
        "1:kappa1:Intercept": float(np.log1p(kappa)),
    }


def summarise(study: ms.Study) -> pd.DataFrame:
    """The measures, with the shares."""
    measures, results = study.measures(), study.results()
    found = results[results["parameter"].isin(SHARES)]
    means = found.groupby(["scenario", "scale", "kappa", "parameter"], sort=False)["estimate"]
    means = means.agg(value="mean", mcse="sem", n_replicates="size").reset_index()
    means = means.rename(columns={"parameter": "measure"}).assign(excluded=0)
    return pd.concat([measures[~measures["parameter"].isin(SHARES)], means], ignore_index=True)


def slopes(measures: pd.DataFrame) -> pd.DataFrame:
    """Coverage, bias and spread of the slopes, a row a cell and slope."""
    chosen = measures[
        (measures["term"] == "x") & measures["measure"].isin(["coverage", "bias", "empirical_se", "model_se"])
    ]
    return chosen.pivot(index=["scale", "kappa", "parameter"], columns="measure", values="value").reset_index()


def write(study: ms.Study, replicates: int) -> None:
    """The committed files."""
    folder = Path(__file__).parent
    measures = summarise(study)
    measures.to_csv(folder / "survival.csv", index=False, float_format="%.6g")
    about = {
        "script": "studies/survival.py",
        "seed": SEED,
        "replicates": replicates,
        "date": date.today().isoformat(),
        "mixstat": ms.__version__,
    }
    (folder / "survival.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(slopes(measures).round(4).to_string())
    shares = measures[measures["measure"].isin([*SHARES, "convergence", "failure"])]
    print(shares.pivot_table(index=["scale", "kappa"], columns="measure", values="value").round(4).to_string())


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
        scenarios={"scale": list(LOCATION), "kappa": list(KAPPAS)},
        directory=chosen.directory,
        relabel=False,
    )
    write(study.run(n_jobs=chosen.jobs), chosen.replicates)


if __name__ == "__main__":
    main()
