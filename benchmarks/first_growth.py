"""Import and the first growth fit of a process; JSON on the last line. See growth.py."""

import json
import sys
import time


def model(**options):
    """Two bilinear classes with gate and within-class covariates."""
    import mixstat as ms

    curve = ms.GrowthCurve("y ~ bilinear(time)", unit="id", between="~ x")
    return ms.MixtureOfExperts(curve, gate="~ g1 + g2", n_experts=2, random_state=0, verbose=0, **options)


def main() -> None:
    from simulate import growth

    frame = growth(int(sys.argv[1]))
    begin = time.perf_counter()
    fitted = model().fit(frame)
    print(json.dumps({"seconds": time.perf_counter() - begin, "value": fitted.log_likelihood_}))


if __name__ == "__main__":
    main()
