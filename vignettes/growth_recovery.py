# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Growth: how good are the estimates?
#
# A simulation study of mixtures of bilinear growth: bias, precision, coverage of 95% intervals and classification,
# with covariates and without. The figures are read from files that `studies/growth.py` wrote; the script is in the
# repository and can be repeated, with any number of replicates.
#
# ## Design
#
# The design is that of the public demonstration code of Liu and Perera (2022): $n = 500$ subjects, ten waves
# ($t = 0$ and $9$ exact, the others moved by up to a quarter), two classes, growth factors
# $\alpha_1 = (100, -5, -2.6)$ and $\alpha_2 = (100, -5, -3.4)$ with total variances 25, 1, 1 and correlations 0.3,
# knots 3.5 and 5.5, residual variance 1. Two covariates of the growth factors explain 13% of their variances in class
# 1, 26% in class 2; two more act on the class, with odds ratios 1.5 and 1.7. The classes start alike and part
# late: they overlap much.
#
# Chosen here: a second condition with knots 4 and 5, where waves are, and the correlation (0.3) of the gate's
# covariates. Two models are fitted to each data set, both true: "both" has covariates in the gate and within the
# classes, "neither" has none (and its factors their total covariance).
# Fits start from the true classes: the study is of the
# estimator, not of the
# search for it. None of the numbers below is the paper's.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

pd.set_option("display.width", 120, "display.max_columns", 20)
here = Path(__file__).resolve() if "__file__" in globals() else Path.cwd()
studies = next(folder / "studies" for folder in (here, *here.parents) if (folder / "studies").is_dir())
about = json.loads((studies / "growth.json").read_text())
measures = pd.read_csv(studies / "growth.csv")
measures["method"] = measures["method"].replace({"finite mixture": "neither", "full mixture of experts": "both"})
print(
    f"{about['script']}, seed {about['seed']}, {about['replicates']} replicates a condition, {about['date']}, ", end=""
)
print(f"mixstat {about['mixstat']}")

# %% [markdown]
# ## Fits
#
# The share of fits certified as a maximum; the share whose classes, ordered by their knots, had to change places to be
# compared with the truth; the share of subjects whose most probable class is the true one; relative entropy.

# %%
fits = measures[measures["measure"].isin(["convergence", "label_switch", "accuracy", "entropy"])]
order = ["convergence", "label_switch", "accuracy", "entropy"]
print(fits.pivot_table(index=["knots", "method"], columns="measure", values="value", sort=False)[order].round(3))

# %% [markdown]
# ## Measures
#
# Over the replicates, for estimates $\hat\theta_r$ of $\theta$: relative bias $\bar\theta / \theta - 1$, empirical
# standard error, relative root mean squared error, coverage. By group of parameters: the median and the largest
# absolute relative bias, the median relative RMSE, and mean, smallest and largest coverage.

# %%
GROUPS = {"gate": "gate", "random_covariance": "(co)variances", "total_covariance": "(co)variances"}
GROUPS["residual_variance"] = "residual variance"
NAMES = {"knot": "knots", "intercept": "class means", "slope1": "class means", "slope2": "class means"}


def group_of(row):
    if row["term"] in ("x1", "x2"):
        return "effects of x"
    return GROUPS.get(row["parameter"]) or NAMES[row["parameter"]]


keys = ["knots", "method", "expert", "parameter", "term", "truth"]
wide = measures[measures["parameter"].notna()].pivot_table(index=keys, columns="measure", values="value").reset_index()
wide["group"] = wide.apply(group_of, axis=1)
wide["relative_rmse"] = np.where(wide["truth"] == 0, np.nan, wide["rmse"] / wide["truth"].abs())
wide["absolute_bias"] = wide["relative_bias"].abs()
groups = wide.groupby(["knots", "method", "group"])
table = groups.agg(
    parameters=("truth", "size"),
    median_bias=("absolute_bias", "median"),
    largest_bias=("absolute_bias", "max"),
    relative_rmse=("relative_rmse", "median"),
    coverage=("coverage", "mean"),
    lowest=("coverage", "min"),
    highest=("coverage", "max"),
)
print(table.round(3).to_string())

# %%
main = wide[wide["group"].isin(["class means", "knots"])]
for (knots, method), part in wide.groupby(["knots", "method"]):
    few = main[(main["knots"] == knots) & (main["method"] == method)]
    cover = part["coverage"]
    print(
        f"knots {knots}, {method}: median absolute relative bias of class means and knots "
        f"{few['absolute_bias'].median():.2%}; "
        f"mean coverage {cover.mean():.1%} ({cover.min():.1%} to {cover.max():.1%})"
    )

# %% [markdown]
# Relative bias is a hard measure for parameters near zero: the largest belongs to

# %%
worst = wide.nlargest(4, "absolute_bias")
shown = ["knots", "expert", "parameter", "term", "truth", "relative_bias", "bias", "empirical_se", "coverage"]
print(worst[shown].round(3).to_string(index=False))

# %% [markdown]
# ## Coverage, parameter by parameter

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
names = list(dict.fromkeys(["knots", "class means", "effects of x", "(co)variances", "residual variance", "gate"]))
error = np.sqrt(0.95 * 0.05 / about["replicates"])
for ax, (knots, part) in zip(axes, wide.groupby("knots", sort=False), strict=True):
    for place, (method, mine) in enumerate(part.groupby("method", sort=False)):
        spread = mine.groupby("group").cumcount() / mine.groupby("group")["group"].transform("size")
        x = mine["group"].map(names.index) + 0.36 * (place - 1) + 0.05 + 0.26 * spread
        ax.plot(x, mine["coverage"], "o^"[place], color=f"C{place}", markersize=5, alpha=0.7, label=method)
    ax.axhline(0.95, color="0.3", linewidth=1)
    ax.axhspan(0.95 - 2 * error, 0.95 + 2 * error, color="0.9", zorder=0)
    ax.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize=8)
    ax.set_title(f"Knots {knots}", loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("Coverage")
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# A point is one parameter; the band is 0.95 with two Monte-Carlo standard errors, so that one point in twenty is
# outside by chance. Wald intervals of variances, on the variance's own scale, tend to cover a little too rarely.
#
# ## What covariates give
#
# The ratio of empirical standard errors, with covariates against without, for parameters that both models have:

# %%
same = wide[wide["group"].isin(["class means", "knots", "residual variance"]) & (wide["term"] == "Intercept")]
ratio = same.pivot_table(index=["knots", "expert", "parameter"], columns="method", values="empirical_se")
ratio["ratio"] = ratio["both"] / ratio["neither"]
print(ratio.round(3).to_string())

# %% [markdown]
# ## Limits
#
# One sample size, one residual variance, normal data, no missing outcomes, and a search that begins at the truth: with
# random starts, a fit may end in a worse maximum, and the more parameters the class has, the more often. Use many
# starts, and look at `starts_` (`why_starts_matter.py`). Where knots are at the times of waves the likelihood has many
# kinks, and several maxima close together.
#
# ## Repeat it
#
# ```sh
# python studies/growth.py --replicates 1000 --jobs 4 --directory runs
# ```
#
# **References.** Liu and Perera (2022), Psychological Methods, doi 10.1037/met0000436. Morris, White and Crowther
# (2019), Statistics in Medicine 38.
#
# **Read next**: `simulation_study.py` (how to make a study), `growth_covariates.py` (an analysis).
