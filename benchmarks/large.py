"""(f) Time and peak memory of n = 1e5, 3e5, 1e6 (and 1e7 with --huge), each in its own process."""

from timing import Row, arguments, child, report, single_thread

SIZES = (100_000, 300_000, 1_000_000)
HUGE = 10_000_000


def row(n: int, result: dict) -> Row:
    seconds = result["warm"] or result["cold"]
    note = (
        f"peak {result['peak']:.2f} GB ({result['before']:.2f} GB before the fit); first fit {result['cold']:.1f} s; "
    )
    note += f"{1e6 * seconds / n:.2f} s per million rows"
    return Row("f: growth in n", f"mixstat, n={n}", seconds, n * result["mean_log_likelihood"], note)


def main() -> None:
    args = arguments(__doc__, divide=1, huge=0)
    single_thread()
    sizes = [n // args.divide for n in SIZES] + [HUGE] * args.huge
    report([row(n, child("large_fit.py", n)) for n in sizes], args.json)


if __name__ == "__main__":
    main()
