"""(i) Cases a and b on whatever device jax finds, warm; JSON on the last line. Not part of run.py."""

import json
import platform

from simulate import FORMULA, GATE, disturbed, gaussian_experts
from starts import at_maximum
from timing import arguments, clock, find_package


def large(n: int) -> dict:
    """Case a, from one partition."""
    import mixstat as ms

    frame = gaussian_experts(n)
    labels = disturbed(frame["class"].to_numpy())
    model = ms.MixtureOfExperts(ms.Regression(FORMULA), gate=GATE, n_experts=3, start=labels, verbose=0)
    cold, _ = clock(lambda: model.fit(frame))
    warm, _ = clock(lambda: model.fit(frame), repeats=3)
    return {"n": n, "cold": cold, "warm": warm, "log_likelihood": model.log_likelihood_}


def small(n: int) -> dict:
    """Case b, twenty starts."""
    import mixstat as ms

    frame = gaussian_experts(n)
    model = ms.MixtureOfExperts(ms.Regression(FORMULA), gate=GATE, n_experts=3, n_init=20, random_state=0, verbose=0)
    cold, _ = clock(lambda: model.fit(frame))
    warm, _ = clock(lambda: model.fit(frame), repeats=3)
    found = {"n": n, "cold": cold, "warm": warm, "log_likelihood": model.log_likelihood_}
    return {**found, "starts": at_maximum(model)}


def main() -> None:
    args = arguments(__doc__, n=100_000, small=2_000)
    find_package()
    import jax

    device = jax.devices()[0]
    where = {"backend": jax.default_backend(), "device": device.device_kind, "host": platform.processor()}
    result = {**where, "a": large(args.n), "b": small(args.small)}
    text = json.dumps(result)
    if args.json is not None:
        args.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
