# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Growth curves: coming from lcmm, nlpsem or Mplus
#
# One model has many names: latent class mixed model, growth mixture model, mixture of experts of trajectories. A
# subject $i$ of class $k$ has random coefficients around the class's curve,
#
# $$ y_{ij} = \Lambda_i(\gamma_k)\,\eta_i + e_{ij}, \qquad \eta_i = \alpha_k + B_k x_i + \zeta_i, \qquad
#    \zeta_i \sim N(0, \Psi_k), \quad e_{ij} \sim N(0, \theta_k), $$
#
# and the class depends on covariates $g_i$ by a multinomial logit. Here are their calls, ours, whether the numbers
# agree, and where they must not, because conventions differ.
#
# | here | lcmm (`hlme`) | nlpsem (`getMIX`) | Mplus |
# |---|---|---|---|
# | expert | class | class | latent class |
# | gate, `gate="~ g1 + g2"` | `classmb = ~ g1 + g2` | `cluster_TIC` | `c ON g1 g2` |
# | `between="~ x"` | terms of `fixed` and `mixture` | `growth_TIC` | `i s ON x` |
# | a covariate of the occasion, `y ~ linear(t) + v` | the same | `TVC` | `y1-y6 ON v1-v6` |
# | its latent rate, `Joint([y, v], states={"v": "rate"})` | - | `sub_Model = "TVC"`, `decompose = 1` | constraints |
# | curve, `bilinear(t)` | formula splines, fixed knots | `curveFun = "BLS"` | constraints |
# | latent changes, `change_scores(t)`, `wave=` | - | `sub_Model = "LCSM"`, `curveFun = "NonP"` | constraints |
# | `n_init=` | `gridsearch(rep=)` | `tries` | `STARTS` |
# | rows | long | wide, a column of times a wave | wide, `TSCORES` |
#
# The numbers of lcmm 2.2.1 and nlpsem 0.4 below were computed with these programs on simulated data and are stored in
# `tests/growth/fixtures/` of the repository; the Mplus input follows its manual and was not run.

# %%
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

import mixstat as ms

pd.set_option("display.width", 120, "display.max_columns", 20)
here = Path(__file__).resolve() if "__file__" in globals() else Path.cwd()
fixtures = next(folder for folder in (here, *here.parents) if (folder / "tests/growth/fixtures").is_dir())
fixtures = fixtures / "tests" / "growth" / "fixtures"
stored = {
    name: json.loads((fixtures / f"{name}.json").read_text()) for name in ("growth_linear", "growth_bilinear_missing")
}
settings = {"n_experts": 2, "n_init": 4, "random_state": 1, "verbose": 0}


def estimates(model):
    """`tidy()` by (expert, parameter, term); shared parameters have expert 0."""
    table = model.tidy()
    return table.assign(expert=table["expert"].fillna(0).astype(int)).set_index(["expert", "parameter", "term"])


# %% [markdown]
# ## lcmm
#
# ```r
# m1 <- hlme(y ~ time + x, random = ~ time, subject = "id", data = d)
# hlme(y ~ time + x, mixture = ~ time, random = ~ time, classmb = ~ z1 + z2, subject = "id", ng = 2, B = m1, data = d)
# ```
#
# What `mixture=` does not name is common to the classes there, as are the covariance of the random effects and the
# residual variance. Here everything is a class's own unless it is `shared`.

# %%
linear = pd.read_csv(fixtures / "growth_linear.csv")
curve = ms.GrowthCurve(
    "y ~ linear(time) + x", unit="id", shared=["x", "random_covariance", "residual_variance"], verbose=0
)
model = ms.MixtureOfExperts(curve, gate="~ z1 + z2", **settings).fit(linear)
print(model.summary())

# %% [markdown]
# To compare, three steps. The reference class of the gate is the first here and the last there: `relevel(2)` makes the
# second one the first. Classes are in no order: they are matched by their estimates. And `hlme` uses $\pi$ in single
# precision, which moves its log-likelihood by $1.4 \cdot 10^{-8}$ a row.

# %%
peer = stored["growth_linear"]["hlme"]["two_class"]
theirs = dict(zip(["gate", "z1", "z2", "i1", "i2", "s1", "s2", "x", "v1", "v2", "v3", "sd"], peer["best"], strict=True))
means = estimates(model).query("parameter == 'intercept'")["estimate"].to_numpy()
first = 1 + int(np.argmin(np.abs(means - theirs["i1"])))
matched = model if first == 2 else model.relevel(2)
ours = estimates(matched)


def value(expert, parameter, term="Intercept"):
    return ours.loc[(expert, parameter, term), "estimate"]


