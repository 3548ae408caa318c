"""(a) Gaussian experts, five covariates in experts and gate, K = 3, next to flexmix and MoEClust from one partition."""

from pathlib import Path

import pandas as pd
from simulate import FORMULA, GATE, disturbed, gaussian_experts
from timing import Row, arguments, clock, r_row, report, scratch, single_thread


def ours(frame: pd.DataFrame, labels) -> list[Row]:
    """The first fit of the process, and the same again."""
    import mixstat as ms

    model = ms.MixtureOfExperts(ms.Regression(FORMULA), gate=GATE, n_experts=3, start=labels, verbose=0)
    cold, _ = clock(lambda: model.fit(frame))
    warm, _ = clock(lambda: model.fit(frame), repeats=3)
    case = f"a: Gaussian experts, n={len(frame)}"
    note = f"first fit of the process {cold:.2f} s; converged {model.converged_}"
    return [Row(case, "mixstat", warm, model.log_likelihood_, note)]


def main() -> None:
    args = arguments(__doc__, n=100_000)
    single_thread()
    frame = gaussian_experts(args.n)
    labels = disturbed(frame["class"].to_numpy())
    rows = ours(frame, labels)
    case = rows[0].case
    with scratch() as folder:
        path = Path(folder) / "data.csv"
        frame.assign(start=labels).drop(columns="class").to_csv(path, index=False)
        rows += r_row(case, "flexmix", "flexmix.R", path)
        rows += r_row(case, "MoEClust", "moeclust.R", path)
    report(rows, args.json)


if __name__ == "__main__":
    main()
