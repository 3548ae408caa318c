# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Coming from flexmix, MoEClust, StepMix or lcmm
#
# What their call is, what ours is, whether the numbers agree, and where they must not, because definitions differ.
#
# | here | flexmix (R) | MoEClust (R) | StepMix (Python) | lcmm (R) |
# |---|---|---|---|---|
# | expert | component | component | latent class | latent class |
# | gate | concomitant model | gating network | structural model (covariate) | `classmb` |
# | `n_experts=` | `k=` | `G=` | `n_components=` | `ng=` |
# | `unit=` | `y ~ x \| id` | | | `subject=` |
# | `shared=` | `FLXMRglmfix(fixed=)` | | | what is not in `mixture=` |
# | `n_init=` | `stepFlexmix(nrep=)` | `init.z=` | `n_init=` | `gridsearch(rep=)` |
# | `responsibilities()` | `posterior()` | `z` | `predict_proba()` | `pprob` |
# | `select()` | `stepFlexmix(k=1:5)` | `G=1:5` | grid search | `summarytable()` |
# | `reorder()` | `relabel()` | | | `permut()` |
#
# The R numbers below are not made here: they were computed with R and are stored, with scripts and data, in
# `tests/reference/` of the repository. StepMix runs on this page where it is installed.

# %%
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

import mixstat as ms

pd.set_option("display.width", 130, "display.max_columns", 20)
here = Path(__file__).resolve() if "__file__" in globals() else Path.cwd()
root = next(folder for folder in here.parents if (folder / "tests/reference").is_dir())
stored = {name: json.loads((root / "tests/reference" / f"{name}.json").read_text()) for name in ("flexmix", "mclust")}
tables = {
    name: pd.read_csv(root / f"tests/reference/data/{name}.csv") for name in ("regressions", "grouped", "clusters")
}
settings = {"n_init": 6, "random_state": 1, "verbose": 0}
print(", ".join(stored[name]["program"] for name in stored))


def side_by_side(ours, theirs):
    """Two mappings of names to numbers as one table."""
    table = pd.DataFrame({"mixstat": ours, "theirs": theirs})
    print(table.assign(difference=table["mixstat"] - table["theirs"]).round(6).to_string())


def estimates(model, parameter, expert):
    """Estimates of one parameter of one expert."""
    table = model.tidy()
    return table.loc[(table["parameter"] == parameter) & (table["expert"] == expert), "estimate"].to_numpy()


# %% [markdown]
# ## flexmix
#
# ```r
# flexmix(poisson ~ x, data = d, k = 2, model = FLXMRglm(family = "poisson"), concomitant = FLXPmultinom(~ z))
# ```

# %%
poisson = ms.MixtureOfExperts(ms.Regression("poisson ~ x", family="poisson"), gate="~ z", **settings)
poisson.fit(tables["regressions"])
peer = stored["flexmix"]["poisson"]


def as_table(log_likelihood, expert1, expert2, gate):
    """Names of a two-expert Poisson fit."""
    named = {"log-likelihood": log_likelihood}
    for name, values in {"expert 1": expert1, "expert 2": expert2, "gate": gate}.items():
        named |= {f"{name}: {term}": value for term, value in zip(("Intercept", "slope"), values, strict=True)}
    return named


side_by_side(
    as_table(poisson.log_likelihood_, *(estimates(poisson, "mean", k) for k in (1, 2)), estimates(poisson, "gate", 2)),
    as_table(*(peer[name] for name in ("log_likelihood", "expert1", "expert2", "gate"))),
)

# %% [markdown]
# Poisson and binomial experts agree to the tolerance of flexmix's gate. A Gaussian expert does **not**, and cannot: the
# M-step of flexmix divides the weighted sum of squares by $n_k - p \, n_k / n$ where maximum likelihood divides by
# $n_k$,
#
# $$ \hat\sigma_k^2 = \frac{\sum_i r_{ik} (y_i - x_i' \hat\beta_k)^2}{\sum_i r_{ik}}
#    \qquad\text{against}\qquad
#    \frac{\sum_i r_{ik} (y_i - x_i' \hat\beta_k)^2}{\tfrac{n - p}{n} \sum_i r_{ik}}, $$
#
# so its fixed point is near the maximum of the likelihood, and below it. (Its gamma experts, too: the shape is
# estimated from the deviance.)