rows = {
    "log-likelihood": (model.log_likelihood_, peer["loglik_reported"] + len(linear) * 1.3913767e-08),
    "gate: intercept": (value(2, "gate"), theirs["gate"]),
    "gate: z1": (value(2, "gate", "z1"), theirs["z1"]),
    "gate: z2": (value(2, "gate", "z2"), theirs["z2"]),
    "their class 1: intercept": (value(2, "intercept"), theirs["i1"]),
    "their class 1: slope": (value(2, "slope"), theirs["s1"]),
    "their class 2: intercept": (value(1, "intercept"), theirs["i2"]),
    "their class 2: slope": (value(1, "slope"), theirs["s2"]),
    "x": (value(0, "mean", "x"), theirs["x"]),
    "variance of intercepts": (value(0, "random_covariance", "intercept"), theirs["v1"]),
    "covariance": (value(0, "random_covariance", "slope,intercept"), theirs["v2"]),
    "variance of slopes": (value(0, "random_covariance", "slope"), theirs["v3"]),
    "residual standard deviation": (np.sqrt(value(0, "residual_variance")), theirs["sd"]),
}
print(pd.DataFrame(rows, index=["mixstat", "hlme"]).T.round(4).to_string())

# %% [markdown]
# The standard errors of variances agree too, if one takes them on the variance's scale: `VarCovRE()` there, `tidy()`
# here, by the delta method. (`$V` of `hlme` holds those of Cholesky elements.)

# %%
errors = ours.loc[0].loc["random_covariance", "std_error"]
print(pd.DataFrame({"mixstat": errors, "VarCovRE": peer["VarCovRE"]["se"]}).round(4).to_string())

# %% [markdown]
# | lcmm | here |
# |---|---|
# | `idiag = TRUE` | `random_covariance="diagonal"` |
# | `nwg = TRUE`: a class's covariance is a multiple of the last one's | not here: common (`shared=`) or each its own |
# | `cor = AR(time)`, `cor = BM(time)` | `residual="ar1"`, `residual="brownian"` |
# | `mixture = ~ time + x` | leave `x` out of `shared` |
# | `random = ~ 1` | `random="intercept"`; without a curve `random="1"` |
# | `bs(time)`, `poly(time)` in the formulas | the same, without a curve: `"y ~ bs(time, df=4)"` |
# | `predictY` | `trajectories()` |
# | `ranef` | `random_effects()` |
# | `postprob` | `classification_table()` |
# | `summarytable()` | `ms.select`, `ms.compare` |
# | `externVar` | `membership()`, `distal()` |
#
# Link functions of the outcome (`lcmm`, `multlcmm`) and joint models with a survival time (`Jointlcmm`) have no
# counterpart here yet.
#
# ## nlpsem
#
# A bilinear curve with a knot for each class, covariates in the gate and of the growth factors. nlpsem wants the data
# wide, with a column of times for each wave:
#
# ```r
# getMIX(
#   dat = wide, prop_starts = c(0.45, 0.55), sub_Model = "LGCM", y_var = "Y", t_var = "T", records = 1:10,
#   curveFun = "BLS", intrinsic = FALSE, growth_TIC = "ex1", cluster_TIC = c("gx1", "gx2")
# )
# ```
#
# Here tables are long, one row an occasion. `wide_to_long` turns a wide one, such as this, made of the stored one:

# %%
long = pd.read_csv(fixtures / "growth_bilinear_missing.csv")
wave = long.groupby("id").cumcount() + 1
wide = long.assign(wave=wave).pivot(index="id", columns="wave", values=["y", "time"])
wide.columns = [f"{'Y' if name == 'y' else 'T'}{number}" for name, number in wide.columns]
wide = wide.join(long.groupby("id")[["gx1", "gx2", "ex1"]].first()).reset_index()
print(wide[["id", "Y1", "Y2", "Y10", "T1", "T2", "T10", "gx1", "ex1"]].head(3).round(2).to_string(index=False))

rows = ms.wide_to_long(wide, unit="id", outcomes={"y": "Y*"}, times={"time": "T*"})
print(f"\n{len(rows)} rows; {len(long) - len(rows)} occasions without an outcome are left out")
print(rows.head(3).round(2).to_string(index=False))

# %% [markdown]
# ### A covariate that is given, or one that is an outcome
#
# nlpsem treats the covariates of growth factors as outcomes, $x_i \sim N(\mu_k, \Phi_k)$ in each class, so its
# likelihood has one more factor:
#
# $$ \text{fixed:}\; \sum_k \pi_k(g_i)\, f_k(y_i \mid x_i) \qquad
#    \text{joint:}\; \sum_k \pi_k(g_i)\, f_k(y_i \mid x_i)\, N(x_i; \mu_k, \Phi_k). $$
#
# `covariates="fixed"` is the default here, as in lcmm and in regression; `covariates="joint"` is the convention of
# nlpsem and Mplus. Under "joint" $x$ informs about the class, and the log-likelihood holds the density of $x$: it, AIC
# and BIC can **not** be compared with those of a fixed fit, or of a model without $x$.

# %%
curves = {
    convention: ms.GrowthCurve("y ~ bilinear(time)", unit="id", between="~ ex1", covariates=convention, verbose=0)
    for convention in ("fixed", "joint")
}
models = {
    convention: ms.MixtureOfExperts(curve, gate="~ gx1 + gx2", **settings).fit(rows)
    for convention, curve in curves.items()
}
reference = stored["growth_bilinear_missing"]
for convention, model in models.items():
    other = reference["certified"][f"full_{convention}"]["loglik"]
    print(
        f"{convention}: {model.log_likelihood_:.5f} with {model.n_parameters_} parameters; independently: {other:.5f}"
    )
