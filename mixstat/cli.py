"""The console script `mixstat`: `mixstat demo --output DIR` fits a mixture of experts to real data and reports it."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import mixstat as ms
from mixstat.results import page, plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULA, BETWEEN, GATE = "math ~ bilinear(grade) + absences", "~ approach", "~ ses + parent_edu"
STARTS = 8
CODE = f'''import mixstat as ms

children = ms.datasets.load_achievement()
curve = ms.GrowthCurve("{FORMULA}", unit="child", between="{BETWEEN}")
model = ms.MixtureOfExperts(curve, gate="{GATE}", n_experts=3, n_init={STARTS}, random_state=1)
print(model.fit(children).summary())
model.plot_trajectories()'''
TITLE = "How do scores in mathematics grow? Three kinds of children, and who belongs to which"
TEXT = (
    "Scores of 500 children at up to ten occasions, each child measured at times of its own (simulated data that ship "
    "with the package; some scores are missing, some children drop out). Each class grows along two lines that meet at "
    "a knot of its own; level and slopes vary between its children and depend on their approach to learning, scores "
    "also on days of absence. A multinomial logit gate says from a family's status and the parents' education who is "
    "likely to grow in which way. All of it is fitted at once by maximum likelihood: a full mixture of experts for "
    "trajectories (Liu and Perera, 2022, Psychological Methods).",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="mixstat", description="Statistical mixtures of experts.")
    parser.add_argument("--version", action="version", version=f"mixstat {ms.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="fit three kinds of growth in mathematics to bundled data and report them")
    demo.add_argument("--output", type=Path, required=True, metavar="DIR", help="directory for demo.png and demo.html")
    options = parser.parse_args(arguments)
    try:
        _require_writable(options.output)
        run_demo(options.output)
    except OSError as error:
        print(f"mixstat demo: cannot write to '{options.output}': {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def _require_writable(folder: Path) -> None:
    """Make the directory and a file in it, before any work is done."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def load_children() -> pd.DataFrame:
    """The bundled study of achievement (loaded here only)."""
    return ms.datasets.load_achievement()


def run_demo(folder: Path) -> None:
    """Fit, print, and write `demo.png` and `demo.html` into `folder`."""
    began = time.perf_counter()
    children = load_children()
    print(
        f"Achievement in mathematics: {len(children):,} occasions of {children['child'].nunique()} children", flush=True
    )
    print(f"fitting 3 bilinear growth curves under a gate, from {STARTS} starts ...", flush=True)
    curve = ms.GrowthCurve(FORMULA, unit="child", between=BETWEEN)
    model = ms.MixtureOfExperts(curve, gate=GATE, n_experts=3, n_init=STARTS, random_state=1)
    model.fit(children)
    summary, starts = model.summary(), show_starts(model.starts_)
    print(f"\n{starts.to_string(index=False, float_format='%.3f')}\n\n{summary}\n", flush=True)
    png = plots.to_png(draw(model))
    html = page.render(TITLE, TEXT, [page.Figure(png, caption(model), ALT)], summary, starts, CODE)
    (folder / "demo.png").write_bytes(png)
    (folder / "demo.html").write_text(html, encoding="utf-8")
    print(f"wrote {folder / 'demo.png'} and {folder / 'demo.html'} ({time.perf_counter() - began:.0f} s)")


def show_starts(starts: pd.DataFrame) -> pd.DataFrame:
    """The table of starts with the head of each status."""
    short = starts.assign(status=[text.split(";")[0].split(",")[0].split(":")[0] for text in starts["status"]])
    return short[["start", "kind", "log_likelihood", "hits", "iterations", "status"]]


def draw(model: ms.MixtureOfExperts) -> "Figure":
    """Trajectories, observed and predicted means, and the gate, side by side."""
    figure = plots.new_figure(13.5, 4.6, 3, (1.2, 1.0, 1.0))
    left, middle, right = figure.axes
    model.plot_trajectories(ax=left)
    left.legend(frameon=False, loc="upper left")
    left.set_title("a  Children, and the means of classes", loc="left")
    model.plot_observed(ax=middle)
    middle.legend(frameon=False, loc="upper left")
    middle.set_title("b  Observed and predicted means", loc="left")
    model.plot_gate("ses", ax=right)
    right.legend(frameon=False, loc="upper center")
    right.set_title("c  Who belongs to which class", loc="left")
    for ax in (left, middle):
        ax.set(xlabel="Grade", ylabel="Mathematics score")
    right.set_xlabel("Socioeconomic status")
    return figure


ALT = "Three panels: children's scores with class means, observed and predicted means, and the gate along status."


def caption(model: ms.MixtureOfExperts) -> str:
    """What the panels show, with this fit's numbers."""
    table = model.tidy()
    knots = ", ".join(f"{value:.1f}" for value in table.loc[table["parameter"] == "knot", "estimate"])
    return (
        "a: scores of each child in the colour of its most probable class, and the classes' mean trajectories at their "
        f"average covariates with 95% bands; their knots are at grades {knots}. b: means of scores in bins of time, "
        "children weighted with their class probabilities (points, 95% intervals), and of predictions (lines). c: "
        "probability of each class along status, with 95% bands, at the commonest education of parents."
    )


if __name__ == "__main__":
    sys.exit(main())
