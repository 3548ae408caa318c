"""(h) Latent classes of ten binary items with covariates in the gate, K = 3: ours, StepMix, poLCA."""

import warnings
from pathlib import Path

import pandas as pd
from simulate import binary_items
from timing import Row, arguments, clock, r_row, report, scratch, single_thread

CLASSES = 3


def ours(case: str, frame: pd.DataFrame, items: list[str], starts: int) -> Row:
    import mixstat as ms

    outcomes = ms.Joint([ms.Regression(f"{item} ~ 1", family="binomial") for item in items])
    settings = {"n_experts": CLASSES, "n_init": starts, "random_state": 0, "verbose": 0}
    model = ms.MixtureOfExperts(outcomes, gate="~ v1 + v2", **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cold, _ = clock(lambda: model.fit(frame))
        warm, _ = clock(lambda: model.fit(frame), repeats=3)
    note = f"{starts} starts; first fit of the process {cold:.2f} s; converged {model.converged_}"
    return Row(case, "mixstat", warm, model.log_likelihood_, note)


def stepmix(case: str, frame: pd.DataFrame, items: list[str], starts: int) -> Row:
    from stepmix.stepmix import StepMix

    newton = {"method": "newton-raphson", "max_iter": 1, "intercept": True}
    settings = {"structural": "covariate", "structural_params": newton, "n_steps": 1, "n_init": starts}
    model = StepMix(CLASSES, measurement="binary", random_state=0, verbose=0, progress_bar=0, **settings)
    gate = frame[["v1", "v2"]]
    seconds, _ = clock(lambda: model.fit(frame[items], gate))
    value = float(model.score(frame[items], gate) * len(frame))
    return Row(case, "StepMix", seconds, value, f"{starts} starts; {model.n_iter_} EM steps in the best")


def main() -> None:
    args = arguments(__doc__, n=2_000, items=10, starts=20)
    single_thread()
    frame = binary_items(args.n, args.items)
    items = [name for name in frame if name.startswith("item")]
    rows = []
    for starts in dict.fromkeys((1, args.starts)):
        case = f"h: latent classes, n={args.n}, {starts} start(s)"
        rows += [ours(case, frame, items, starts), stepmix(case, frame, items, starts)]
        with scratch() as folder:
            path = Path(folder) / "data.csv"
            frame.to_csv(path, index=False)
            rows += r_row(case, "poLCA", "polca.R", path, starts)
    report(rows, args.json)


if __name__ == "__main__":
    main()
