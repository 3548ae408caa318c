# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Ordered categories: when the one that matters is rare
#
# Of 3,000 people who got an offer, 37 bought. A logistic regression of "bought" against the rest has 37 events to learn
# from. *Proportional odds* learn from all categories: what makes people visit or enquire is taken to make them buy by
# the same odds ratio. That is much to assume. Between the two stands a model whose slopes may change from cut to cut,
#
# $$ P(y \le k \mid x) = F(c_k - x'b_k), \qquad b_k = d_1 + d_2 + \dots + d_k, $$
#
# with a lasso on the differences $d_2, d_3, \dots$ (and on $d_1$): where the data say nothing else, odds are
# proportional (Faletto and Bien, 2023).
#
# The data are simulated, so that the truth is known: proportional but for `log(spend)`, which tells little of who
# visits, and for the channel `search`, which tells most of who buys.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import mixstat as ms

pd.set_option("display.width", 120, "display.max_columns", 20)
people = ms.datasets.load_campaign()
formula = "outcome ~ channel + age + log(spend) + visits + newsletter + region + wave"
print(people["outcome"].value_counts(sort=False).to_string())

# %% [markdown]
# ## Are the odds proportional?
#
# The likelihood-ratio test compares one vector of slopes with one a cut, of all terms together and one by one; Brant's
# test compares the logistic regressions of $y > k$. `nominal_test` and `scale_test` are those of R's package ordinal.

# %%
parallel = ms.OrdinalRegression(formula, verbose=0).fit(people)
tests = parallel.test_proportional_odds().merge(parallel.brant_test(), on="term", suffixes=("", "_brant"))
print(tests[["term", "df", "statistic", "p_value", "statistic_brant", "p_value_brant"]].round(4).to_string(index=False))

# %% [markdown]
# ## Shrunken slopes
#
# `OrdinalRegressionCV` walks a path of penalties on the training part of each fold and takes the one of least log-loss
# on the rows left out. Every point of the path is certified: `kkt_residual`, and `duality_gap`, say how far it is from
# the minimum.

