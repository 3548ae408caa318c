# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # What can a mixture policy do that a Gaussian cannot?
#
# A policy says how to act: it is the law of an action $a$ given an observation $s$. A mixture policy is a mixture of
# experts that acts,
#
# $$ \pi(a \mid s) = \sum_k w_k(s)\, \pi_k(a \mid s), $$
#
# where $w$ is a softmax gate and $\pi_k$ the law of $\tanh(u)$, $u$ normal, so that actions stay in $[-1, 1]$ (Ren et
# al., 2021). It is the model of the other vignettes with $x = s$ and $y = \operatorname{atanh} a$: the same densities,
# the same responsibilities. This page looks at two problems whose answer is known: to imitate a behaviour that has two
# ways to go, and to act at random where four actions are equally good.

# %%
import tempfile
import warnings
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.results import plots

pd.set_option("display.width", 120, "display.max_columns", 20)
folder = Path(tempfile.mkdtemp())
key = jax.random.key(0)


def show(figure, name):
    """Write a figure, and hand it to the notebook."""
    (folder / f"{name}.png").write_bytes(plots.to_png(figure))
    print(f"wrote {name}.png")
    return figure


# %% [markdown]
# ## Two ways past an obstacle
#
# Someone steers past an obstacle, by the left ($a < 0$) or by the right, the more often by the right the larger $x$ is;
# $|a| < 0.3$ hits it. We have 3000 demonstrations, and keep 1000 others to judge.

# %%
obstacle = ms.policies.Obstacle()
seen = obstacle.demonstrations(3000, random_state=0)
new = obstacle.demonstrations(1000, random_state=1)


def clone(n_experts, method="em"):
    """A policy that is linear in x, fitted to the demonstrations."""
    policy = ms.policies.GaussianMixturePolicy(1, 1, n_experts=n_experts, hidden=(), squash=False)
    fit = ms.policies.BehaviourCloning(policy, method=method, random_state=0, verbose=0)
    return fit.fit(seen.observations, seen.actions)


clones = {
    "one Gaussian": clone(1),
    "two experts, EM": clone(2),
    "two experts, Adam": clone(2, method="adam"),
}

# %% [markdown]
# `score` is the mean log-density of an action, `log_density` of the demonstrations the truth's own. A policy can act in
# three ways: by a draw, by its mode (the expert mean of highest density), and by its mean.

# %%
observations = np.repeat(new.observations, 20, axis=0)


def crash_rates(fit):
    """Share of crashes of each way to act; the mean comes with a warning, which is the point."""
    policy, params = fit.policy, fit.params_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mean = policy.mean(params, observations)
    return {
        "draws": obstacle.crashes(policy.sample(params, key, observations)),
        "mode": obstacle.crashes(policy.mode(params, observations)),
        "mean": obstacle.crashes(mean),
    }


rows = [
    {"policy": name, "score": fit.score(new.observations, new.actions)} | crash_rates(fit)
    for name, fit in clones.items()
]
print(pd.DataFrame(rows).round(4).to_string(index=False))
print(f"the truth's score: {new.log_density.mean():.4f}")

# %%
figure = plots.new_figure(9.0, 3.6, 3)
drawn = {"Demonstrations": new.actions}
for title, name in (("One Gaussian", "one Gaussian"), ("Two experts", "two experts, EM")):
    drawn[title] = clones[name].policy.sample(clones[name].params_, key, new.observations)
for ax, (name, actions) in zip(figure.axes, drawn.items(), strict=True):
    ax.axhspan(-0.3, 0.3, color=plots.GREY, alpha=0.5, linewidth=0)
    ax.scatter(new.observations[:, 0], np.asarray(actions)[:, 0], s=5, color=plots.colour(1), edgecolor="none")
    ax.set(title=name, xlabel="x", ylim=(-1.5, 1.5))
figure.axes[0].set_ylabel("Action")
show(figure, "obstacle")

# %% [markdown]
# One Gaussian has its mean where nobody goes. That is no matter of how it is fitted: it is the maximum likelihood fit.
# Two experts reach the truth's score, by EM and by gradient alike, and keep clear of the obstacle unless one plays
# their *mean*, which lies between the ways. Never play the mean of a mixture.
#
# This linear policy is the mixture of experts of the rest of the package, up to the last digit that one prints:

# %%
table = pd.DataFrame({"a": seen.actions[:, 0], "x": seen.observations[:, 0]})
expert = ms.Regression("a ~ x", sigma="~ x")
model = ms.MixtureOfExperts(expert, gate="~ x", n_experts=2, random_state=0, verbose=0).fit(table)
print(f"MixtureOfExperts: {model.log_likelihood_ / len(table):.5f} a row; {model.status_}")
print(f"BehaviourCloning: {clones['two experts, EM'].log_likelihood_:.5f} a row")
print(model.tidy()[["expert", "parameter", "term", "estimate", "std_error"]].round(3).to_string(index=False))

# %% [markdown]
# The truth has slopes $\pm 0.2$, a gate of slope 3 and $\sigma = 0.05$. Only the mixture of experts has standard
# errors; a policy may have a network between $x$ and its experts (`hidden=(64, 64)`) instead.
#
# ## Does it use its experts?
#
# Two experts with equal parameters would make the gate look busy and change nothing. The entropy of the gate tells how
# often it chooses; the entropy of the *responsibilities* how hard it is to tell afterwards which expert has acted.

# %%
four = ms.policies.GaussianMixturePolicy(1, 1, n_experts=4, hidden=(), squash=False)
crowded = ms.policies.BehaviourCloning(four, max_iter=1000, random_state=0, verbose=0).fit(
    seen.observations, seen.actions
)
report = ms.policies.analyse(clones["two experts, EM"].policy, clones["two experts, EM"].params_, new.observations)
too_many = ms.policies.analyse(four, crowded.params_, new.observations)
print(report)
print()
print(too_many)
print()
print(too_many.table().round(3).to_string(index=False))

