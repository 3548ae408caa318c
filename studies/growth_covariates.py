"""How many classes of growth, and which covariates: what takes too long for a page, on the achievement data.

    python studies/growth_covariates.py [--trees 100] [--jobs 1]

One to four classes without covariates by `select`; a forest over all nine covariates of a child; its proposal for the
gate and the growth factors of three classes. Writes growth_covariates.json.
"""

import argparse
import json
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

import mixstat as ms

SEED = 1
CURVE = "math ~ bilinear(grade) + absences"
CANDIDATES = "~ ses + parent_edu + approach + sex + urban + siblings + motivation + preschool + books"


def choices(trees: int, jobs: int) -> dict[str, pd.DataFrame]:
    """The tables, by name."""
    children = ms.datasets.load_achievement()
    curve = ms.GrowthCurve(CURVE, unit="child", verbose=0)
    model = ms.MixtureOfExperts(curve, random_state=SEED, verbose=0)
    selection = ms.select(model, children, n_experts=[1, 2, 3, 4])
    forest = ms.CovariateForest(curve, CANDIDATES, n_trees=trees, random_state=SEED, n_jobs=jobs).fit(children)
    proposal = forest.propose(model=selection.models[3])
    return {
        "selection": selection.table,
        "importance": forest.importance(),
        "tests": forest.tests(),
        "proposal": proposal.table,
    }


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON holds them."""
    return json.loads(table.to_json(orient="records", double_precision=10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ms.ConvergenceWarning)
        warnings.simplefilter("ignore", ms.LocalOptimumWarning)
        tables = choices(chosen.trees, chosen.jobs)
    about = {"script": "studies/growth_covariates.py", "seed": SEED, "trees": chosen.trees}
    about |= {"date": date.today().isoformat(), "mixstat": ms.__version__}
    found = {"about": about, **{name: plain(table) for name, table in tables.items()}}
    target = Path(__file__).parent / "growth_covariates.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, table in tables.items():
        print(f"\n{name}\n{table.to_string(index=False)}")


if __name__ == "__main__":
    main()