# %%
gaussian = ms.MixtureOfExperts(ms.Regression("gaussian ~ x"), gate="~ z", scale_penalty=0.0, **settings)
gaussian.fit(tables["regressions"])
peer = stored["flexmix"]["gaussian"]
side_by_side(
    {
        "log-likelihood": gaussian.log_likelihood_,
        **{f"sigma {k}": float(np.exp(estimates(gaussian, "sigma", k)[0])) for k in (1, 2)},
        **{f"slope {k}": estimates(gaussian, "mean", k)[1] for k in (1, 2)},
    },
    {
        "log-likelihood": peer["log_likelihood"],
        **{f"sigma {k}": peer[f"expert{k}"][2] for k in (1, 2)},
        **{f"slope {k}": peer[f"expert{k}"][1] for k in (1, 2)},
    },
)

# %% [markdown]
# The log-likelihood of the maximum is the larger. That the second formula is flexmix's: one M-step from its own
# estimates leaves its sigmas where they are.

# %%
d, n, p = tables["regressions"], len(tables["regressions"]), 2
intercept, slope, sigma = np.array([peer["expert1"], peer["expert2"]]).T[:, None]
residual = d[["gaussian"]].to_numpy() - intercept - slope * d[["x"]].to_numpy()
gate = np.column_stack([np.zeros(n), peer["gate"][0] + peer["gate"][1] * d["z"]])
r = np.exp(gate + norm.logpdf(residual, scale=sigma))
r /= r.sum(axis=1, keepdims=True)
square = (r * residual**2).sum(axis=0) / r.sum(axis=0)
side_by_side(
    {f"sigma {k + 1}": value for k, value in enumerate(np.sqrt(square * n / (n - p)))},
    {f"sigma {k + 1}": value for k, value in enumerate(sigma[0])},
)

# %% [markdown]
# Several rows of one person: `poisson ~ x | person` there, `unit="person"` here. The likelihood is the same; $n$ in BIC
# is not. flexmix counts rows, we count units, since units are what the gate sorts and what is independent.

# %%
grouped = ms.MixtureOfExperts(
    ms.Regression("poisson ~ x", family="poisson", unit="person"), gate="~ z", **settings
).fit(tables["grouped"])
peer = stored["flexmix"]["grouped_poisson"]


def bic(n):
    """Of the stored fit."""
    return -2 * peer["log_likelihood"] + peer["parameters"] * np.log(n)


side_by_side(
    {"log-likelihood": grouped.log_likelihood_, "BIC": grouped.bic()},
    {"log-likelihood": peer["log_likelihood"], "BIC": bic(grouped.n_units_)},
)
print(f"BIC by flexmix's rule, n = {grouped.n_rows_} rows: {bic(grouped.n_rows_):.4f}")

# %% [markdown]
# Other differences from flexmix:
#
# - **Order.** Ours is by the average location predictor, ascending; flexmix's is that of its start. `m.reorder([2, 1])`
#   and `m.relevel(2)` change it with everything that follows from it.
# - **Small components.** flexmix drops those below `minprior=0.05` while it runs, so that `k` may come out smaller.
#   Here $K$ stays, and the status names an expert that collapsed.
# - **Starts.** `flexmix()` runs one; `MixtureOfExperts` 20.
# - **ICL.** Ours adds twice the entropy to BIC, $\text{BIC} - 2 \sum r_{ik} \log r_{ik}$; flexmix takes the likelihood
#   with each unit in its most probable class.
# - **Standard errors.** There `refit()`; here `tidy()`, from the exact information of the mixture, or
#   `covariance("robust")`.
#
# ## MoEClust and mclust
#
# ```r
# MoE_clust(d$y, G = 2, gating = ~ z, expert = ~ x, network.data = d)         # tau0 = 0.1 adds a noise component
# ```
#
# is `MixtureOfExperts(Regression("y ~ x"), gate="~ z", n_experts=2)`, with `extra=[ms.Noise()]` for the noise. For
# several responses, `cbind(a, b, c) ~ x` with `family="multivariate_gaussian"` is the model VVV (without covariates
# that of mclust), `"diagonal_gaussian"` is VVI.

