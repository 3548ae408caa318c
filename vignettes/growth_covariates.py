# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Growth: when, where and how to add which covariates
#
# Children learn along different lines. A growth mixture finds kinds of trajectories; covariates can say *who* is of
# which kind (they belong into the **gate**), or *how* children of one kind differ (they belong **within** the classes).
# Which covariates, and where? This page follows the order that Liu and Perera (2022) propose: a curve first, then the
# number of classes, then a forest to find candidates, then the mixture with covariates in both places.
#
# $$ y_{ij} = \eta_{0i} + \eta_{1i} \min(t_{ij}, \gamma_k) + \eta_{2i} \max(t_{ij} - \gamma_k, 0)
#    + \kappa_k v_{ij} + e_{ij}, \qquad \eta_i = \alpha_k + B_k x_i + \zeta_i, \qquad
#    \log \frac{P(z_i = k)}{P(z_i = 1)} = c_k + d_k' g_i. $$
#
# The data: mathematics scores of 500 children, grades 0 to 9, each tested at times of its own; nine covariates of the
# child. They are simulated, so at the end one can look up the truth.

# %%
import json
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.results import plots

pd.set_option("display.width", 120, "display.max_columns", 20)
warnings.simplefilter("ignore", ms.ConvergenceWarning)
here = Path(__file__).resolve() if "__file__" in globals() else Path.cwd()
studies = next(folder / "studies" for folder in (here, *here.parents) if (folder / "studies").is_dir())
kept = json.loads((studies / "growth_covariates.json").read_text())
folder = Path(tempfile.mkdtemp())


def show(figure, name):
    """Write a figure, and hand it to the notebook."""
    (folder / f"{name}.png").write_bytes(plots.to_png(figure))
    print(f"wrote {name}.png")
    return figure


children = ms.datasets.load_achievement()
print(children.head(4).to_string(index=False))

# %% [markdown]
# ## One curve
#
# Learning is fast at first and slower later: two lines that meet at a knot, which is a parameter. Without classes this
# is a mixed model. `absences`, measured at every occasion, stands in the curve's formula.

# %%
curve = ms.GrowthCurve("math ~ bilinear(grade) + absences", unit="child", verbose=0)
print(curve.fit(children).summary())

# %% [markdown]
# The knot says when growth slows down, 4.5 grades on average. Children differ much in their slopes: the standard
# deviation of the first is $\sqrt{\texttt{random\_covariance[slope1]}}$. Are they around one curve, or around several?
#
# ## How many classes, without covariates
#
# Covariates come later: classes that are found without them do not depend on which ones were thought of. The fits of
# one to four classes take a minute, so this table was made before, by a script that is named below.

# %%
about = kept["about"]
print(f"{about['script']}, seed {about['seed']}, {about['date']}, mixstat {about['mixstat']}")
selection = pd.DataFrame(kept["selection"])
columns = ["n_experts", "log_likelihood", "n_parameters", "aic", "bic", "icl", "entropy", "smallest_class"]
print(selection[[*columns, "hits", "carried"]].round(2).to_string(index=False))

# %% [markdown]
# BIC is smallest for three classes. (ICL, which wants classes that do not overlap, is a different question:
# `how_many_experts.py`.)
#
# ## Which covariates: a forest
#
# `CovariateForest` takes the curve of one class and asks of each covariate whether its parameters (any of them) change
# along it. Every tree refits the curve in every node and splits where a score test finds the parameters most unstable;
# the importance of a covariate is the drop of the held-out log-likelihood when its values are permuted among children.
#
# ```python
# forest = ms.CovariateForest(curve, "~ ses + parent_edu + approach + sex + ...", random_state=1).fit(children)
# forest.importance()
# ```

# %%
importance = pd.DataFrame(kept["importance"])
print(importance.round(4).to_string(index=False))

figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
rows = importance[::-1]
ax.barh(rows["covariate"], rows["importance"], xerr=2 * rows["std_error"], color="C0", ecolor="0.4", height=0.6)
ax.axvline(0, color="0.4", linewidth=0.9)
ax.set_xlabel(f"Importance: log-likelihood a child, {about['trees']} trees, ± 2 standard errors")
ax.spines[["top", "right"]].set_visible(False)
show(figure, "importance")

# %% [markdown]
# A forest ranks; it tells neither gate from class, nor what is significant. Importance is also borrowed: `books`
# matters as far as it stands in for `ses`, with which it goes together.
#
# ## Where: gate, or within the classes?
#
# `forest.propose(model=...)` takes the mixture without covariates and tests each leading covariate in both places:
# alone (score tests), and each beside the other (likelihood-ratio tests). What is still needed beside the other is
# recommended.

# %%
proposal = pd.DataFrame(kept["proposal"])
tested = ["covariate", "gate_statistic", "gate_p_value", "within_statistic", "within_p_value", "recommendation"]
print(proposal[tested].round(4).to_string(index=False))

# %% [markdown]
# One covariate at a time, chosen and tested on the same data: a proposal to think about, not a result. `books`, and
# `approach` in the gate, go with `ses`; below, the gate has the two covariates of the home that lead the ranks, and
# whether it needs more is a question to the model that has them.
#
# ## Four models
#
# Three classes; covariates nowhere, in the gate, within the classes, in both.

