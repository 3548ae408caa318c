"""Makes achievement.csv and .json: simulated scores of children, grades 0 to 9. Run `python data/make_achievement.py`.

class_i ~ softmax of ses and parent_edu;  the same class for both outcomes y = math, reading of a child:

y_ij = eta0_i + eta1_i min(t_ij, knot_k) + eta2_i max(t_ij - knot_k, 0) + kappa absences_ij + e_ij
(eta0, eta1, eta2)_i = alpha_k + beta_k approach_i + zeta_i

zeta (three growth factors of two outcomes) and e (two outcomes of an occasion) are Gaussian and correlated. `TRUTH`
holds all parameters and is written to achievement.json.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20260107
CHILDREN, WAVES = 500, 10
ABSENT_ROW, EMPTY_SCORE = 0.065, 0.015
LEVELS = ("primary", "secondary", "tertiary")
COLUMNS = "child,grade,math,reading,absences,ses,parent_edu,approach,sex,urban,siblings,motivation,preschool,books"
FACTORS = ("intercept", "slope1", "slope2")
TRUTH: dict[str, Any] = {
    "gate": {
        "terms": ["Intercept", "ses", "parent_edu[T.secondary]", "parent_edu[T.tertiary]"],
        "class 2": [1.2, -0.7, -0.4, -1.0],
        "class 3": [1.2, -1.4, -0.9, -1.8],
    },
    "math": {
        "intercept": [33.0, 29.0, 25.0],
        "slope1": [15.0, 13.0, 11.0],
        "slope2": [7.0, 6.0, 5.0],
        "knot": [2.5, 4.5, 6.0],
        "approach": {"intercept": [2.0, 1.0, 3.0], "slope1": [0.2, 0.8, 0.2], "slope2": [0.2, 0.1, 0.5]},
        "absences": -0.3,
        "residual_variance": 12.25,
    },
    "reading": {
        "intercept": [42.0, 39.0, 35.0],
        "slope1": [14.0, 13.0, 11.0],
        "slope2": [5.5, 5.0, 4.5],
        "knot": [3.0, 3.8, 5.2],
        "approach": {"intercept": [2.0, 2.0, 2.0], "slope1": [0.2, 0.5, 0.2], "slope2": [0.1, 0.1, 0.3]},
        "absences": -0.2,
        "residual_variance": 12.25,
    },
    "random_effects": {
        "order": [f"{outcome} {factor}" for outcome in ("math", "reading") for factor in FACTORS],
        "standard_deviations": [4.5, 1.6, 1.0, 5.0, 1.5, 0.9],
        "correlations": [
            [1.0, 0.3, 0.2, 0.6, 0.2, 0.1],
            [0.3, 1.0, 0.3, 0.2, 0.5, 0.2],
            [0.2, 0.3, 1.0, 0.1, 0.2, 0.5],
            [0.6, 0.2, 0.1, 1.0, 0.3, 0.2],
            [0.2, 0.5, 0.2, 0.3, 1.0, 0.3],
            [0.1, 0.2, 0.5, 0.2, 0.3, 1.0],
        ],
    },
    "residual_correlation": 0.3,
    "absences": {"mean": 4.0, "variance_between_children": 4.0, "variance_within_children": 4.0},
    "no_effect": ["sex", "urban", "siblings", "motivation", "preschool", "books"],
}


def main() -> None:
    rng = np.random.default_rng(SEED)
    child = draw_children(rng)
    classes = draw_classes(rng, child["ses"], child["parent_edu"])
    grade = np.arange(WAVES) + rng.uniform(-0.25, 0.25, (CHILDREN, WAVES)).round(2)
    grade[:, 0] = 0.0
    absences = rng.poisson(rng.gamma(4.0, 1.0, CHILDREN)[:, None], (CHILDREN, WAVES))
    scores = draw_scores(rng, classes, child["approach"], grade, absences)
    scores[rng.random(scores.shape) < EMPTY_SCORE] = np.nan
    there = rng.random((CHILDREN, WAVES)) >= ABSENT_ROW
    lines = [COLUMNS]
    for i, j in np.argwhere(there):
        tests = [f"{score:.1f}" if score == score else "" for score in scores[:, i, j]]
        lines.append(",".join([f"c{i + 1:03d}", f"{grade[i, j]:.2f}", *tests, str(absences[i, j]), describe(child, i)]))
    folder = Path(__file__).parent
    (folder / "achievement.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    truth = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in TRUTH.items())
    (folder / "achievement.json").write_text(f"{{\n{truth}\n}}\n", encoding="utf-8", newline="\n")


def draw_children(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What is known of each child. Those without effect follow ses or approach, or nothing (sex)."""
    ses = rng.normal(size=CHILDREN).round(2)
    approach = (0.3 * ses + np.sqrt(1 - 0.3**2) * rng.normal(size=CHILDREN)).round(2)
    learning = 0.5 * ses + np.sqrt(1 - 0.5**2) * rng.normal(size=CHILDREN)
    return {
        "ses": ses,
        "parent_edu": np.digitize(learning, [-0.65, 0.55]),
        "approach": approach,
        "sex": rng.integers(0, 2, CHILDREN),
        "urban": (0.6 * ses + rng.normal(size=CHILDREN) > -0.3).astype(int),
        "siblings": rng.poisson(np.exp(0.3 - 0.2 * ses)),
        "motivation": (0.4 * approach + np.sqrt(1 - 0.4**2) * rng.normal(size=CHILDREN)).round(2),
        "preschool": rng.binomial(3, 1 / (1 + np.exp(-0.5 * ses))),
        "books": np.exp(3.5 + 0.5 * ses + 0.7 * rng.normal(size=CHILDREN)).round().astype(int),
    }


