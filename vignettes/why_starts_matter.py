# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Why starts matter
#
# The log-likelihood of a mixture,
#
# $$ \ell(\theta) = \sum_i \log \sum_k \pi_k(v_i; \gamma)\, f_k(y_i \mid x_i; \theta_k), $$
#
# has several local maxima, and for families with a free scale it has no maximum at all: as $\sigma_k \to 0$ on a point
# that expert $k$ fits exactly, $\ell \to \infty$. What is wanted is the best of the *sound* local maxima (McLachlan and
# Peel, 2000, section 3.10). A program that reports one number after one start hides this; this page shows it.

# %%
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.results import plots

pd.set_option("display.width", 120, "display.max_columns", 20, "display.max_colwidth", 100)
folder = Path(tempfile.mkdtemp())


def show(figure, name):
    """Write a figure, and hand it to the notebook."""
    (folder / f"{name}.png").write_bytes(plots.to_png(figure))
    print(f"wrote {name}.png")
    return figure


# %% [markdown]
# ## Five lines
#
# Five regression lines with little noise, equally frequent. Once found, they are hard to miss.

# %%
lines = ((-4.9, 0.6), (-1.0, -0.7), (-0.8, 1.5), (0.4, 2.3), (3.6, -1.1))
simulated = ms.datasets.make_moe(
    300, coefficients=lines, gate=np.zeros((4, 1)), parameters={"sigma": 0.5}, random_state=2
)
expert = ms.Regression(simulated.formula)


def fit(n_init, random_state, n_experts=5):
    """A fit that keeps the warning that few starts agree: the tables below say it in numbers."""
    model = ms.MixtureOfExperts(expert, n_experts=n_experts, n_init=n_init, random_state=random_state, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ms.LocalOptimumWarning)
        return model.fit(simulated.data)


few, many = fit(2, 0), fit(20, 0)
for name, model in {"2 starts": few, "20 starts": many}.items():
    print(f"{name}: log-likelihood {model.log_likelihood_:.2f}; {model.status_}")

# %% [markdown]
# With two starts both agree, the gradient is zero, the information positive definite, standard errors are printed, and
# nothing is wrong but the answer. A certificate of a maximum is a *local* statement. What does the poor optimum look
# like?

# %%
means = {"2 starts": few, "20 starts": many}
table = pd.DataFrame(
    {name: m.tidy().query("parameter == 'mean'").set_index(["expert", "term"])["estimate"] for name, m in means.items()}
)
truth = simulated.truth.query("parameter == 'mean'").set_index(["expert", "term"])["value"]
print(table.assign(truth=truth).round(2))

# %%
axes = few.plot_fit()
axes.set_title("2 starts", loc="left")
show(axes.figure, "few")

# %%
axes = many.plot_fit()
axes.set_title("20 starts", loc="left")
show(axes.figure, "many")

# %% [markdown]
# Two experts share one line, and one expert stands between two others: no small step mends both at once.
#
# Each start is a partition of the units: by k-means, at random, or around random subsets, in turn. All have a short EM;
# the best half are followed by EM and Newton to a maximum; starts that arrive at one maximum are its *hits*.
#
# ## The table of starts

# %%
followed = many.starts_[many.starts_["hits"] > 0]
print(followed[["start", "kind", "log_likelihood", "hits", "iterations"]].round(2).to_string(index=False))

# %%
axes = many.plot_starts()
show(axes.figure, "starts")

# %% [markdown]
# The optimum that two starts had agreed on is among them. Open markers are starts after the short EM alone.
#
# How many starts are enough? Ask the data: repeat the search with other random numbers and see if the answer moves.

# %%
rows = []
for n_init in (2, 4, 10, 20):
    found = np.array([fit(n_init, seed).log_likelihood_ for seed in range(6)])
    rows.append(
        {
            "n_init": n_init,
            "best": found.max(),
            "worst": found.min(),
            "searches at the best": f"{np.sum(found > many.log_likelihood_ - 0.01)} of {len(found)}",
        }
    )
print(pd.DataFrame(rows).round(2).to_string(index=False))

# %% [markdown]
# Let a start reach the best optimum with probability $h$. Then $m$ starts miss it with probability $(1 - h)^m$, and
# $m = \log 0.01 / \log (1 - h)$ starts miss it in one search of a hundred. `hits` over all starts is a cautious
# estimate of $h$: those that were not followed count as misses. It says nothing of an optimum that no start has found.

# %%
best = followed.loc[followed["log_likelihood"].idxmax()]
share = best["hits"] / len(many.starts_)
print(f"{best['hits']} of {len(many.starts_)} starts: h = {share:.2f}, m = {np.log(0.01) / np.log(1 - share):.0f}")

# %% [markdown]
# A fit with more than four starts whose optimum one start alone has reached gives a `LocalOptimumWarning`.
#
# ## Spikes
#
# Two lines, 120 points with one decimal. The search below starts from a partition in which the second class is the
# two units nearest to some line: `start=` takes such labels. First without scale penalty.

