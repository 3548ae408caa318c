# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # A simulation study from scratch
#
# A confidence interval of a mixture rests on several approximations: a maximum that was found, a likelihood that is
# quadratic around it, a model that is true. How far do they carry? A simulation study answers for a stated setting
# (Morris, White and Crowther, 2019). It needs
#
# - **a data-generating mechanism**, with scenarios: `simulate(rng, **scenario)`;
# - **estimands**, the true values: `truth`;
# - **methods**: `fit(data, **scenario)`;
# - **performance measures**, with Monte-Carlo standard errors: `Study.measures()`.
#
# The question here: two experts and a gate covariate; Wald intervals from the observed information and from the
# sandwich; experts far apart or near, and fewer or more units.
#
# $$ y_i \mid z_i = k \sim N(a_k + b_k x_i, 1), \qquad \operatorname{logit} P(z_i = 2) = g + h v_i,
#    \qquad a_2 - a_1 = \Delta. $$

# %%
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.results import plots
from mixstat.studies import wald

pd.set_option("display.width", 130, "display.max_columns", 20)
folder = Path(tempfile.mkdtemp())

SLOPES, GATE = (-0.5, 0.5), (0.3, 0.8)


def show(figure, name):
    """Write a figure, and hand it to the notebook."""
    (folder / f"{name}.png").write_bytes(plots.to_png(figure))
    print(f"wrote {name}.png")
    return figure


# %% [markdown]
# ## Mechanism, truth, methods
#
# Three functions. `simulate` draws with the generator that it is given and with nothing else: replicate $r$ of scenario
# $s$ has a stream of its own, so that results do not depend on the order, on the number of processes, or on what else
# is run. Its other arguments, `gap` ($\Delta$) and `n`, are those of the scenario.


# %%
def simulate(rng, gap, n):
    x, v = rng.normal(size=n), rng.normal(size=n)
    second = rng.random(n) < 1 / (1 + np.exp(-GATE[0] - GATE[1] * v))
    mean = np.where(second, gap + SLOPES[1] * x, SLOPES[0] * x)
    return pd.DataFrame({"x": x, "v": v, "y": rng.normal(mean, 1.0)})


def truth(gap, n):
    """True coefficients, named by expert, parameter and term, on the scale of the link (sigma: logarithm)."""
    return {
        "1:mean:Intercept": 0.0,
        "1:mean:x": SLOPES[0],
        "2:mean:Intercept": gap,
        "2:mean:x": SLOPES[1],
        "1:sigma:Intercept": 0.0,
        "2:sigma:Intercept": 0.0,
        "2:gate:Intercept": GATE[0],
        "2:gate:v": GATE[1],
    }


def fit(data, gap, n):
    """Two methods: one fit, two kinds of standard errors. Its own random numbers are fixed."""
    model = ms.MixtureOfExperts(ms.Regression("y ~ x"), gate="~ v", n_init=4, random_state=1, verbose=0).fit(data)
    return [wald(model), wald(model, "robust")]


# %% [markdown]
# A method may be any program: `fit` may return a data frame of parameter, estimate and std_error, or a mapping.
#
# ## Run, interrupt, resume
#
# With `directory=`, replicates are written as they are done. Below, the method breaks off in the middle, as Ctrl-C or a
# machine's restart would. The second study has the same design and continues; a study with other scenarios, seed or
# true values would be refused. (Changes *inside* the functions are not noticed: delete the directory.)

# %%
REPLICATES, SEED = 60, 2024
scenarios = {"gap": [1.5, 3.0], "n": [150, 400]}
calls = 0


def interrupted(data, gap, n):
    global calls
    calls += 1
    if calls > 25:
        raise KeyboardInterrupt
    return fit(data, gap, n)


design = {
    "simulate": simulate,
    "truth": truth,
    "replicates": REPLICATES,
    "seed": SEED,
    "scenarios": scenarios,
    "directory": folder / "study",
}
study = ms.Study(fit=interrupted, **design)
try:
    study.run(verbose=0)
except KeyboardInterrupt:
    print(f"interrupted; {len(study.runs().drop_duplicates(['scenario', 'replicate']))} replicates are kept")

study = ms.Study(fit=fit, **design)
print(f"resumed with {len(study.runs().drop_duplicates(['scenario', 'replicate']))} of {4 * REPLICATES}")
study.run(verbose=0)
print(f"now {len(study.runs().drop_duplicates(['scenario', 'replicate']))}; failures: {len(study.failures())}")

# %% [markdown]
# Is a resumed study the same as one in a piece? The same seed gives the same numbers, replicate by replicate:

