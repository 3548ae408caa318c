# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Mixtures of experts in ten minutes
#
# A mixture of experts says: the population is made of a few kinds of units. Each kind has a regression of its own (an
# *expert*), and a second regression (the *gate*) says who is likely to be of which kind:
#
# $$ p(y_i \mid x_i, v_i) = \sum_k \pi_k(v_i)\, f_k(y_i \mid x_i). $$
#
# The data are real: visits to the doctor in the RAND Health Insurance Experiment, which assigned families to insurance
# plans at random. The question is an old one: does everybody react to the price of care?

# %%
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.datasets import randhie

import mixstat as ms
from mixstat.results import plots

pd.set_option("display.width", 120, "display.max_columns", 20)
folder = Path(tempfile.mkdtemp())


def show(figure, name):
    """Write a figure, and hand it to the notebook."""
    (folder / f"{name}.png").write_bytes(plots.to_png(figure))
    print(f"wrote {name}.png")
    return figure


visits = randhie.load_pandas().data
print(visits[["mdvis", "lncoins", "idp", "physlm", "disea", "hlthp"]].describe().round(2))

# %% [markdown]
# ## One expert
#
# Without a mixture, an expert is an ordinary regression: here a negative binomial one. `lncoins` is the log of the
# percentage of the bill that the family pays, plus one. Its coefficient is negative: a dearer plan, fewer visits.

# %%
formula = "mdvis ~ lncoins + idp + disea + hlthf + hlthp"
one = ms.Regression(formula, family="negative_binomial").fit(visits)
print(one.summary())

# %% [markdown]
# Every parameter may have a formula of its own. Does the dispersion vary with health?

# %%
spread = ms.Regression(formula, family="negative_binomial", dispersion="~ disea").fit(visits)
print(spread.tidy().query("parameter == 'dispersion'").to_string(index=False))
print(f"BIC {one.bic():.1f} -> {spread.bic():.1f}")

# %% [markdown]
# ## Two experts and a gate
#
# `random_state` fixes the random starts. The likelihood of a mixture has several maxima, so the fit begins many times
# and the table of starts says which optimum each reached.

# %%
expert = ms.Regression(formula, family="negative_binomial")
two = ms.MixtureOfExperts(expert, gate="~ physlm + disea", n_experts=2, n_init=8, random_state=1, verbose=0)
two.fit(visits)
print(two.starts_[["start", "kind", "log_likelihood", "hits"]].round(2).to_string(index=False))
print(two.status_)

# %%
print(two.summary())

# %% [markdown]
# Experts are ordered by their average prediction, so expert 2 is the kind that sees the doctor often. The price matters
# to expert 1 and hardly to expert 2; physical limitations move people to expert 2. Is the second expert worth its
# parameters?

# %%
models = {"one expert": one, "dispersion varies": spread, "two experts": two}
columns = ["log_likelihood", "n_parameters", "aic", "bic", "icl", "entropy"]
print(pd.concat({name: model.glance()[columns] for name, model in models.items()}).droplevel(1).round(2))

# %% [markdown]
# BIC asks how well the mixture describes the distribution; ICL also asks whether the kinds can be told apart for
# single people, and here it would keep one expert: the entropy is far below 1, so the classes overlap. They describe
# the population, and do not classify its members.
#
# ## What the model says of single people
#
# The gate's probabilities are known before the response is seen; responsibilities use it as well.

# %%
print(
    pd.DataFrame(
        {
            "mdvis": visits["mdvis"],
            "gate": two.gate_proba(visits)[:, 1],
            "posterior": two.responsibilities(visits)[:, 1],
            "predicted": two.predict(visits),
        }
    )
    .iloc[::2500]
    .round(2)
)

# %% [markdown]
# Standard errors come from the exact observed information of the mixture. If the model may be misspecified, the robust
# (sandwich) intervals do not lean on it.

# %%
usual, robust = two.confint(), two.confint(kind="robust")
both = usual.merge(robust, on=["expert", "parameter", "term"], suffixes=("", "_robust"))
print(both[both["term"] == "lncoins"].round(3).to_string(index=False))

# %% [markdown]
# ## Effects
#
# What does a covariate do to the expected number of visits, through gate and experts at once? Average marginal effects,
# with standard errors by the delta method; and the expected visits under free care and under the dearest plan, for each
# expert and for the mixture.

# %%
effects = two.marginal_effects(visits, ["lncoins", "physlm", "disea"])
print(effects[["term", "contrast", "estimate", "std_error", "conf_low", "conf_high"]].round(4).to_string(index=False))
plans = {"lncoins": (visits["lncoins"].min(), visits["lncoins"].max())}
for target in ("expert_mean", "mean"):
    shown = two.contrasts(visits, plans, target=target, comparison="ratio")
    print(shown[[c for c in shown if c not in ("term", "group", "statistic")]].round(4).to_string(index=False))

# %% [markdown]
# ## Tests
#
# Does the price act alike on both experts? A hypothesis is text over the names of the coefficients. `term_tests()` asks
# of every term whether it is zero in all experts, and whether it is equal in them. Nested fits are compared by
# `ms.likelihood_ratio_test`; the number of experts is another matter (`how_many_experts.py`).

# %%
print(two.coefficient_names_[:3])
print(two.wald_test("1:mean:lncoins = 2:mean:lncoins").round(4).to_string(index=False))
print(two.term_tests().query("parameter == 'mean'").round(4).to_string(index=False))

# %% [markdown]
# ## Does it fit?
#
# Data simulated from the fit should look like the data. Here, the share of people with no visit and with more than ten.

# %%
draws = np.array([two.simulate(visits, random_state=seed) for seed in range(20)])
for name, event in {"none": lambda y: y == 0, "more than ten": lambda y: y > 10}.items():
    low, high = np.quantile(event(draws).mean(axis=1), [0.05, 0.95])
    print(f"{name:>14}: observed {event(visits['mdvis']).mean():.3f}, simulated {low:.3f} to {high:.3f}")

# %% [markdown]
# Close, and not perfect: the zeros are nearly right, and counts above ten are a little too frequent in the simulations.
# A formula for the dispersion of each expert, or a third expert, would be the next thing to try.
#
# ## A plot for the paper

# %%
table = two.tidy().query("parameter == 'mean' and term != 'Intercept'")
ax = plots.coefficients(table, exponentiate=True)
ax.set(xlabel="Rate ratio (95% interval)")
ax.legend(frameon=False)
show(ax.figure, "coefficients")

# %% [markdown]
# ## Save and load
#
# One file of numbers and text, in which nothing can be executed. It holds the estimates, formulas and, where they were
# asked for before, the covariance, and no data. The loaded model predicts and tests as before.

# %%
two.save(folder / "visits.mixstat")
again = ms.load(folder / "visits.mixstat")
print(f"same predictions: {np.array_equal(again.predict(visits), two.predict(visits))}; same table: ", end="")
print(again.tidy().equals(two.tidy()))

# %% [markdown]
# **Read next**: `how_many_experts.py` (criteria, tests, and where they disagree), `why_starts_matter.py` (local optima
# and spikes), `simulation_study.py` (how good are the intervals?), `coming_from_r.py` (flexmix, MoEClust, StepMix,
# lcmm).
