"""(b) Twenty starts at n = 2,000: warm time, and how many of those carried on reach the maximum; flexmix beside it."""

from pathlib import Path

from simulate import FORMULA, GATE, disturbed, gaussian_experts
from timing import Row, arguments, clock, r_row, report, scratch, single_thread


def at_maximum(model) -> str:
    """How many of the starts that were carried on reached the best log-likelihood."""
    carried = model.starts_[model.starts_["hits"] > 0]
    reached = (carried["log_likelihood"] > model.log_likelihood_ - 1e-4).sum()
    return f"{reached} of {len(carried)} starts carried on (of {len(model.starts_)}) at the maximum"


def main() -> None:
    args = arguments(__doc__, n=2_000, starts=20)
    single_thread()
    import mixstat as ms

    frame = gaussian_experts(args.n)
    model = ms.MixtureOfExperts(
        ms.Regression(FORMULA), gate=GATE, n_experts=3, n_init=args.starts, random_state=0, verbose=0
    )
    cold, _ = clock(lambda: model.fit(frame))
    warm, _ = clock(lambda: model.fit(frame), repeats=5)
    case = f"b: {args.starts} starts, n={args.n}"
    note = f"first fit of the process {cold:.2f} s; {at_maximum(model)}"
    rows = [Row(case, "mixstat, all starts", warm, model.log_likelihood_, note)]
    with scratch() as folder:
        path = Path(folder) / "data.csv"
        frame.assign(start=disturbed(frame["class"].to_numpy())).drop(columns="class").to_csv(path, index=False)
        rows += r_row(case, "flexmix", "flexmix.R", path)
    rows[-1] = rows[-1]._replace(note=f"one start; {rows[-1].note}")
    report(rows, args.json)


if __name__ == "__main__":
    main()