# %%
rng = np.random.default_rng(0)
x = rng.uniform(0, 10, 120)
y = np.round(rng.normal(np.where(rng.random(120) < 0.5, 1 + 0.5 * x, 6 - 0.3 * x), 1), 1)
data = pd.DataFrame({"x": x, "y": y})
labels = np.ones(len(data), dtype=int)
labels[np.argsort(np.abs(y - (1 + 0.5 * x)))[:2]] = 2


def from_spike(scale_penalty):
    """The fit from that partition, and what it warned of."""
    model = ms.MixtureOfExperts(
        ms.Regression("y ~ x"), start=labels, n_init=1, scale_penalty=scale_penalty, random_state=1, verbose=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(data)
    return model, "; ".join(str(warning.message) for warning in caught)


sound = ms.MixtureOfExperts(ms.Regression("y ~ x"), n_init=20, random_state=1, verbose=0).fit(data)
print(f"20 starts: log-likelihood {sound.log_likelihood_:.2f}; {sound.status_}")
print(f"sizes of the classes: {np.round(sound.responsibilities(data).mean(axis=0), 3)}")
for scale_penalty in (0.0, 0.01, 1.0):
    model, warning = from_spike(scale_penalty)
    print(f"\nfrom the two units, scale_penalty={scale_penalty}: log-likelihood {model.log_likelihood_:.2f}")
    print(f"sizes of the classes: {np.round(model.responsibilities(data).mean(axis=0), 3)}")
    print(f"warning: {warning or 'none'}")

# %% [markdown]
# Two points lie on a line, so the first search climbs towards infinity: the highest likelihood on this page belongs to
# the worst fit. A comparison by likelihood alone would choose it.
#
# The *scale penalty* $c$ shows every expert the whole sample with a total weight of $c / W$ units ($W$ the total
# weight), that is it maximises
#
# $$ \ell(\theta) + \frac{c}{W^2} \sum_i w_i \sum_k \log f_k(y_i \mid x_i; \theta_k), $$
#
# which falls to $-\infty$ as $\sigma_k \to 0$. It is bounded, does not depend on the units of $y$, and vanishes with
# $n$: with the default the estimates at a sound maximum do not move in the digits that one prints. The reported
# likelihood and standard errors are without it. The spike remains a local maximum, of finite height, and is told by
# its concentration: the status says so, and a fit warns. A strong penalty removes it.

# %%
for scale_penalty in (0.0, 0.01, 1.0):
    model = ms.MixtureOfExperts(
        ms.Regression("y ~ x"), start=sound, n_init=1, scale_penalty=scale_penalty, verbose=0
    ).fit(data)
    print(f"scale_penalty={scale_penalty}: {model.tidy()['estimate'].round(5).tolist()}")

# %% [markdown]
# ## Fake optima
#
# Too many experts for the data bring them in numbers. Eight experts on the five lines:

# %%
eight = fit(40, 0, n_experts=8)
followed = eight.starts_[eight.starts_["hits"] > 0]
kinds = followed["status"].str.extract(r"(converged: a maximum|collapsed|spike|separates|singular)")[0].fillna("other")
print(followed.groupby(kinds)["log_likelihood"].agg(["count", "max"]).round(2))
print(f"reported: {eight.log_likelihood_:.2f}; {eight.status_}")

# %% [markdown]
# A *collapsed* expert holds fewer units than it has parameters; a *spike* is many times more concentrated than its
# neighbours on less than a tenth of the units. Neither is reported while a sound optimum is at hand, even where its
# likelihood is higher. If only such optima are found, the fit says so: fewer experts, shared parameters
# (`shared="sigma"`), or a stronger penalty are the remedies.

# %%
shared = ms.MixtureOfExperts(
    ms.Regression(simulated.formula, shared="sigma"), n_experts=5, n_init=20, random_state=0, verbose=0
).fit(simulated.data)
print(f"one sigma for all: log-likelihood {shared.log_likelihood_:.2f}; {shared.status_}")
print(f"BIC {many.bic():.1f} -> {shared.bic():.1f}")

# %% [markdown]
# With one $\sigma$ for all experts the likelihood is bounded, since $\sigma \to 0$ would need every unit to be fitted
# exactly. Here the truth has one $\sigma$, too.
#
# ## In short
#
# 1. Read `starts_`, or the last words of `status_`, before the estimates.
# 2. Raise `n_init` until the best optimum has several hits, and repeat with another `random_state`.
# 3. Never choose between optima by likelihood alone: look at the sizes of the classes and the scales.
# 4. Report `n_init`, `random_state`, the hits and the scale penalty.
#
# **References.** Kiefer and Wolfowitz (1956), Annals of Mathematical Statistics 27. Biernacki, Celeux and Govaert
# (2003), Computational Statistics and Data Analysis 41. Chen, Tan and Zhang (2008), Statistica Sinica 18. McLachlan and
# Peel (2000), Finite Mixture Models.
#
# **Read next**: `how_many_experts.py` (comparing maxima of several $K$), `simulation_study.py` (how good the maximum
# is), `ten_minutes.py` (the first steps).
