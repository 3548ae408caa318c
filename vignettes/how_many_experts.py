# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # How many experts?
#
# There are many answers, because there are several questions. Let $\ell_K$ be the maximised log-likelihood with $K$
# experts, $d_K$ the number of parameters, $n$ the number of units and $r_{ik}$ the responsibilities.
#
# | tool | value | question |
# |---|---|---|
# | AIC | $-2\ell_K + 2 d_K$ | Which model predicts a new sample best (if regularity held)? |
# | BIC | $-2\ell_K + d_K \log n$ | Which model is most probable, given the data? |
# | ICL | $\text{BIC} - 2 \sum_i \sum_k r_{ik} \log r_{ik}$ | Which model sorts single units into classes? |
# | held-out likelihood | mean of $\log \hat p_{-i}(y_i)$ | Which model predicts units that it has not seen? |
# | bootstrap test | $2(\ell_{K+1} - \ell_K)$ against draws from the fit with $K$ | Did $K$ experts make the data? |
# | VLMR test | the same statistic against a weighted chi-square | The same, by a theory whose conditions do not hold. |
#
# First a simulation, where the truth is known; then real data, where one more question has to be asked. So that this
# page runs in half a minute, fits have ten starts and the bootstrap 19 replicates of three. For a paper, leave `n_init`
# at its default or above, and take `replicates=500`.

# %%
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.datasets import engel

import mixstat as ms
from mixstat.results import plots

pd.set_option("display.width", 120, "display.max_columns", 20)
folder = Path(tempfile.mkdtemp())
columns = ["n_experts", "log_likelihood", "n_parameters", "aic", "bic", "icl", "entropy", "held_out"]


def show(figure, name):
    """Write a figure, and hand it to the notebook."""
    (folder / f"{name}.png").write_bytes(plots.to_png(figure))
    print(f"wrote {name}.png")
    return figure


# %% [markdown]
# ## Three experts that overlap
#
# $$ y_i \mid z_i = k \sim N(a_k + b_k x_i,\ 0.8^2), \qquad
#    \log \frac{P(z_i = k)}{P(z_i = 1)} = g_k + h_k v_i, \qquad k = 1, 2, 3. $$

# %%
simulated = ms.datasets.make_moe(
    400,
    coefficients=((0.0, 1.0), (2.0, -0.5), (4.5, 0.5)),
    gate=((0.3, 1.0), (0.0, -0.5)),
    parameters={"sigma": 0.8},
    random_state=1,
)
model = ms.MixtureOfExperts(ms.Regression(simulated.formula), gate=simulated.gate, n_init=10, random_state=1, verbose=0)
selection = ms.select(model, simulated.data, n_experts=range(1, 5), cv=5, random_state=1)
print(selection.table[columns].round(2).to_string(index=False))
print(selection.table[["n_experts", "smallest_class", "hits", "carried", "status"]].to_string(index=False))

# %% [markdown]
# Before any criterion: did each fit reach its maximum? `hits` of the starts `carried` on found the reported optimum.
# If one start in many did, a larger $K$ is compared through a likelihood that may still rise (see
# `why_starts_matter.py`).

# %%
votes = {name: selection.best(name).n_experts for name in ("aic", "bic", "icl", "held_out")}
print("true number: 3;", ", ".join(f"{name}: {number}" for name, number in votes.items()))

# %%
axes = ms.plot_criteria(selection.table)
show(axes.figure, "simulated")

# %% [markdown]
# BIC and the held-out likelihood find the three. AIC charges too little for an expert: its penalty stands for a
# chi-square statistic, and the statistic of a superfluous expert is no chi-square. ICL keeps one expert, and has a
# point about its own question: even by the right model, part of the units are sorted into a wrong class.

# %%
fit = selection.best("bic")
agree = np.mean(fit.classify() == simulated.classes)
print(f"units sorted into their true class by the fit with {fit.n_experts} experts: {agree:.1%}")
print(fit.classification_table().classes.round(3).to_string(index=False))

# %% [markdown]
# So ICL is the criterion of a clustering and BIC that of a density; where they disagree, the experts overlap, and the
# classes describe the population and not its members.
#
# ## Tests of $K$ against $K + 1$
#
# With $K$ true experts, the $(K+1)$st has share 0 or a copy's coefficients: a boundary where parameters are not
# identified. The likelihood ratio then has no chi-square limit. The bootstrap test (McLachlan, 1987) draws its null
# distribution; the smallest p-value it can give is $1 / (1 + \text{replicates})$.