# %%
clusters = ms.MixtureOfExperts(
    ms.Regression("cbind(a, b, c) ~ 1", family="multivariate_gaussian"), n_experts=3, scale_penalty=0.0, **settings
).fit(tables["clusters"])
peer = stored["mclust"]
means = np.array([[estimates(clusters, f"mean[{name}]", k)[0] for name in "abc"] for k in (1, 2, 3)])
theirs = np.reshape(peer["means"], (3, 3))
pairs = {(k + 1, int(np.argmin(np.abs(theirs - means[k]).sum(axis=1))) + 1) for k in range(3)}
print("expert here, cluster there:", sorted(pairs))
place = [there - 1 for _, there in sorted(pairs)]
sizes = clusters.gate_proba(tables["clusters"])[0]
side_by_side(
    {
        "log-likelihood": clusters.log_likelihood_,
        **{f"share {k + 1}": sizes[k] for k in range(3)},
        **{f"mean of a, {k + 1}": means[k, 0] for k in range(3)},
    },
    {
        "log-likelihood": peer["log_likelihood"],
        **{f"share {k + 1}": peer["shares"][place[k]] for k in range(3)},
        **{f"mean of a, {k + 1}": theirs[place[k], 0] for k in range(3)},
    },
)
print(
    f"BIC here (small is good) {clusters.bic():.3f}; with the sign of mclust and MoEClust (large is good) "
    f"{-clusters.bic():.3f}"
)

# %% [markdown]
# A covariance is printed as a modified Cholesky factor: `sigma[a]`, and regressions of later responses on earlier ones,
# `dependence[b,a]`. Every one of its elements may have a formula.
#
# ## StepMix
#
# A latent class model of five binary items, with an outcome and a covariate that did not help to find the classes.
#
# ```python
# StepMix(2, n_steps=3, correction="BCH", measurement="binary", structural="gaussian_unit").fit(items, outcome)
# ```
#
# Here the measurement model is fitted once; `distal()` and `membership()` are steps after it, with standard errors.

# %%
rng = np.random.default_rng(1)
size, items = 600, ["b1", "b2", "b3", "b4", "b5"]
success = np.array([[0.85, 0.8, 0.75, 0.25, 0.2], [0.2, 0.25, 0.3, 0.8, 0.75]])
z = rng.normal(size=size)
latent = (rng.random(size) < 1 / (1 + np.exp(-0.2 - 0.8 * z))).astype(int)
survey = pd.DataFrame(rng.random((size, 5)) < success[latent], columns=items).astype(float)
survey = survey.assign(z=z, outcome=rng.normal(np.array([1.0, 3.0])[latent], 1.0))

classes = ms.MixtureOfExperts(ms.Joint([ms.Regression(f"{b} ~ 1", family="binomial") for b in items]), **settings)
classes.fit(survey)
if estimates(classes, "mean[b1]", 1)[0] < estimates(classes, "mean[b1]", 2)[0]:
    classes = classes.reorder([2, 1])
outcome = classes.distal(survey, "outcome", method="BCH")
membership = classes.membership(survey, "~ z", method="three_step", correction="BCH")
two_stage = classes.membership(survey, "~ z")
print(outcome)
print(membership)

# %% [markdown]
# To compare definitions, both have to be at the maximum: hence StepMix's tight tolerance below. Its classes are in no
# order; they are turned to match.

# %%
if find_spec("stepmix") is None:
    print("StepMix is not installed, so its columns are missing here (pip install stepmix).")
else:
    from stepmix.stepmix import StepMix

    tight = {"max_iter": 5000, "abs_tol": 1e-12, "rel_tol": 0.0, "verbose": 0, "progress_bar": 0, "random_state": 1}

    def stepmix(structural, column, **options):
        """Structural parameters, class of many b1 first, and the log-likelihood of the measurement model."""
        found = StepMix(2, n_init=3, measurement="binary", structural=structural, **tight, **options)
        found.fit(survey[items], survey[[column]])
        parameters = found.get_parameters()
        first = parameters["measurement"]["pis"][:, 0]
        return parameters["structural"], slice(None, None, 1 if first[0] > first[1] else -1)

    newton = {"structural_params": {"method": "newton-raphson", "max_iter": 50, "intercept": True, "tol": 1e-10}}
    means, order = stepmix("gaussian_unit", "outcome", n_steps=3, correction="BCH")
    bch, turn = stepmix("covariate", "z", n_steps=3, correction="BCH", **newton)
    two, turn_two = stepmix("covariate", "z", n_steps=2, **newton)
    slopes = {"BCH": np.diff(bch["beta"][turn], axis=0)[0], "two steps": np.diff(two["beta"][turn_two], axis=0)[0]}
    side_by_side(
        {
            **{f"outcome, class {k + 1}, BCH": outcome.estimates[k, 0] for k in range(2)},
            **{f"membership: {t}, BCH": membership.coefficients[0, c] for c, t in enumerate(("Intercept", "z"))},
            **{f"membership: {t}, two": two_stage.coefficients[0, c] for c, t in enumerate(("Intercept", "z"))},
        },
        {
            **{f"outcome, class {k + 1}, BCH": means["means"][order][k, 0] for k in range(2)},
            **{f"membership: {t}, BCH": slopes["BCH"][c] for c, t in enumerate(("Intercept", "z"))},
            **{f"membership: {t}, two": slopes["two steps"][c] for c, t in enumerate(("Intercept", "z"))},
        },
    )

