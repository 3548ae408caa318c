"""(i) After a fit: weighted bootstrap, bootstrap likelihood-ratio test, a simulation study of 1,000 replicates.

Two Gaussian experts, one covariate in experts and gate. The study and its fits have the package's defaults but five
starts, on one core (serially).
"""

import warnings

import numpy as np
import pandas as pd
from timing import Row, arguments, clock, report, single_thread


def simulate(rng: np.random.Generator, n: int) -> pd.DataFrame:
    x, v = rng.normal(size=n), rng.normal(size=n)
    second = rng.random(n) < 1 / (1 + np.exp(-0.3 - 0.9 * v))
    mean = np.where(second, 1.5 + 0.7 * x, -1.0 - 0.5 * x)
    return pd.DataFrame({"x": x, "v": v, "y": rng.normal(mean, np.where(second, 0.9, 0.7))})


def model(starts: int = 5):
    import mixstat as ms

    return ms.MixtureOfExperts(ms.Regression("y ~ x"), gate="~ v", n_init=starts, random_state=1, verbose=0)


def fit(data: pd.DataFrame, n: int):
    return model().fit(data)


def bootstrap(n: int, replicates: int) -> Row:
    fitted = fit(simulate(np.random.default_rng(0), n), n)
    cold, _ = clock(lambda: fitted.bootstrap(2, random_state=0))
    seconds, draws = clock(lambda: fitted.bootstrap(replicates, random_state=1))
    note = f"{int(draws.converged.sum())} converged; the first two, with compilation, {cold:.2f} s"
    return Row(f"i: weighted bootstrap, n={n}", f"mixstat, {replicates} replicates", seconds, None, note)


def likelihood_ratio(n: int, replicates: int) -> Row:
    import mixstat as ms

    data = simulate(np.random.default_rng(0), n)
    seconds, test = clock(lambda: ms.bootstrap_lrt(model(), data, replicates=replicates, random_state=0))
    note = f"2 against 3 experts, 5 starts a fit, compilation included; p = {test.p_value:.3f}, {test.failed} failed"
    return Row(f"i: bootstrap likelihood ratio, n={n}", f"mixstat, {replicates} replicates", seconds, None, note)


def study(n: int, replicates: int) -> Row:
    import mixstat as ms

    truth = {"1:mean:x": -0.5, "2:mean:x": 0.7, "2:gate:v": 0.9}
    plan = ms.Study(simulate=simulate, fit=fit, truth=truth, replicates=replicates, seed=1, scenarios=[{"n": n}])
    seconds, done = clock(lambda: plan.run(verbose=0))
    measures = done.measures().set_index(["measure", "expert", "parameter"])["value"]
    note = f"compilation included; coverage of the gate's slope {measures['coverage', 2, 'gate']:.3f}"
    return Row(f"i: simulation study, n={n}", f"mixstat, {replicates} replicates", seconds, None, note)


def main() -> None:
    args = arguments(__doc__, replicates=1_000)
    single_thread()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half, fifth = max(args.replicates // 2, 2), max(args.replicates // 5, 2)
        rows = [bootstrap(2_000, half), likelihood_ratio(500, fifth), study(300, args.replicates)]
    report(rows, args.json)


if __name__ == "__main__":
    main()
