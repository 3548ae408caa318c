# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Survival: which baseline?
#
# Weibull, log-logistic, Gompertz, ...: a parametric survival regression asks for a name before it has seen the data.
# The adapted power generalised Weibull (Burke, Jones and Noufaily, 2020) holds the usual baselines as values of one
# number,
#
# $$ H(t) = \lambda\, H_0\{(\phi t)^\gamma; \kappa\}, $$
#
# with $\kappa = 0$ log-logistic, $1$ Weibull, infinite Gompertz, and below 0 a share that is cured. So the shape can be
# estimated with everything else, and the data suggest the name.
#
# The data are the Veterans' Administration lung cancer trial: 137 men, two treatments, 128 deaths. scikit-survival
# ships a copy.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_score
from sksurv.datasets import load_veterans_lung_cancer

import mixstat as ms

pd.set_option("display.width", 120, "display.max_columns", 20)
covariates, times = load_veterans_lung_cancer()
veteran = pd.DataFrame({"years": times["Survival_in_days"] / 365.25, "died": times["Status"]})
veteran["karno"] = (covariates["Karnofsky_score"].to_numpy() - 60) / 10
veteran["cell"] = covariates["Celltype"].astype(str).to_numpy()
print(veteran.describe().round(2))

# %% [markdown]
# ## The shape estimated
#
# `karno` is the Karnofsky score of performance, in tens from 60. By default the formula acts on the time scale
# (accelerated failure time): a slope $b$ multiplies times by $\exp(-b)$.

# %%
free = ms.SurvivalRegression("Surv(years, died) ~ karno", verbose=0).fit(veteran)
print(free.summary())
print("suggested:", free.suggested_baseline())

# %% [markdown]
# kappa is near 0: the data ask for a log-logistic law, and the likelihood-ratio test has nothing against it.

# %%
loglogistic = ms.SurvivalRegression("Surv(years, died) ~ karno", baseline="loglogistic", verbose=0).fit(veteran)
weibull = ms.SurvivalRegression("Surv(years, died) ~ karno", baseline="weibull", verbose=0).fit(veteran)
for name, smaller in (("log-logistic", loglogistic), ("Weibull", weibull)):
    test = ms.likelihood_ratio_test(smaller, free)
    print(f"{name}: {test.iloc[0]['statistic']:.2f}, p = {test.iloc[0]['p_value']:.4f}")

# %% [markdown]
# ## What the covariate acts on
#
# The hazard scale (proportional hazards), the time scale, and in each case perhaps the power $\gamma$ too: then effects
# change over time. `select` fits them all, and says of each whether it is a maximum to trust.

# %%
choice = ms.select(
    ms.SurvivalRegression("Surv(years, died) ~ karno", verbose=0),
    veteran,
    over={"baseline": [None, "weibull", "loglogistic"]},
    covariates=["aft", "ph", "aft+power", "ph+power"],
)
shown = ["baseline", "covariates", "log_likelihood", "n_parameters", "aic", "bic", "converged"]
print(choice.table[shown].round(3).sort_values("aic").to_string(index=False))

# %% [markdown]
# By BIC the log-logistic with an effect on the time scale alone is enough; AIC would let the effect wane over time.
# Log-logistic laws have no proportional hazards form, which the table says.
#
# ## Does it fit?

# %%
best = choice.best("bic")
veteran["score"] = np.where(veteran["karno"] < 0, "below 60", "60 or more")
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
best.plot_survival(veteran, by="score", ax=axes[0])
best.plot_cox_snell(ax=axes[1])
best.plot_calibration(0.25, groups=4, ax=axes[2])
plt.show()

# %% [markdown]
# Left: fitted survival, averaged over the men of each group, over Kaplan-Meier's steps. Middle: Cox-Snell residuals
# are a censored sample of a unit exponential if the model is right. Right: observed against predicted survival at
# three months.
#
# How well does it predict men it has not seen?

# %%
for name, model in (("log-logistic", loglogistic), ("Weibull", weibull), ("kappa free", free)):
    held_out = cross_val_score(model, veteran, cv=10)
    print(f"{name}: mean held-out log-likelihood of a man {held_out.mean():.4f}")
print(best.survival_scores().round(3).to_string(index=False))

# %% [markdown]
# ## In words a clinician uses

# %%
profiles = pd.DataFrame({"karno": [-3.0, 0.0, 3.0]})
print(best.survival_quantiles(profiles, 0.5).round(3).to_string(index=False))
print(best.rmst(1.0, profiles, by=None).round(3).to_string(index=False))
print(best.time_ratio("karno").round(3).to_string(index=False))

# %% [markdown]
# Ten points of the Karnofsky score make every quantile of survival about half as long again.
#
# **References.** Burke, Jones and Noufaily (2020), Journal of the Royal Statistical Society C 69, 429-457. Kalbfleisch
# and Prentice (1980), The Statistical Analysis of Failure Time Data.
#
# **Read next**: `survival_power.py` (effects that change over time), `survival_cure.py`, `survival_mixture.py`.