print(f"nlpsem: {reference['nlpsem']['loglik']:.5f} with {reference['nlpsem']['n_parameters']} parameters")
x = wide["ex1"]
density = norm.logpdf(x, x.mean(), x.std(ddof=0)).sum()
print(f"fixed + density of x, one normal distribution for all: {models['fixed'].log_likelihood_ + density:.5f}")

# %% [markdown]
# So nearly all of the difference between the conventions is the density of $x$; what remains is that "joint" gives each
# class its own. Estimates differ a little between the conventions, and agree between the programs within one:

# %%
ours, fixed, peer = estimates(models["joint"]), estimates(models["fixed"]), reference["nlpsem"]["estimates"]
names = {"intercept": "eta0", "slope1": "eta1", "slope2": "eta2", "knot": "knot", "residual_variance": "theta"}
wanted = {}
for expert, label in enumerate(("early", "late"), start=1):
    for parameter, name in names.items():
        wanted[f"{label}: {parameter}"] = ((expert, parameter, "Intercept"), peer[f"{label}.{name}"])
    for parameter in ("intercept", "slope1", "slope2"):
        theirs = peer[f"{label}.beta_{names[parameter]}_ex1"]
        wanted[f"{label}: x on {parameter}"] = ((expert, parameter, "ex1"), theirs)
for term, name in {"Intercept": "intercept", "gx1": "gx1", "gx2": "gx2"}.items():
    wanted[f"gate, late: {term}"] = ((2, "gate", term), -peer[f"gate_early.{name}"])
table = pd.DataFrame(
    {
        label: (fixed.loc[row, "estimate"], ours.loc[row, "estimate"], value, ours.loc[row, "std_error"])
        for label, (row, value) in wanted.items()
    },
    index=["fixed", "joint", "joint, nlpsem", "std_error (joint)"],
).T
print(table.round(3).to_string())

# %% [markdown]
# (The gate's signs of nlpsem are turned: its class 1, the reference, was the late one.)
#
# ## Mplus
#
# The linear model of the section on lcmm, with individual times:
#
# ```text
# VARIABLE:  NAMES = id y1-y6 t1-t6 z1 z2 x;  USEVARIABLES = y1-y6 z1 z2 x;
#            MISSING = ALL (-99);  CLASSES = c(2);  TSCORES = t1-t6;
# ANALYSIS:  TYPE = MIXTURE RANDOM;  STARTS = 100 20;
# MODEL:     %OVERALL%
#            i s | y1-y6 AT t1-t6;
#            i ON x;                 ! common to the classes unless repeated under %c#2%
#            c ON z1 z2;
#            y1-y6 (1);              ! one residual variance
# ```
#
# Variances and covariances of growth factors are common to the classes by default there; for the default of this
# package, repeat `i s; i WITH s; y1-y6 (2);` under each class. A covariate that is mentioned in the model under a class
# becomes an outcome, and the likelihood a joint one, as above.
#
# ## Conventions
#
# | | nlpsem | lcmm | Mplus | here |
# |---|---|---|---|---|
# | reference of the gate | class 1 | last class | last class | class 1; `relevel(k)` |
# | gate's intercept | `beta_k0` | `intercept class1` | `[C#1]` | `2:gate:Intercept` |
# | gate's slope | `beta_k1`, ... | `z1 class1` | `C#1 ON z1` | `2:gate:z1` |
# | residual | variance | standard deviation, unsigned | variance | variance |
# | random effects | variances | variances; Cholesky in `$V` | variances | variances, covariances |
# | they are by default | a class's own | common | common | a class's own; `shared=` |
# | growth covariates | joint | fixed | fixed; joint if modelled | fixed |
# | bilinear curve | by factor, and centred at the knot | no | by constraints | by factor |
# | random knot $g$, $\vert t - g\vert$ | $\sqrt{(t - g)^2 + 10^{-6}}$ | no | by constraints | $10^{-6}$: `smoothing=` |
# | order of classes | none | none | none | by the first knot, else the intercept |
# | objective printed | $-2 \log L$ | $\log L$ | $\log L$ | $\log L$ |
# | $n$ in BIC | subjects | subjects | subjects | subjects |
#
# A change of the reference to class $r$ takes $c_k - c_r$ and $d_k - d_r$ for all intercepts and slopes of the gate;
# with two classes signs flip.
#
# **References.** Proust-Lima, Philipps and Liquet (2017), Journal of Statistical Software 78(2). Liu and Perera (2022),
# Psychological Methods, doi 10.1037/met0000436. Laird and Ware (1982), Biometrics 38. Liu (nlpsem) and Muthén and
# Muthén (Mplus User's Guide) for the calls.
#
# **Read next**: `growth_covariates.py` (which covariates, and where), `growth_recovery.py` (a simulation study).