# %%
rows = []
for number in (2, 3):
    bootstrap = ms.bootstrap_lrt(model, simulated.data, n_experts=number, replicates=19, n_init=3, random_state=2)
    vlmr = ms.vuong_test(model, simulated.data, n_experts=number)
    rows.append(
        {
            "test": f"{number} against {number + 1}",
            "statistic": bootstrap.statistic,
            "bootstrap": bootstrap.p_value,
            "VLMR": vlmr["p_value"][0],
            "VLMR adjusted": vlmr["adjusted_p_value"][0],
            "null median": np.nanmedian(bootstrap.replicates),
            "null 95%": np.nanquantile(bootstrap.replicates, 0.95),
            "failed": bootstrap.failed,
            "negative": bootstrap.negative,
        }
    )
print(pd.DataFrame(rows).round(4).to_string(index=False))

# %% [markdown]
# Going up, the bootstrap stops at the true number: it is the first that is not rejected. VLMR, at the 5% level, rejects
# it too. The columns of the null distribution say why: in replicates drawn from the fit with three experts a fourth is
# superfluous by construction, and yet statistics as large as the observed one are common. The reference distribution of
# VLMR takes them for rare. It assumes what fails at the boundary (Jeffries, 2003); it is here because reviewers ask for
# it.
#
# `negative` counts replicates whose larger model came out below the smaller one. These would be failures of the search,
# and not of the theory; more starts cure them.
#
# ## Real data: one more question
#
# Engel's data: food expenditure and income of Belgian households. Each expert has a line and a constant spread of its
# own; the gate has no covariates.

# %%
households = engel.load_pandas().data
lines = ms.MixtureOfExperts(ms.Regression("foodexp ~ income"), n_init=10, random_state=1, verbose=0)
found = ms.select(lines, households, n_experts=range(1, 4), cv=5, random_state=1)
print(found.table[columns].round(2).to_string(index=False))
print({name: found.best(name).n_experts for name in ("aic", "bic", "icl", "held_out")})

# %%
two = found.models[2]
axes = two.plot_fit()
show(axes.figure, "engel")

# %% [markdown]
# All but ICL want a second expert, and some a third. Are there kinds of households? The figure suggests something
# simpler: the points are a fan, whose spread grows with income, and two lines of constant spread are its edges. That is
# a hypothesis about one expert, and can be fitted: $\log \sigma_i = s_0 + s_1 \log x_i$.

# %%
spread = ms.Regression("foodexp ~ income", sigma="~ log(income)")
mixture = ms.MixtureOfExperts(spread, n_init=10, random_state=1, verbose=0)
again = ms.select(mixture, households, n_experts=range(1, 3), cv=5, random_state=1)
print(again.table[columns].round(2).to_string(index=False))
print({name: again.best(name).n_experts for name in ("aic", "bic", "icl", "held_out")})
gain = found.table["bic"].min() - again.table["bic"].min()
print(f"BIC of the best mixture of constant spreads, minus that of one expert with a variance model: {gain:.1f}")

# %%
test = ms.bootstrap_lrt(mixture, households, n_experts=1, replicates=19, n_init=3, random_state=3)
print(test.tidy().round(3).to_string(index=False))

# %% [markdown]
# One expert with a variance model is better than any of these mixtures without. A number of experts is always a number
# *given the form of an expert*: an omitted curve, skewness or unequal variance is paid for in classes. Of the second
# expert that was so clear before, AIC alone now speaks, and the bootstrap test sees no need of it. The fit itself says
# how little it rests on: a small class, at an optimum that few starts agree on.

# %%
print(again.table[["n_experts", "smallest_class", "hits", "carried", "status"]].to_string(index=False))

# %% [markdown]
# ## In short
#
# 1. Make each $K$ reach its maximum (`starts_`, `hits`).
# 2. Improve the expert before adding one: `sigma=`, curves, another family; look at `plot_qq()`.
# 3. For a description of the population: BIC or the held-out likelihood, with the bootstrap test where a p-value is
#    needed. For classes of units: ICL and `classification_table()`.
# 4. Report the whole table, also where its columns disagree.
#
# **References.** McLachlan (1987), Applied Statistics 36. Biernacki, Celeux and Govaert (2000), IEEE PAMI 22. Lo,
# Mendell and Rubin (2001), Biometrika 88. Jeffries (2003), Biometrika 90. McLachlan and Peel (2000), Finite Mixture
# Models, chapter 6.
#
# **Read next**: `why_starts_matter.py` (the maximum itself), `simulation_study.py` (how good are the estimates?),
# `ten_minutes.py` (the first steps).
