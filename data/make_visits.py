"""Makes visits.csv: simulated monthly clinic visits of patients of two kinds. Run `python data/make_visits.py`.

Each of 250 patients is seen for 3 to 8 months and keeps one kind throughout.

kind 1 ("recovering"):  visits ~ Poisson(exp(1.00 - 0.25 month + 0.20 pain))
kind 2 ("chronic"):     visits ~ Poisson(exp(0.90 + 0.02 month + 0.35 pain))
P(kind 2) = logistic(-2.3 + 0.04 age)
"""

from pathlib import Path

import numpy as np

SEED = 20260105
PATIENTS = 250


def main() -> None:
    rng = np.random.default_rng(SEED)
    age = rng.integers(25, 86, PATIENTS)
    chronic = rng.random(PATIENTS) < 1 / (1 + np.exp(-(-2.3 + 0.04 * age)))
    months = rng.integers(3, 9, PATIENTS)
    patient = np.repeat(np.arange(PATIENTS), months)
    month = np.concatenate([np.arange(m) for m in months])
    pain = rng.normal(0.0, 1.0, len(patient)).round(2)
    eta = np.where(chronic[patient], 0.90 + 0.02 * month + 0.35 * pain, 1.00 - 0.25 * month + 0.20 * pain)
    visits = rng.poisson(np.exp(eta))
    lines = ["patient,month,visits,pain,age,kind"]
    rows = zip(patient, month, visits, pain, age[patient], 1 + chronic[patient], strict=True)
    lines += [f"{p + 1},{m},{v},{q:.2f},{a},{k}" for p, m, v, q, a, k in rows]
    path = Path(__file__).with_name("visits.csv")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
