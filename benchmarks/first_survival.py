"""The first survival fit of a process, import apart; JSON on the last line. See survival.py."""

import json
import sys
import time


def main() -> None:
    from survival import FORMULA, RIGHT, simulate

    import mixstat as ms

    frame = simulate(int(sys.argv[1]))
    model = ms.SurvivalRegression(FORMULA, scale="ph", power=f"~ {RIGHT}", verbose=0)
    begin = time.perf_counter()
    fitted = model.fit(frame)
    print(json.dumps({"seconds": time.perf_counter() - begin, "value": fitted.log_likelihood_}))


if __name__ == "__main__":
    main()