# %%
figure = plots.new_figure(9.5, 3.8, 2)
report.plot_entropies(ax=figure.axes[0]).set_title("Two experts")
too_many.plot_entropies(ax=figure.axes[1]).set_title("Four experts")
show(figure, "entropies")

# %% [markdown]
# With two experts the gate decides and the action shows how: responsibilities have no entropy. Four experts share two
# ways, and overlap.
#
# ## Four actions equally good
#
# Now nobody shows what to do. One state, a reward with four bumps $r(a)$ on $[-1, 1]^2$, and a premium for acting at
# random: maximise
#
# $$ J(\pi) = \mathrm{E}\, r(a) + \alpha\, \mathrm{H}(\pi). $$
#
# The best policy is $\pi^*(a) \propto \exp(r(a) / \alpha)$, and what a policy lacks is a divergence:
# $\mathrm{KL}(\pi \,\|\, \pi^*) = (J(\pi^*) - J(\pi)) / \alpha$, here by quadrature. This is one step of soft
# actor-critic with a critic that is known exactly. A Gaussian on one of $M$ separate bumps misses at least $\log M$;
# here $\log 4 = 1.39$.

# %%
problem = ms.policies.OneState(spread=0.2, alpha=0.1)


def reach(estimator, n_experts, seed, **options):
    """The head that 2000 steps of Adam reach."""
    of_start, of_steps = jax.random.split(jax.random.key(seed))
    start = problem.start(of_start, n_experts)
    return problem.improve(start, of_steps, estimator=estimator, steps=2000, **options).head


runs = [
    ("unimodal", 1, {}),
    ("marginal", 4, {}),
    ("marginal", 8, {}),
    ("score", 4, {}),
    ("likelihood_ratio", 4, {}),
    ("gumbel", 4, {}),
    ("frequency", 4, {"primitives": "best"}),
    ("frequency", 4, {"primitives": "all"}),
]
heads, rows = {}, []
for estimator, n_experts, options in runs:
    found = [reach(estimator, n_experts, seed, **options) for seed in range(3)]
    divergence = [problem.divergence(head) for head in found]
    heads[estimator, n_experts] = found[int(np.argmin(divergence))]
    name = " ".join([estimator, *options.values()])
    rows.append({"estimator": name, "experts": n_experts, "best KL": min(divergence), "worst KL": max(divergence)})
print(pd.DataFrame(rows).round(3).to_string(index=False))

# %% [markdown]
# All but the last two estimate the gradient of $J$, by one draw of every expert (`marginal`), by one draw of one expert
# (`score`), by the density of one draw (`likelihood_ratio`), or by a relaxed choice (`gumbel`, which is biased). The
# *frequency* loss is the published one: its gate learns how often each expert's draw wins, and experts are rewarded for
# their own entropy $\mathrm{H}(a \mid k)$, not for that of the mixture. That is another objective, and its policy stays
# wide here. This says nothing of tasks in which exploring wide pays.
#
# Four experts sometimes leave a bump out, eight do not. Started from the middle the Gaussian stays there; on a bump it
# comes near its bound:

# %%
on_a_bump = ms.policies.MixtureHead(np.zeros(1, "f"), np.arctanh([[0.6, 0.0]]).astype("f"), np.full((1, 2), -1.0, "f"))
gaussian = problem.improve(on_a_bump, key, estimator="unimodal").head
print(f"the best Gaussian: KL {problem.divergence(gaussian):.3f}; log 4 = {np.log(4):.3f}")

# %%
figure = plots.new_figure(10.0, 3.5, 3)
shown = {
    "Gaussian, from a bump": gaussian,
    "Eight experts, marginal": heads["marginal", 8],
    "Four experts, frequency": heads["frequency", 4],
}
for ax, (name, head) in zip(figure.axes, shown.items(), strict=True):
    ms.policies.plot_density(head, ax=ax)
    ax.set_title(name)
show(figure, "bumps")

# %% [markdown]
# Markers are experts' means, larger for larger weights.
#
# ## The gate of the frequency loss
#
# Its loss is a Brier score, so that at its minimum the weight of an expert is the probability that its draw wins. With
# experts held where they are, one can count:

# %%
start = problem.start(jax.random.key(4), 3)
draws = jax.vmap(start.rsample_components)(jax.random.split(key, 100_000))
wins = np.bincount(np.argmax(problem.reward(draws.action), axis=-1), minlength=3) / 100_000
gate = problem.improve(start, key, estimator="frequency", steps=3000, batch=256, frozen_experts=True).head.weights
print(pd.DataFrame({"expert": [1, 2, 3], "wins": wins, "weight": np.asarray(gate)}).round(3).to_string(index=False))

# %% [markdown]
# ## In short
#
# 1. Where a behaviour has several ways, a Gaussian plays between them. A mixture has an expert a way.
# 2. Act by draws, or by `mode`; the mean of a mixture is no action.
# 3. The `marginal` estimator is unbiased for gate and experts, at the price of one value of the critic an expert. Give
#    it more experts than you expect ways.
# 4. Look at both entropies before you say that a policy uses its experts.
#
# **References.** Ren, Li, Ding, Pan and Dong (2021), arXiv 2104.09122. Haarnoja, Zhou, Abbeel and Levine (2018), ICML.
# Jacobs, Jordan, Nowlan and Hinton (1991), Neural Computation 3. Bishop (1994), Aston University NCRG/94/004.
#
# **Read next**: `why_starts_matter.py` (local optima of mixtures), `ten_minutes.py` (the rest of the package).
