"""Makes wages.csv: simulated log wages on two tracks of a labour market. Run `python data/make_wages.py`.

track 1 ("routine"):  log_wage ~ N(1.60 + 0.04 school + 0.010 exper, 0.25^2)
track 2 ("career"):   log_wage ~ N(1.20 + 0.11 school + 0.035 exper, 0.20^2)
P(track 2) = logistic(-0.6 + 1.2 city - 0.9 union)
"""

from pathlib import Path

import numpy as np

SEED = 20260101
N = 1200


def main() -> None:
    rng = np.random.default_rng(SEED)
    school = rng.integers(8, 19, N)
    exper = np.minimum(rng.gamma(2.0, 7.0, N), 45.0).round(1)
    city = rng.binomial(1, 0.45, N)
    union = rng.binomial(1, 0.3, N)
    career = rng.random(N) < 1 / (1 + np.exp(-(-0.6 + 1.2 * city - 0.9 * union)))
    mean = np.where(career, 1.20 + 0.11 * school + 0.035 * exper, 1.60 + 0.04 * school + 0.010 * exper)
    log_wage = rng.normal(mean, np.where(career, 0.20, 0.25))
    lines = ["log_wage,school,exper,city,union,track"]
    rows = zip(log_wage, school, exper, city, union, 1 + career, strict=True)
    lines += [f"{y:.4f},{s},{e:.1f},{c},{u},{t}" for y, s, e, c, u, t in rows]
    path = Path(__file__).with_name("wages.csv")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
