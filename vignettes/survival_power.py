# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Survival: effects that change over time
#
# A treatment that works at once and wears off, or one that harms first and helps later, has no single hazard ratio. In
# a *power* regression (also called multi-parameter or distributional) a covariate acts on a scale and on the power
# $\gamma$,
#
# $$ H(t \mid x) = \lambda(x)\, H_0\{(\phi t)^{\gamma(x)}; \kappa\}, $$
#
# so that its hazard ratio may rise, fall, or cross 1, with one more parameter, and without giving up a smooth curve.
#
# The data are simulated, so that the truth is known.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import mixstat as ms

pd.set_option("display.width", 120, "display.max_columns", 20)
rng = np.random.default_rng(20)
n = 1200
treated = rng.integers(0, 2, n)
age = rng.normal(0, 1, n)
gamma = np.exp(0.5 - 0.45 * treated)
event = (rng.exponential(size=n) / np.exp(-0.2 + 0.3 * age - 0.5 * treated)) ** (1 / gamma)
follow_up = rng.uniform(0.5, 4, n)
trial = pd.DataFrame({"years": np.minimum(event, follow_up), "died": event <= follow_up})
trial = trial.assign(treated=treated, age=age)
print(f"{trial['died'].sum()} deaths among {n}")

# %% [markdown]
# ## Proportional hazards, and what they miss

# %%
formula = "Surv(years, died) ~ treated + age"
plain = ms.SurvivalRegression(formula, scale="ph", verbose=0).fit(trial)
power = ms.SurvivalRegression(formula, scale="ph", power="~ treated", verbose=0).fit(trial)
print(power.summary())
print(ms.likelihood_ratio_test(plain, power).round(5).to_string(index=False))

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
plain.plot_survival(trial, by="treated", ax=axes[0])
axes[0].set_title("Proportional hazards", loc="left", fontsize=10)
power.plot_survival(trial, by="treated", ax=axes[1])
axes[1].set_title("Hazards and power", loc="left", fontsize=10)
grid = np.linspace(0.05, 3, 40)
power.plot_hazard_ratio("treated", grid, ax=axes[2])
base = np.exp(0.5)
truth = np.exp(-0.5) * np.exp(-0.45) * grid ** (base * (np.exp(-0.45) - 1))
axes[2].plot(grid, truth, color="0.3", linestyle="--", linewidth=1, label="truth")
axes[2].set_yscale("log")
axes[2].legend(frameon=False)
plt.show()

# %% [markdown]
# Early in the trial the treated die more often, later less: the hazard ratio crosses 1. The proportional hazards model
# reports one number that is right at no time.

# %%
table = power.hazard_ratio("treated", [0.1, 0.5, 1, 2, 3])
print(table[["time", "estimate", "conf_low", "conf_high"]].round(3).to_string(index=False))
one = plain.hazard_ratio("treated", [1.0]).iloc[0]
print(f"proportional hazards: {one['estimate']:.3f} ({one['conf_low']:.3f} to {one['conf_high']:.3f})")

# %% [markdown]
# ## An effect without a hazard ratio
#
# The difference in restricted mean survival time says what treatment gives over three years, averaged over the ages in
# the trial; standardised survival curves say when.

# %%
for name, model in (("proportional", plain), ("power", power)):
    gain = model.rmst(3.0, variable="treated").iloc[0]
    print(f"{name}: {gain['estimate']:.3f} years ({gain['conf_low']:.3f} to {gain['conf_high']:.3f})")
both = pd.concat([trial.assign(treated=level) for level in (0, 1)])
curves = power.curves(both, [0.5, 1, 2, 3], by="treated")
print(curves[["treated", "time", "estimate", "conf_low", "conf_high"]].round(3).to_string(index=False))

# %% [markdown]
# **References.** Burke and MacKenzie (2017), Biometrics 73. Burke, Jones and Noufaily (2020), Journal of the Royal
# Statistical Society C 69. Royston and Parmar (2013), BMC Medical Research Methodology 13 (restricted means).
#
# **Read next**: `survival_cure.py`.
