"""Makes melanoma.csv and .json: a simulated trial of melanoma with a cured share. Run `python data/make_melanoma.py`.

logit P(never relapses) = treatment + stage + age;  else S(t) = exp(-(phi t)^gamma),  log phi = treatment + stage

Patients enter evenly over `accrual` years and are followed to the end of the study, unless they are lost before
(exponential). `TRUTH` holds all parameters and is written to melanoma.json.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20260110
PATIENTS = 360
TREATMENTS, STAGES = ("control", "interferon"), ("II", "IIIA", "IIIB")
COLUMNS = "patient,treatment,stage,age,sex,years,relapse"
TRUTH: dict[str, Any] = {
    "terms": ["Intercept", "treatment[T.interferon]", "stage[T.IIIA]", "stage[T.IIIB]", "I((age - 50) / 10)"],
    "never": [-0.1, 0.5, -0.6, -1.3, -0.15],
    "log_phi": [-0.25, -0.3, 0.2, 0.5, 0.0],
    "log_gamma": 0.15,
    "shares_of_stages": [0.35, 0.4, 0.25],
    "accrual": 4.0,
    "end_of_study": 11.0,
    "rate_of_loss": 0.02,
    "no_effect": ["sex"],
}


def main() -> None:
    rng = np.random.default_rng(SEED)
    treatment = rng.permutation(np.arange(PATIENTS) % 2)
    stage = rng.choice(3, PATIENTS, p=TRUTH["shares_of_stages"])
    age = rng.normal(52, 13, PATIENTS).clip(19, 82).round().astype(int)
    sex = rng.integers(0, 2, PATIENTS)
    design = np.column_stack([np.ones(PATIENTS), treatment, stage == 1, stage == 2, (age - 50) / 10])
    relapse = draw_times(rng, design)
    end = TRUTH["end_of_study"] - rng.uniform(0, TRUTH["accrual"], PATIENTS)
    end = np.minimum(end, rng.exponential(1 / TRUTH["rate_of_loss"], PATIENTS))
    years, seen = np.maximum(np.minimum(relapse, end).round(3), 0.001), (relapse <= end).astype(int)
    lines = [COLUMNS]
    for i in range(PATIENTS):
        who = f"m{i + 1:03d},{TREATMENTS[treatment[i]]},{STAGES[stage[i]]},{age[i]},{('woman', 'man')[sex[i]]}"
        lines.append(f"{who},{years[i]:.3f},{seen[i]}")
    folder = Path(__file__).parent
    (folder / "melanoma.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    truth = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in TRUTH.items())
    (folder / "melanoma.json").write_text(f"{{\n{truth}\n}}\n", encoding="utf-8", newline="\n")


def draw_times(rng: np.random.Generator, design: np.ndarray) -> np.ndarray:
    """Times of relapse, infinite for those who are cured."""
    never = rng.random(len(design)) < 1 / (1 + np.exp(-design @ TRUTH["never"]))
    time = rng.exponential(size=len(design)) ** np.exp(-TRUTH["log_gamma"]) * np.exp(-design @ TRUTH["log_phi"])
    return np.where(never, np.inf, time)


if __name__ == "__main__":
    main()
