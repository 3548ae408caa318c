"""(d) The first fit of a new process, without and with jax's compilation cache; (e) what a second fit compiles."""

from timing import Row, arguments, child, report, scratch, single_thread


def rows_of(case: str, program: str, result: dict) -> list[Row]:
    note = f"import {result['import']:.2f} s apart; {result['compiled']} kernels compiled or loaded"
    return [Row(case, program, result["first"], result["log_likelihood"], note)]


def main() -> None:
    args = arguments(__doc__, n=2_000)
    single_thread()
    case = f"d: first fit of a process, 20 starts, n={args.n}"
    plain = child("first_fit.py", args.n)
    rows = rows_of(case, "mixstat, no cache", plain)
    with scratch() as folder:
        cache = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        rows += rows_of(case, "mixstat, fills the cache", child("first_fit.py", args.n, **cache))
        rows += rows_of(case, "mixstat, from the cache", child("first_fit.py", args.n, **cache))
    note = f"{plain['compiled_by_second']} compilations"
    rows.append(
        Row(f"e: second fit, n={args.n - args.n // 50} in the same bucket", "mixstat", plain["second"], None, note)
    )
    report(rows, args.json)


if __name__ == "__main__":
    main()
