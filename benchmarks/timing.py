"""Shared by all benchmarks: one thread, clocks, child processes, R, and rows of the table."""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class Row(NamedTuple):
    """One line of the table. `seconds` and `log_likelihood` are None where they do not apply."""

    case: str
    program: str
    seconds: float | None
    log_likelihood: float | None
    note: str = ""


def single_thread() -> None:
    """Start this process again bound to one core with one thread a library; children inherit both."""
    if os.environ.get("MIXSTAT_BENCH_ONE_THREAD"):
        return
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ.update(THREADS, MIXSTAT_BENCH_ONE_THREAD="1", PYTHONPATH=_python_path())
    os.execv(sys.executable, sys.orig_argv)


def find_package() -> None:
    """Let this process import mixstat from the checkout where it is not installed."""
    if importlib.util.find_spec("mixstat") is None:
        sys.path.append(str(HERE.parent))


def _python_path() -> str:
    """The checkout goes first where mixstat is not installed."""
    paths = os.environ.get("PYTHONPATH", "")
    return paths if importlib.util.find_spec("mixstat") else os.pathsep.join([str(HERE.parent), paths])


def arguments(description: str | None, **sizes: int) -> argparse.Namespace:
    """Command line: one integer option a keyword, `--json PATH` and flags given as `name=0`."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in sizes.items():
        if default:
            parser.add_argument(f"--{name}", type=int, default=default)
        else:
            parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--json", type=Path, help="write the rows here")
    return parser.parse_args()


def clock(work: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """(smallest wall time, last result)."""
    best, result = float("inf"), None
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - begin)
    return best, result


def child(script: str, *args: object, **environment: str) -> dict[str, Any]:
    """Run a script of this folder in a new process and read the JSON in its last line."""
    command = [sys.executable, str(HERE / script), *map(str, args)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def has_r(package: str) -> bool:
    """Whether Rscript and this R package are there."""
    if shutil.which("Rscript") is None:
        return False
    expression = f"quit(status = !requireNamespace('{package}', quietly = TRUE))"
    return subprocess.run(["Rscript", "-e", expression], capture_output=True, check=False).returncode == 0


def run_r(script: str, *args: object) -> list[list[str]]:
    """Run r/script; the tab-separated fields of its output lines."""
    command = ["Rscript", str(HERE / "r" / script), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return [line.split("\t") for line in done.stdout.strip().splitlines()]


def r_row(case: str, package: str, script: str, *args: object) -> list[Row]:
    """A row from an R script that prints seconds and log-likelihood; none where the package is missing."""
    if not has_r(package):
        return [Row(case, package, None, None, "not installed")]
    (seconds, value, note), *_ = run_r(script, *args)
    return [Row(case, package, float(seconds), float(value), note)]


def scratch() -> tempfile.TemporaryDirectory:
    """A folder that is removed after use."""
    return tempfile.TemporaryDirectory(prefix="mixstat-bench-")


def memory() -> float:
    """Peak resident memory of this process in GB (1e9 bytes)."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def report(rows: list[Row], path: Path | None = None) -> None:
    """Print rows with the ratio of each time to the case's first row; write them to `path`."""
    for line in table(rows):
        print(line)
    if path is not None:
        path.write_text(json.dumps([row._asdict() for row in rows], indent=1))


def table(rows: list[Row]) -> list[str]:
    """Markdown lines. The ratio is to the first row of the same case."""
    lines = ["| case | program | seconds | ratio | log-likelihood | note |", "|---|---|---:|---:|---:|---|"]
    first: dict[str, float | None] = {}
    for row in rows:
        base = first.setdefault(row.case, row.seconds)
        ratio = f"{row.seconds / base:.2f}" if row.seconds and base else ""
        seconds = "" if row.seconds is None else f"{row.seconds:.3f}"
        value = "" if row.log_likelihood is None else f"{row.log_likelihood:.6f}"
        lines.append(f"| {row.case} | {row.program} | {seconds} | {ratio} | {value} | {row.note} |")
    return lines
