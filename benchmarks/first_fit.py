"""The first fit of a process, then a fit of another n in the same bucket; JSON on the last line. See cold.py."""

import json
import sys

from simulate import FORMULA, GATE, gaussian_experts
from timing import clock


def main() -> None:
    n = int(sys.argv[1])
    frame, smaller = gaussian_experts(n), gaussian_experts(n - n // 50, seed=1)
    seconds, ms = clock(lambda: __import__("mixstat"))
    import jax

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    model = ms.MixtureOfExperts(ms.Regression(FORMULA), gate=GATE, n_experts=3, random_state=0, verbose=0)
    first, _ = clock(lambda: model.fit(frame))
    after_first, value = len(compiled), model.log_likelihood_
    second, _ = clock(lambda: model.fit(smaller))
    result = {"import": seconds, "first": first, "second": second, "log_likelihood": value}
    print(json.dumps({**result, "compiled": after_first, "compiled_by_second": len(compiled) - after_first}))


if __name__ == "__main__":
    main()