# %%
piece = ms.Study(fit=fit, **{**design, "replicates": 3, "directory": None}).run(verbose=0)
keys = ["scenario", "replicate", "method", "expert", "parameter", "term"]
both = piece.results().merge(study.results(), on=keys, suffixes=("_piece", "_resumed"))
print(f"largest difference of {len(both)} estimates: {np.abs(both['estimate_piece'] - both['estimate_resumed']).max()}")

# %% [markdown]
# ## First, the fits themselves
#
# A replicate that raised is kept with its reason, a fit that did not converge with its status. `label_switch` is the
# share of fits whose experts had to change places to be compared with the truth: labels are arbitrary, and with small
# $\Delta$ the order by average prediction is not the true one in every sample. Experts are matched to the truth by the
# permutation that is nearest in units of standard errors.

# %%
measures = study.measures()
fits = measures[measures["parameter"].isna()]
print(
    fits[fits["method"] == "information"]
    .pivot_table(index=["gap", "n"], columns="measure", values="value", sort=False)
    .round(3)
)

# %% [markdown]
# ## Measures
#
# Over the replicates with estimates $\hat\theta_r$ and standard errors $s_r$: bias $\bar\theta - \theta$, empirical
# standard error (standard deviation of $\hat\theta_r$), model standard error $\sqrt{\overline{s_r^2}}$, and coverage of
# the 95% intervals; Monte-Carlo standard errors in brackets. For the effect of the gate's covariate:

# %%
table = study.table(digits=2)
shown = table[(table["parameter"] == "gate") & (table["term"] == "v")]
print(shown.drop(columns=["scenario", "expert", "parameter", "term", "truth"]).to_string(index=False))

# %% [markdown]
# The Monte-Carlo standard error of a coverage $p$ over $R$ replicates is $\sqrt{p (1 - p) / R}$. For a true coverage of
# 0.95:

# %%
for replicates in (REPLICATES, 500, 2000):
    print(f"R = {replicates}: {np.sqrt(0.95 * 0.05 / replicates):.3f}")

# %% [markdown]
# So the study on this page, which is small to run in seconds, tells gross failures and no more: read it as an example
# of the method. `studies/coverage.py` in the repository is one for conclusions.

# %%
axes = study.plot("coverage", gap=1.5, method="information")
show(axes.figure, "coverage")

# %% [markdown]
# Such a failure is here: with near experts and few units the intervals of several parameters cover too rarely; with
# more units they approach their level.

# %% [markdown]
# ## The zip plot
#
# Intervals of one parameter, ranked by $|\hat\theta_r - \theta| / s_r$. Under good coverage the intervals that miss
# begin at the dashed line; and one sees *how* they miss, here the slope of the gate with near experts and few units.

# %%
axes = study.plot("zip", gap=1.5, n=150, method="information", parameter="gate", term="v")
show(axes.figure, "zip")

# %%
worst = study.results().query("gap == 1.5 and n == 150 and method == 'information' and parameter == 'gate'")
worst = worst[worst["term"] == "v"].nlargest(3, "std_error")
covers = (worst["estimate"] - GATE[1]).abs() < 1.96 * worst["std_error"]
print(worst[["replicate", "estimate", "std_error"]].assign(covers=covers).round(2).to_string(index=False))

# %% [markdown]
# Where experts overlap and units are few, some samples have a likelihood that hardly bounds the gate: estimates far out
# come with wide intervals, so coverage can be good while bias and empirical standard error, which a few samples decide,
# are not. Compare mean and median:

# %%
gate = study.results().query("method == 'information' and parameter == 'gate' and term == 'v'")
summary = gate.groupby(["gap", "n"])["estimate"].agg(["mean", "median", "std"])
print(summary.assign(truth=GATE[1]).round(3))

# %% [markdown]
# ## Going further
#
# - More replicates: raise `replicates` and run again with the same `directory`; what is done is kept.
# - Processes: `run(n_jobs=4)`; each compiles for itself, so it pays for long studies. `n_jobs=None` takes joblib's
#   backend, and so a Dask or Ray cluster.
# - Misspecification: draw from one model and fit another. `truth` is then the value that the fit tends to as
#   $n \to \infty$ (White, 1982), which one very large sample gives; see `studies/coverage.py`.
# - Parameters without a true value: leave them out of `truth`.
#
# **References.** Morris, White and Crowther (2019), Statistics in Medicine 38, 2074-2102. White (1982), Econometrica
# 50.
#
# **Read next**: `why_starts_matter.py` (the maximum), `how_many_experts.py` (the number of experts), `ten_minutes.py`
# (the first steps).