# %% [markdown]
# | StepMix | here |
# |---|---|
# | `n_steps=1`, covariate | `MixtureOfExperts(..., gate="~ z")` |
# | `n_steps=2`, covariate | `membership(table, "~ z")`, method `"two_stage"` |
# | `n_steps=3`, `correction="ML"` or `"BCH"` | `membership(..., method="three_step", correction="ML")` or `"BCH"` |
# | `assignment="modal"` or `"soft"` | `assignment="modal"` or `"proportional"` |
# | `structural="gaussian_unit"`, BCH | `distal(table, "outcome", method="BCH")` |
# | `structural="gaussian_diag"`, ML | `distal(..., method="ML")` |
# | `structural="binary"` | `distal()` of a column of zeros and ones, or of a category |
# | `measurement="gaussian_nan"` and others | missing items are always kept, and informative through the others |
#
# Coefficients of membership are against class 1 here; StepMix gives one vector a class, and only their differences are
# identified. It has standard errors by bootstrap; ours are the sandwich, or corrected for the first step. It has no
# experts with covariates.
#
# ## lcmm
#
# ```r
# hlme(y ~ time, mixture = ~ time, random = ~ -1, subject = "id", classmb = ~ z, ng = 2, data = d, B = m1)
# ```
#
# is a latent class trajectory model without random effects: units with several rows, and one residual variance.
# (Random effects, `random = ~ 1`, are not in this version: rows of a unit are independent given its class.)

# %%
simulated = ms.datasets.make_moe(
    150,
    coefficients=((0.0, 0.3), (1.5, 0.8)),
    gate=((0.2, 0.7),),
    parameters={"sigma": 0.7},
    occasions=4,
    random_state=3,
)
panel = simulated.data.rename(columns={"unit": "id", "x1": "time", "z1": "z"})
trajectory = ms.MixtureOfExperts(ms.Regression("y ~ time", shared="sigma"), gate="~ z", unit="id", **settings)
trajectory.fit(panel)
print(trajectory.tidy().round(4).to_string(index=False))

# %% [markdown]
# | lcmm | here |
# |---|---|
# | `mixture = ~ time`: terms that differ between classes | all differ; `shared="time"` makes one common |
# | one residual variance | `shared="sigma"` (default: one a class) |
# | `classmb = ~ z`, last class is the reference | `gate="~ z"`, first class is the reference |
# | BIC with the number of subjects | the same: $n$ counts units |
# | `prior=`: known classes | `prior_classes=` |
# | entropy of `summarytable()` | the same, `entropy()` |
#
# `relevel(2)` makes the last class the reference, which always stands first; the likelihood does not notice:

# %%
last = trajectory.relevel(2)
print(
    trajectory.tidy().query("parameter == 'gate'")[["expert", "term", "estimate", "std_error"]].to_string(index=False)
)
print(last.tidy().query("parameter == 'gate'")[["expert", "term", "estimate", "std_error"]].to_string(index=False))
responsibility = trajectory.responsibilities(panel)
entropy = 1 + np.sum(responsibility * np.log(responsibility)) / (len(responsibility) * np.log(2))
print(f"log-likelihood {trajectory.log_likelihood_:.4f} and {last.log_likelihood_:.4f}")
print(f"entropy() {trajectory.entropy():.6f}; by its formula {entropy:.6f}")
print(f"BIC over {trajectory.n_units_} units, not {trajectory.n_rows_} rows: {trajectory.bic():.3f}")

# %% [markdown]
# ## What has no counterpart here yet
#
# Random effects and link functions of ordinal markers (lcmm), parsimonious covariance families such as EEV (MoEClust),
# and user-written M-step drivers (flexmix; here a new family is one log-density, see `docs/adding-a-family.md`).
#
# **References.** Gruen and Leisch (2008), Journal of Statistical Software 28(4). Murphy and Murphy (2020), Advances in
# Data Analysis and Classification 14. Proust-Lima, Philipps and Liquet (2017), Journal of Statistical Software 78(2).
# Morin and others (2025), StepMix, Journal of Statistical Software. Vermunt (2010), Political Analysis 18.
#
# **Read next**: `why_starts_matter.py` (why we start so often), `how_many_experts.py` (criteria), `ten_minutes.py` (the
# first steps).