# %%
shrunken = ms.OrdinalRegressionCV(formula, n_penalties=30, smallest=1e-2, cv=5, random_state=1, verbose=0).fit(people)
print(shrunken.path_.table.iloc[::6, :6].round(5).to_string(index=False))
print(f"largest KKT residual {shrunken.path_.table['kkt_residual'].max():.0e}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
shrunken.path_.plot(ax=axes[0])
shrunken.path_.plot_loss(ax=axes[1])
plt.show()

# %%
kept = shrunken.tidy()[["parameter", "term", "estimate"]]
print(kept[kept["parameter"].str.startswith("difference")].round(3).to_string(index=False))

# %% [markdown]
# Odds are proportional for most covariates: only a few differences are kept, the two true ones among them, `log(spend)`
# at the second cut and `search` at the last. Regions have none, and are kept all the same: the tests above have them at
# $p = 0.02$ too.
#
# There are no standard errors: those of a penalised fit are naive. Instead, `selection_stability` weighs the rows anew
# and fits again, and tells how often each slope is kept. That shows how a selection varies, not that it is true: what
# this sample says by chance, its replicates say too. (A refit by maximum likelihood of the slopes kept, labelled as
# debiased, is `refit_selected()`.)

# %%
stability = shrunken.selection_stability(50, random_state=1)
figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
stability.plot(ax=ax)
plt.show()

# %% [markdown]
# ## How well are buyers predicted?
#
# `compare_rare` scores the probabilities of the rarest category in rows that were left out of the fits, in folds that
# are stratified by category. Changes of the log-loss from that of logistic regression are of the same rows, so that
# their standard errors are smaller than those of the losses.

# %%
comparison = ms.compare_rare(formula, people, cv=5, random_state=1)
shown = ["model", "log_loss", "log_loss_change", "log_loss_change_std_error", "average_precision", "auc", "osce"]
print(comparison.table[shown].round(5).to_string(index=False))

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
comparison.plot_calibration(groups=4, ax=axes[0])
comparison.plot_precision_recall(ax=axes[1])
plt.show()

# %% [markdown]
# Rows stand in groups of equal numbers of expected buyers, on square-root axes. Logistic regression says the boldest
# things, and they are wrong: its highest predictions are too high. Proportional odds are too timid. With 37 events all
# this is uncertain, as the intervals show: one sample is no study.
#
# ## A study
#
# The designs of Faletto and Bien (2023), where a few, some or all slopes change from cut to cut, and the last category
# has 1.2, 0.7 or 0.4 per cent of 2,500 rows. The error of a fit is the mean over the rows of the squared difference
# between the estimated and the true probability of the last category. The figures are read from a file that
# `studies/ordinal.py` wrote. None of them is the paper's: its public code chose penalties by predictions that add the
# differences up wrongly, and this does not imitate that.

# %%
here = Path(__file__).resolve() if "__file__" in globals() else Path.cwd()
studies = next(folder / "studies" for folder in (here, *here.parents) if (folder / "studies").is_dir())
about = json.loads((studies / "ordinal.json").read_text())
results = pd.read_csv(studies / "ordinal.csv").rename(columns={"last": "last cut"})
print(f"{about['script']}, seed {about['seed']}, {about['replicates']} data sets a row, {about['date']}, ", end="")
print(f"mixstat {about['mixstat']}")

# %% [markdown]
# Mean squared errors times $10^5$, with their Monte-Carlo standard errors:

# %%
methods = ["logistic", "proportional odds", "shrunken"]
grouped = results.groupby(["design", "last cut"], sort=False)
rows = {}
for method in methods:
    errors = 1e5 * grouped[f"{method}: mse"].agg(["mean", "sem"])
    rows[method] = errors["mean"].map("{:.1f}".format) + errors["sem"].map(" ({:.1f})".format)
share = (100 * grouped["share"].mean()).map("{:.2f}%".format).rename("share")
print(pd.concat([share, pd.DataFrame(rows)], axis=1).to_string())

# %% [markdown]
# Errors of the same data sets: the median ratio of the shrunken fit's to the others', and the share of data sets in
# which it is better than both.

# %%
mse = {method: results[f"{method}: mse"] for method in methods}
ratios = results[["design", "last cut"]].assign(
    **{f"to {method}": mse["shrunken"] / mse[method] for method in methods[:2]},
    best=(mse["shrunken"] < mse["logistic"]) & (mse["shrunken"] < mse["proportional odds"]),
)
summary = ratios.groupby(["design", "last cut"], sort=False).agg(
    {"to logistic": "median", "to proportional odds": "median", "best": "mean"}
)
print(summary.round(2).to_string())

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained", sharey=True)
for ax, (design, part) in zip(axes, results.groupby("design", sort=False), strict=True):
    levels = sorted(part["last cut"].unique())
    for place, method in enumerate(methods):
        values = [1e5 * part.loc[part["last cut"] == level, f"{method}: mse"] for level in levels]
        at = np.arange(len(levels)) + 0.26 * (place - 1)
        box = ax.boxplot(values, positions=at, widths=0.2, patch_artist=True, showfliers=False)
        plt.setp(box["boxes"], facecolor=f"C{place}", alpha=0.5, label=method)
        plt.setp(box["medians"], color="black")
    shares = [f"{100 * part.loc[part['last cut'] == level, 'share'].mean():.1f}%" for level in levels]
    ax.set_xticks(range(len(levels)), shares)
    ax.set(title=design, xlabel="Share of the last category", yscale="log")
axes[0].set_ylabel(r"Mean squared error $\times\, 10^5$")
handles, labels = axes[-1].get_legend_handles_labels()
named = dict(zip(labels, handles, strict=True))
figure.legend(named.values(), named.keys(), loc="outside right upper", frameon=False)
plt.show()

# %% [markdown]
# Logistic regression loses most where the category is rarest, and proportional odds where it is less rare, as there are
# enough events then to see that the odds are not proportional. Shrunken slopes adapt: they are best or about as good
# as the better of the two in every design.
#
# ## Limits
#
# One sample size and ten independent covariates; errors in the rows of the fit; designs that the method's authors
# chose. Where the middle categories have little to do with the rare one there is nothing to borrow, and logistic
# regression of the rare category (perhaps penalised itself) is as good.
#
# ## Repeat it
#
# ```sh
# python studies/ordinal.py --replicates 400 --jobs 4 --directory runs
# ```
#
# **References.** Faletto and Bien (2023), ICML, PMLR 202. Brant (1990), Biometrics 46. McCullagh (1980), Journal of the
# Royal Statistical Society B 42. Shah and Samworth (2013), Journal of the Royal Statistical Society B 75.
#
# **Read next**: `simulation_study.py` (how to make a study).
