# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Survival: who is cured
#
# Relapses stop, the survival curve runs flat, and some patients seem to be cured. Two models say so in different ways:
#
# - a **mixture cure** model: a share that never has the event, with a gate, and a law of times for the others,
# $$ S(t \mid x, v) = \pi(v) + \{1 - \pi(v)\}\, S_1(t \mid x); $$
# - a **defective** law: one hazard whose total is finite, here $\kappa < 0$, so that
# $S(\infty) = \exp\{-\lambda(x)\,(\kappa + 1) / |\kappa|\}$ without a second class.
#
# Both look beyond the data. Whether anybody is cured cannot be seen in a follow-up that ends while relapses still come,
# and a share without its interval says little. The trial is simulated (`data/make_melanoma.py`), so that the truth is
# known.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import mixstat as ms

pd.set_option("display.width", 120, "display.max_columns", 20)
melanoma = ms.datasets.load_melanoma().assign(decade=lambda table: (table["age"] - 50) / 10)
print(melanoma.head().to_string(index=False))
last = melanoma.loc[melanoma["relapse"] == 1, "years"].max()
print(f"the last relapse at {last:.1f} years; {np.sum(melanoma['years'] > last)} patients were followed longer")

# %% [markdown]
# ## A share that never relapses
#
# `ms.Never()` stands beside the expert: a class whose time does not come. The gate takes what decides about cure, the
# expert's formula what hastens or delays the relapse of the others.

# %%
relapse = ms.SurvivalRegression("Surv(years, relapse) ~ treatment + stage", baseline="weibull")
never = {"extra": [ms.Never()], "n_experts": 1, "random_state": 0, "verbose": 0}
cure = ms.MixtureOfExperts(relapse, gate="~ treatment + stage + decade", **never).fit(melanoma)
print(cure.summary())

# %% [markdown]
# The truth, in the order of the table: $\log \phi$ = -0.25, -0.3 (interferon), 0.2, 0.5 (stages), $\log \gamma$ = 0.15;
# the gate -0.1, 0.5, -0.6, -1.3 and -0.15 a decade of age. All lie within their intervals.
#
# Cure fractions are averages over the patients; the contrast is between everybody treated and nobody.

# %%
shares = cure.cure_fraction(melanoma, by="treatment")
print(shares[["treatment", "estimate", "conf_low", "conf_high"]].round(3).to_string(index=False))

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
cure.plot_survival(melanoma, by="treatment", ax=axes[0])
cure.plot_survival(melanoma, by="stage", at_risk=False, ax=axes[1])
plt.show()

# %% [markdown]
# ## Does treatment cure, or delay?
#
# The two are separate coefficients, and each can be left out. Likelihood-ratio tests:

# %%
late = ms.SurvivalRegression("Surv(years, relapse) ~ stage", baseline="weibull")
delays_not = ms.MixtureOfExperts(late, gate="~ treatment + stage + decade", **never).fit(melanoma)
cures_not = ms.MixtureOfExperts(relapse, gate="~ stage + decade", **never).fit(melanoma)
for question, smaller in (("delays relapse", delays_not), ("cures", cures_not)):
    test = ms.likelihood_ratio_test(smaller, cure).iloc[0]
    print(f"treatment {question}: chi-square {test['statistic']:.2f}, p = {test['p_value']:.4f}")

# %% [markdown]
# ## One hazard that ends
#
# With $\kappa$ free and no class, a value below 0 says that a share never has the event. `cure_profile()` gives the
# profile-likelihood interval of the share of one kind of patient, and `no_cure`, what the likelihood loses (twice the
# logarithm) when nobody is cured.

# %%
formula = "Surv(years, relapse) ~ treatment + stage"
defective = ms.SurvivalRegression(formula, scale="ph", verbose=0).fit(melanoma)
for stage in ("II", "IIIB"):
    patient = pd.DataFrame({"treatment": ["control"], "stage": [stage]})
    found = defective.cure_profile(patient).set_index("quantity").loc["cure_fraction"]
    print(f"control, stage {stage}: {found['estimate']:.2f} ({found['conf_low']:.2f} to {found['conf_high']:.2f})")
print(f"no_cure: {found['no_cure']:.1f}")
print(f"the baseline is suggested to be: {defective.suggested_baseline()}")

# %% [markdown]
# A covariate has one coefficient here, for cure and delay together. In this trial that is wrong (stage hastens relapse
# and prevents cure, but not in the same proportion), and the criteria see it.

# %%
table = pd.DataFrame({"mixture cure": cure.glance().iloc[0], "defective": defective.glance().iloc[0]}).T
print(table[["log_likelihood", "n_parameters", "aic", "bic"]].astype(float).round(2).to_string())

# %% [markdown]
# ## When the plateau was not seen
#
# The same trial, analysed after two years.

# %%
seen = melanoma["relapse"].where(melanoma["years"] <= 2, 0)
early = melanoma.assign(relapse=seen, years=melanoma["years"].clip(upper=2))
after_two = ms.SurvivalRegression(formula, scale="ph", verbose=0).fit(early)
patient = pd.DataFrame({"treatment": ["control"], "stage": ["II"]})
rows = {"11 years": defective, "2 years": after_two}
profile = pd.concat({name: model.cure_profile(patient) for name, model in rows.items()}, names=["follow-up"])
print(profile.reset_index("follow-up").query("quantity == 'cure_fraction'").round(3).to_string(index=False))

# %% [markdown]
# The estimate after two years is not far off, but its interval begins at 0: relapses were still coming, and nobody need
# be cured. Report the interval, not the estimate.
#
# **References.** Boag (1949), Journal of the Royal Statistical Society B 11. Farewell (1982), Biometrics 38. Maller and
# Zhou (1996), *Survival Analysis with Long-Term Survivors*, Wiley. Burke, Jones and Noufaily (2020), Journal of the
# Royal Statistical Society C 69.