# %%
gate, within = "~ ses + parent_edu", "~ approach"
settings = {"n_experts": 3, "n_init": 4, "random_state": 1, "verbose": 0}
adjusted = ms.GrowthCurve("math ~ bilinear(grade) + absences", unit="child", between=within, verbose=0)
models = {
    "neither": ms.MixtureOfExperts(curve, **settings).fit(children),
    "gate": ms.MixtureOfExperts(curve, gate=gate, **settings).fit(children),
    "within": ms.MixtureOfExperts(adjusted, **settings).fit(children),
    "both": ms.MixtureOfExperts(adjusted, gate=gate, **settings).fit(children),
}
table = pd.DataFrame(
    {
        "log_likelihood": {name: model.log_likelihood_ for name, model in models.items()},
        "parameters": {name: model.n_parameters_ for name, model in models.items()},
        "aic": {name: model.aic() for name, model in models.items()},
        "bic": {name: model.bic() for name, model in models.items()},
        "entropy": {name: model.entropy() for name, model in models.items()},
    }
)
print(table.round(2).to_string())

# %% [markdown]
# Covariates are given here (`covariates="fixed"`), so all four are models of the same scores and their likelihoods can
# be compared. Both places are needed. Neither makes up for the other:

# %%
for smaller in ("gate", "within"):
    print(f"{smaller} against both")
    print(ms.likelihood_ratio_test(models[smaller], models["both"]).to_string())

# %% [markdown]
# Do the classes stay what they were? The share of children whose most probable class is the same in two models:

# %%
modal = {name: model.classify(children) for name, model in models.items()}
same = pd.DataFrame({a: {b: np.mean(modal[a] == modal[b]) for b in models} for a in models})
print(same.round(2).to_string())

# %% [markdown]
# ## The model with both
#
# Classes are numbered by their knots: class 1 bends first.

# %%
both = models["both"]
table = both.tidy()
shown = ["expert", "parameter", "term", "estimate", "std_error", "p_value"]
means = table["parameter"].isin(["intercept", "slope1", "slope2", "knot", "mean"])
print(table.loc[means, shown].round(3).to_string(index=False))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained", width_ratios=(3, 2))
both.plot_trajectories(ax=left)
both.plot_knots(ax=right)
show(figure, "trajectories")

# %% [markdown]
# **Within the classes**, `approach` goes with a level at school entry that is about two points higher for each standard
# deviation; in class 2 it goes with a steeper first slope, too. **The gate** says who is in which class:

# %%
print(table.loc[table["parameter"] == "gate", shown].round(3).to_string(index=False))
profiles = pd.DataFrame(
    [(ses, level) for level in ("primary", "tertiary") for ses in (-1.5, 0.0, 1.5)], columns=["ses", "parent_edu"]
)
probability = pd.DataFrame(both.gate_proba(profiles), columns=["class 1", "class 2", "class 3"])
print(profiles.join(probability.round(2)).to_string(index=False))

# %% [markdown]
# Log odds are against class 1. From a household of low to one of high status, the probability of the early and high
# class rises from almost nothing to more than half. How sure are the classes?

# %%
print(both.classification_table())

# %% [markdown]
# Does the model describe what was seen? Means of the scores by class and time, against what it predicts:

# %%
show(both.plot_observed().figure, "observed")

# %% [markdown]
# ## The truth
#
# The scores were made from three classes with knots 2.5, 4.5 and 6; `ses` and `parent_edu` act on the class, `approach`
# within, six covariates do nothing (`data/provenance.md`). How far are estimates off, in standard errors?

# %%
truth = json.loads((studies.parent / "data" / "achievement.json").read_text())
wanted = {
    (k, f, "Intercept"): truth["math"][f][k - 1] for f in ("intercept", "slope1", "slope2", "knot") for k in (1, 2, 3)
}
wanted |= {(k, f, "approach"): values[k - 1] for f, values in truth["math"]["approach"].items() for k in (1, 2, 3)}
wanted |= {
    (k, "gate", term): truth["gate"][f"class {k}"][place]
    for place, term in enumerate(truth["gate"]["terms"])
    for k in (2, 3)
}
found = table.set_index(["expert", "parameter", "term"]).loc[list(wanted)]
z = (found["estimate"] - list(wanted.values())) / found["std_error"]
print(f"{len(z)} parameters; root mean square of z {np.sqrt(np.mean(z**2)):.2f}; beyond 1.96: {(z.abs() > 1.96).sum()}")

# %% [markdown]
# ## Limits
#
# - **Selection is not inference.** The number of classes, the covariates and their places were chosen on the data that
#   the standard errors are computed from. They take all of this as given.
# - **Knots among observed times.** The log-likelihood of a broken line has a kink wherever a knot meets a time of
#   measurement. A maximum may be such a kink, as here for the class that bends at about grade 6; it is found, but
#   several may lie close together, and standard errors are those of the smooth parts beside it:

# %%
for name, model in models.items():
    print(f"{name}: {model.status_}")

# %% [markdown]
# - **Starts.** The page took four, to be quick; see `starts_` and `why_starts_matter.py`. With more classes there are
#   more local maxima.
# - **Classes may be an approximation** to something continuous, or make up for a wrong curve or residual distribution:
#   try `residual=`, other curves, `random_knot=True`.
# - **Dropout** that depends on what was not observed is not accounted for; what depends on observed scores is.
# - **Covariates that go together** share importance in a forest, and stand in for each other in tests.
#
# **References.** Liu and Perera (2022), Psychological Methods, doi 10.1037/met0000436. Brandmaier, Prindle, McArdle and
# Lindenberger (2016), Psychological Methods 21. Zeileis, Hothorn and Hornik (2008), Journal of Computational and
# Graphical Statistics 17.
#
# **Read next**: `growth_recovery.py` (how good are the estimates?), `growth_from_other_programs.py` (lcmm, nlpsem,
# Mplus).
