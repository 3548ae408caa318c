"""One ordinal fit of n rows in this process: seconds and peak memory as JSON on the last line. See ordinal.py."""

import json
import sys

from ordinal import formula, simulate, timed
from timing import clock, memory

import mixstat as ms


def main() -> None:
    n, p, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    frame = simulate(n, p)
    before = memory()
    penalty = {"penalty": 0.002} if kind == "shrunken" else {}
    model = ms.OrdinalRegression(formula(p), slopes=kind, verbose=0, **penalty)
    cold, _ = clock(lambda: model.fit(frame))
    peak = memory()
    warm, cpu, _ = timed(lambda: model.fit(frame), 1)
    value = model.log_likelihood_
    print(json.dumps({"cold": cold, "warm": warm, "cpu": cpu, "peak": peak, "before": before, "value": value}))


if __name__ == "__main__":
    main()