def draw_classes(rng: np.random.Generator, ses: np.ndarray, parent_edu: np.ndarray) -> np.ndarray:
    """0-based classes by the Gumbel trick."""
    gate = TRUTH["gate"]
    design = np.column_stack([np.ones(CHILDREN), ses, parent_edu == 1, parent_edu == 2])
    eta = design @ np.column_stack([np.zeros(4), gate["class 2"], gate["class 3"]])
    return np.argmax(eta + rng.gumbel(size=eta.shape), axis=1)


def draw_scores(
    rng: np.random.Generator, classes: np.ndarray, approach: np.ndarray, grade: np.ndarray, absences: np.ndarray
) -> np.ndarray:
    """(outcome, child, wave)."""
    random = TRUTH["random_effects"]
    deviations = rng.normal(size=(CHILDREN, 6)) @ np.linalg.cholesky(random["correlations"]).T
    deviations *= random["standard_deviations"]
    noise = rng.normal(size=(2, CHILDREN, WAVES))
    correlation = TRUTH["residual_correlation"]
    noise[1] = correlation * noise[0] + np.sqrt(1 - correlation**2) * noise[1]
    scores = np.empty((2, CHILDREN, WAVES))
    for number, outcome in enumerate(("math", "reading")):
        truth = TRUTH[outcome]
        effects = [np.take(truth[f], classes) + np.take(truth["approach"][f], classes) * approach for f in FACTORS]
        level, early, late = (np.array(effects) + deviations[:, 3 * number : 3 * number + 3].T)[..., None]
        knot = np.take(truth["knot"], classes)[:, None]
        curve = level + early * np.minimum(grade, knot) + late * np.maximum(grade - knot, 0.0)
        scores[number] = curve + truth["absences"] * absences + np.sqrt(truth["residual_variance"]) * noise[number]
    return scores


def describe(child: dict[str, np.ndarray], i: int) -> str:
    """The columns of the child, as text."""
    c = {name: values[i] for name, values in child.items()}
    sex = ("boy", "girl")[c["sex"]]
    counts = f"{c['siblings']},{c['motivation']:.2f},{c['preschool']},{c['books']}"
    return f"{c['ses']:.2f},{LEVELS[c['parent_edu']]},{c['approach']:.2f},{sex},{c['urban']},{counts}"


if __name__ == "__main__":
    main()
