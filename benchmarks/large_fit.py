"""One fit of n rows in this process: seconds and peak memory as JSON on the last line. See large.py."""

import json
import sys

from simulate import FORMULA, GATE, gaussian_experts
from timing import clock, memory

import mixstat as ms


def main() -> None:
    n = int(sys.argv[1])
    frame = gaussian_experts(n).drop(columns="class")
    before = memory()
    model = ms.MixtureOfExperts(ms.Regression(FORMULA), gate=GATE, n_experts=3, n_init=5, random_state=0, verbose=0)
    cold, _ = clock(lambda: model.fit(frame))
    peak = memory()
    warm = clock(lambda: model.fit(frame))[0] if n <= 10**6 else None
    value = model.log_likelihood_ / n
    print(json.dumps({"cold": cold, "warm": warm, "peak": peak, "before": before, "mean_log_likelihood": value}))


if __name__ == "__main__":
    main()
