"""The console script `mixstat`: `mixstat demo --output DIR` fits a mixture of experts to real data and reports it."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.results import page, plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULA = "mdvis ~ lncoins + idp + lpi + fmde + disea + hlthg + hlthf + hlthp"
GATE = "~ lpi + physlm + disea"
SHOWN = 20
"""Counts from here on are one bar of the rootogram."""
CODE = f'''import mixstat as ms
from statsmodels.datasets import randhie

visits = randhie.load_pandas().data
expert = ms.Regression("{FORMULA}", family="negative_binomial")
model = ms.MixtureOfExperts(expert, gate="{GATE}", n_experts=2, n_init=8, random_state=1)
print(model.fit(visits).summary())'''
LABELS = {
    "lncoins": "log(coinsurance + 1)",
    "idp": "individual deductible",
    "lpi": "log participation incentive",
    "fmde": "log max. medical deductible",
    "disea": "chronic diseases (index)",
    "hlthg": "health good (vs excellent)",
    "hlthf": "health fair",
    "hlthp": "health poor",
}
TITLE = "Who sees the doctor often? Two kinds of users in the RAND Health Insurance Experiment"
TEXT = (
    "Outpatient visits to a physician in 20,190 person-years of the RAND Health Insurance Experiment, which assigned "
    "families to insurance plans at random. A mixture of two negative binomial regressions lets the effect of price "
    "and health differ between two latent kinds of users; a multinomial logit gate says who belongs to which. "
    "(Deb and Trivedi, 2002, Journal of Health Economics 21, 601-625, fit such classes without a gate.)",
    "Rows of one person are treated as independent, since the public extract has no person identifier: standard errors "
    "are therefore too small.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="mixstat", description="Statistical mixtures of experts.")
    parser.add_argument("--version", action="version", version=f"mixstat {ms.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="fit a mixture of experts to health-care demand and report it")
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


def load_visits() -> pd.DataFrame:
    """The RAND extract that ships with statsmodels (loaded here only)."""
    from statsmodels.datasets import randhie

    return randhie.load_pandas().data


def run_demo(folder: Path) -> None:
    """Fit, print, and write `demo.png` and `demo.html` into `folder`."""
    began = time.perf_counter()
    visits = load_visits()
    print(f"RAND Health Insurance Experiment: {len(visits):,} person-years", flush=True)
    print("fitting 2 negative binomial regressions under a gate, from 8 starts ...", flush=True)
    expert = ms.Regression(FORMULA, family="negative_binomial")
    model = ms.MixtureOfExperts(expert, gate=GATE, n_experts=2, n_init=8, random_state=1)
    model.fit(visits)
    summary, starts = model.summary(), show_starts(model.starts_)
    print(f"\n{starts.to_string(index=False, float_format='%.3f')}\n\n{summary}\n", flush=True)
    figure = draw(model, visits)
    png = plots.to_png(figure)
    html = page.render(TITLE, TEXT, [page.Figure(png, caption(model), ALT)], summary, starts, CODE)
    (folder / "demo.png").write_bytes(png)
    (folder / "demo.html").write_text(html, encoding="utf-8")
    print(f"wrote {folder / 'demo.png'} and {folder / 'demo.html'} ({time.perf_counter() - began:.0f} s)")


def show_starts(starts: pd.DataFrame) -> pd.DataFrame:
    """The table of starts with the head of each status."""
    short = starts.assign(status=[text.split(";")[0].split(",")[0].split(":")[0] for text in starts["status"]])
    return short[["start", "kind", "log_likelihood", "hits", "iterations", "status"]]


def class_shares(model: ms.MixtureOfExperts, data: pd.DataFrame) -> np.ndarray:
    """Mean responsibility of each class."""
    return model.responsibilities(data).mean(axis=0)


def frequencies(model: ms.MixtureOfExperts, data: pd.DataFrame, response: str) -> tuple[np.ndarray, np.ndarray]:
    """Observed (count,) and fitted (count, expert) frequencies of 0, 1, ..., the last one of all larger counts."""
    parts = []
    for count in range(SHOWN):
        rows = data.assign(**{response: float(count)})
        parts.append(model.predict(rows, kind="density") @ model.responsibilities(rows))
    rest = model.gate_proba(data).sum(axis=0) - np.sum(parts, axis=0)
    observed = np.bincount(np.minimum(data[response], SHOWN).astype(int), minlength=SHOWN + 1)
    return observed, np.vstack([*parts, rest])


def draw(model: ms.MixtureOfExperts, data: pd.DataFrame) -> "Figure":
    """Rate ratios, observed and fitted counts, and the gate, side by side."""
    shares = class_shares(model, data)
    names = [f"Expert {k} ({share:.0%})" for k, share in enumerate(shares, start=1)]
    figure = plots.new_figure(13.5, 4.6, 3, (1.15, 1.0, 1.0))
    left, middle, right = figure.axes
    table = model.tidy()
    slopes = table[(table["parameter"] == "mean") & (table["term"] != "Intercept")]
    plots.coefficients(slopes, ax=left, exponentiate=True, labels=LABELS, names=names)
    left.set(xlabel="Rate ratio (95% interval)")
    left.legend(frameon=False, loc="upper right")
    left.set_title("a  Effects on the number of visits", loc="left")
    plots.rootogram(*frequencies(model, data, "mdvis"), ax=middle, names=names, open_ended=True)
    middle.set(xlabel="Visits in a year", ylabel="Person-years (square-root scale)")
    middle.set_title("b  Observed and fitted counts", loc="left")
    middle.legend(frameon=False)
    limited = np.where(data["physlm"] > 0.5, "limited", "not limited")
    high, posterior = model.gate_proba(data)[:, 1], model.responsibilities(data)[:, 1]
    named = {"limited": "Physically limited", "not limited": "Not limited"}
    plots.gate(high, posterior, data["disea"].to_numpy(), group=limited, ax=right, names=named)
    right.set(xlabel="Chronic diseases (index)", ylabel="Probability of expert 2")
    right.set_title("c  Who belongs to expert 2", loc="left")
    right.legend(frameon=False, loc="upper left")
    return figure


ALT = "Three panels: rate ratios by expert, observed and fitted counts of visits, and the gate along chronic diseases."


def caption(model: ms.MixtureOfExperts) -> str:
    """What the panels show, with this fit's numbers."""
    table = model.tidy()
    price = table[(table["parameter"] == "mean") & (table["term"] == "lncoins")]
    low, high = (float(np.exp(value)) for value in price["estimate"])
    return (
        "a: exp(coefficient) of each expert; health is against excellent. One more unit of log coinsurance multiplies "
        f"visits by {low:.2f} in expert 1 and by {high:.2f} in expert 2. b: frequencies of counts (bars), the fitted "
        "mixture (black) and the experts' parts. c: the gate's mean probability of expert 2 (lines) and mean posterior "
        "probability with 95% intervals (points) in tenths of the disease index, by physical limitation."
    )


if __name__ == "__main__":
    sys.exit(main())
