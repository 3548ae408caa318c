"""Run every benchmark in its own process, one thread, and print one table; `--write` puts it into README.md.

Of some of the scripts it goes below the tables that are there, with its own date and versions.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from timing import HERE, Row, has_r, scratch, single_thread, table

SCRIPTS = (
    "gaussian",
    "starts",
    "multivariate",
    "cold",
    "large",
    "known",
    "latent_class",
    "inference",
    "growth",
    "survival",
    "ordinal",
)
SMALL = {
    "gaussian": ["--n", "3000"],
    "starts": ["--n", "600"],
    "multivariate": ["--n", "4000", "--dimension", "3", "--components", "4"],
    "cold": ["--n", "400"],
    "large": ["--divide", "100"],
    "known": ["--starts", "1"],
    "latent_class": ["--n", "500", "--starts", "3"],
    "inference": ["--replicates", "10"],
    "growth": ["--n", "60", "--large", "200"],
    "survival": ["--n", "400"],
    "ordinal": ["--n", "500", "--p", "5", "--divide", "100"],
}
PYTHON = ("mixstat", "jax", "numpy", "scipy", "scikit-learn", "stepmix", "statsmodels", "lifelines")
R = ("flexmix", "mclust", "MoEClust", "poLCA", "survival", "flexsurv", "mpr", "ordinal")
BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"


def run(name: str, options: list[str]) -> list[Row]:
    """Rows of one script; a script that fails is a row that says so."""
    with scratch() as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(path), *options]
        done = subprocess.run(command, check=False)
        if done.returncode or not path.exists():
            return [Row(name, "mixstat", None, None, f"{name}.py failed with status {done.returncode}")]
        return [Row(**row) for row in json.loads(path.read_text())]


def processor() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def python_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} (checkout)"


def r_version(package: str) -> str:
    if not has_r(package):
        return f"{package} not installed"
    expression = f"cat(as.character(packageVersion('{package}')))"
    found = subprocess.run(["Rscript", "-e", expression], capture_output=True, text=True, check=False)
    return f"{package} {found.stdout.strip()}"


def heading() -> list[str]:
    """Date, machine and versions."""
    programs = [f"Python {platform.python_version()}", *map(python_version, PYTHON), *map(r_version, R)]
    return [
        f"{datetime.date.today().isoformat()}, one core of {processor()}, one thread.",
        "",
        ", ".join(programs) + ".",
        "",
    ]


def write(lines: list[str], *, below: bool) -> None:
    """Replace what stands between the marks of README.md, or add to it."""
    path = HERE / "README.md"
    before, rest = path.read_text().split(BEGIN)
    there, after = rest.split(END)
    kept = [there.strip(), ""] if below else []
    path.write_text("\n".join([before + BEGIN, "", *kept, *lines, "", END + after]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", metavar="script", help=f"some of {', '.join(SCRIPTS)} (default all)")
    parser.add_argument("--write", action="store_true", help="write the table into README.md")
    parser.add_argument("--small", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--huge", action="store_true", help="add n = 1e7 to the growth in n")
    args = parser.parse_args()
    if unknown := set(args.scripts) - set(SCRIPTS):
        parser.error(f"unknown script {', '.join(sorted(unknown))}; choose from {', '.join(SCRIPTS)}")
    single_thread()
    rows = []
    for name in args.scripts or SCRIPTS:
        options = SMALL[name] if args.small else []
        rows += run(name, options + (["--huge"] if args.huge and name == "large" else []))
    lines = heading() + table(rows)
    print("\n".join(["", *lines]))
    if args.write:
        write(lines, below=bool(args.scripts))


if __name__ == "__main__":
    main()
