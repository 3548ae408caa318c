# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Survival: two kinds of patients
#
# Survival curves that fall fast and then flatten may mean that hazards fall over time, or that there are two kinds of
# patients: some whose disease is aggressive, and others. A mixture of survival experts says so in a likelihood: each
# class has a survival curve of its own, with covariates, and a gate says who is likely to belong to which,
#
# $$ S(t \mid x, v) = \sum_k \pi_k(v)\, S_k(t \mid x). $$
#
# Late entry, interval censoring and weights work as in one regression: with late entry, the likelihood is divided by
# $\sum_k \pi_k S_k(\text{entry})$ of the mixture, not class by class.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import mixstat as ms

pd.set_option("display.width", 120, "display.max_columns", 20)
rng = np.random.default_rng(11)
n = 1500
marker, treated = rng.normal(size=n), rng.integers(0, 2, n)
aggressive = rng.random(n) < 1 / (1 + np.exp(0.4 - 1.3 * marker))
scale = np.where(aggressive, 0.9 * np.exp(0.5 * treated), 6.0)
death = scale * rng.weibull(np.where(aggressive, 1.5, 2.5))
entry = np.where(rng.random(n) < 0.4, rng.uniform(0, 0.8, n), 0.0)
follow_up = entry + rng.uniform(1, 9, n)
patients = pd.DataFrame({"entry": entry, "years": np.minimum(death, follow_up), "died": death <= follow_up})
patients = patients.assign(marker=marker, treated=treated, aggressive=aggressive)[death > entry].reset_index(drop=True)
print(
    f"{len(patients)} patients seen, {patients['died'].sum()} deaths; {n - len(patients)} died before they could enter"
)

# %% [markdown]
# ## One law for everybody
#
# Kappa, free, can bend one curve a great deal, and a heavy tail or a cure is easily taken for a second class (and the
# reverse). So begin with one.

# %%
formula = "Surv(entry, years, died) ~ treated"
one = ms.SurvivalRegression(formula + " + marker", power="~ treated + marker", verbose=0).fit(patients)
print(f"log-likelihood {one.log_likelihood_:.2f}, {one.n_parameters_} parameters, BIC {one.bic():.1f}")
print("suggested:", one.suggested_baseline())

# %% [markdown]
# ## Two classes under a gate
#
# The marker may act on the class (gate); treatment acts within classes. kappa is common to the classes by default:
# together with the number of classes a kappa for each is hard to tell from data.

# %%
expert = ms.SurvivalRegression(formula, baseline="weibull")
two = ms.MixtureOfExperts(expert, gate="~ marker", n_experts=2, n_init=10, random_state=1, verbose=0).fit(patients)
print(two.summary())

# %%
chosen = ms.select(two, n_experts=[1, 2, 3])
print(
    chosen.table[["n_experts", "log_likelihood", "n_parameters", "bic", "icl", "smallest_class"]].round(2).to_string()
)

# %% [markdown]
# Two classes, and the marker says who is in which: the mixture is better than one flexible law with the marker in both
# its scale and its power.

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
patients["high"] = np.where(patients["marker"] > 0, "marker above 0", "marker below 0")
two.plot_survival(patients, by="high", ax=axes[0])
two.plot_curves(pd.DataFrame({"treated": [0], "marker": [0.0]}), kind="survival", by_class=True, ax=axes[1])
two.plot_gate(ax=axes[2])
plt.show()

# %% [markdown]
# Whom does treatment help? Classes are ordered by their time scale; the second has the shorter times.

# %%
print(two.tidy()[["expert", "parameter", "term", "estimate", "std_error"]].round(3).to_string(index=False))
print(two.rmst(3.0, variable="treated").round(3).to_string(index=False))
profiles = pd.DataFrame({"treated": [0, 1, 0, 1], "marker": [-1.5, -1.5, 1.5, 1.5]})
print(profiles.assign(median=two.quantile(profiles, 0.5).round(2)).to_string(index=False))

# %% [markdown]
# Treatment helps the aggressive disease alone, so it gives more to those with a high marker; one regression would have
# called that an interaction with the marker.
#
# The classes are real here, so that the classification can be checked.

# %%
membership = two.responsibilities(patients)
table = pd.crosstab(patients["aggressive"], membership.argmax(axis=1) + 1, normalize="index")
print(table.round(2))

# %% [markdown]
# ## Before you believe in two kinds
#
# - A class is a hypothesis about a curve's form. `one` fits worse here; on other data it may fit as well.
# - The tail tells: long follow-up, or nothing to say of the slow class.
# - Where a class never has the event, use `extra=[ms.Never()]` (`survival_cure.py`).
#
# **References.** McLachlan and McGiffin (1994), Statistical Methods in Medical Research 3. Larson and Dinse (1985),
# Applied Statistics 34.
