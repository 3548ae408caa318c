# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Does a mixture policy explore, and can its experts be told apart?
#
# A point moves in the plane; four goals, at the same distance from the start, are equally good. A deterministic
# policy is optimal in such a problem, so a single Gaussian earns as much as a mixture: what it lacks is *coverage*.
# It commits to one goal, or to a way between two. If the goal that counts is hidden, a policy that knows one goal
# finds it with probability 1/4 however often it tries, one that spreads evenly over four with $1 - (3/4)^R$ in $R$
# tries, .944 for ten.
#
# Policies are trained by soft actor-critic, whose environment, replay, critics and actor are one compiled loop. It
# needs `pip install 'mixstat[policies]'`.

# %%
import json
import tempfile
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import mixstat as ms
from mixstat.results import learning, plots

pd.set_option("display.width", 130, "display.max_columns", 20)
here = Path(__file__).resolve() if "__file__" in globals() else Path.cwd()
results = next(
    folder for folder in (above / "benchmarks/results" for above in (here, *here.parents)) if folder.is_dir()
)
folder = Path(tempfile.mkdtemp())
env = ms.policies.MultiGoal()


def show(figure, name):
    """Write a figure, and hand it to the notebook."""
    (folder / f"{name}.png").write_bytes(plots.to_png(figure))
    print(f"wrote {name}.png")
    return figure


# %% [markdown]
# ## Where they go
#
# One Gaussian and a mixture of four, the same algorithm and budget. Both come near the best return, 8.8: four unit
# steps.


# %%
def train(n_experts):
    """Soft actor-critic: 16 environments side by side, an update for each of their steps."""
    policy = ms.policies.GaussianMixturePolicy(2, 2, n_experts=n_experts, log_sd_bounds=(-5.0, 1.0))
    return ms.policies.SAC(policy, gamma=0.97).train(env, steps=40_000, seed=2, verbose=0)


def paths(trained, n=60):
    """Positions of n episodes, (n, time, 2); those of an episode that has ended stay."""
    keys = jax.random.split(jax.random.key(0), n)
    state, seen = jax.vmap(env.reset)(keys)
    found, over = [state], np.zeros(n, bool)
    for t in range(8):
        step = jax.vmap(env.step)(keys, state, trained.act(jax.random.key(t), seen))
        state = np.where(over[:, None], state, step.state)
        seen, over = state / env.distance, over | np.asarray(step.done)
        found.append(state)
    return np.stack(found, axis=1)


trained = {"One Gaussian": train(1), "Four experts": train(4)}
figure = plots.new_figure(8.0, 3.9, 2)
for ax, (name, one) in zip(figure.axes, trained.items(), strict=True):
    ax.plot(*paths(one).T, color=plots.colour(1), linewidth=0.7, alpha=0.5)
    ax.plot(*env.goals().T, "o", color=plots.colour(2), markersize=9)
    ax.set(title=f"{name}: return {one.evaluate().total.mean():.2f}", aspect="equal", xlim=(-6, 6), ylim=(-6, 6))
    ax.spines[["top", "right"]].set_visible(False)
show(figure, "paths")

# %% [markdown]
# Learning curves are data frames, and plots of them take `ax`.

# %%
curves = pd.concat([one.curve().assign(policy=name) for name, one in trained.items()])
print(curves[["policy", "steps", "return", "log_prob", "gate_entropy", "temperature"]].iloc[[9, 29, 49, 59, 79, 99]])
show(learning.plot(curves, by="policy").figure, "learning")

# %% [markdown]
# ## Estimators, ten seeds
#
# The choice of an expert is discrete, and estimators of its gradient differ: "marginal" sums over the experts,
# "score" draws one, "gumbel" relaxes the draw, and the likelihood ratio takes no gradient through the critic. (The
# published objective of Ren et al., 2021, is `estimator="frequency"`.) The table comes from files that a script made.

# %%
about = json.loads((results / "policies_multigoal.json").read_text())
study = pd.read_csv(results / "policies_multigoal.csv")
print(f"{about['script']}, seeds {about['seeds'][0]} to {about['seeds'][-1]}, {about['steps']} steps, {about['date']},")
print(about["device"])
groups = study.groupby("method", sort=False)
table = groups[["return", "return_committed", "goals", "retry10", "gate_entropy", "responsibility_entropy"]].mean()
table.insert(3, "fewest_goals", groups["goals"].min())
print(table.round(3))

# %% [markdown]
# `return_committed` is that of the mode of highest density instead of a draw; `goals` are those that more than a
# twentieth of the episodes reach. Returns are alike, coverage is not. Nobody reaches four goals reliably: the
# objective rewards a spread of *actions*, and a mixture that knows two ways has most of it.
#
# The two entropies (in nats, at the starts) say whether experts are distinguishable. A gate of high entropy chooses
# between several experts; only if the responsibilities of the drawn actions have a low entropy are these experts
# different. Where both are equal the experts are copies of one another.

# %%
figure = plots.new_figure(5.5, 4.0)
ax = figure.axes[0]
for number, (name, part) in enumerate(groups, start=1):
    style = {"color": plots.colour(number), "marker": plots.MARKERS[number % len(plots.MARKERS)], "linestyle": "none"}
    ax.plot(part["gate_entropy"], part["responsibility_entropy"], label=name, markersize=5, alpha=0.8, **style)
top = 1.05 * study["gate_entropy"].max()
ax.plot([0, top], [0, top], color="0.6", linewidth=0.9)
ax.annotate("copies", (0.9 * top, 0.92 * top), ha="right", fontsize="small", color="0.4")
ax.set(xlabel="Entropy of the gate", ylabel="Entropy of responsibilities")
ax.spines[["top", "right"]].set_visible(False)
plots.legend(ax)
show(figure, "entropies")

# %% [markdown]
# ## MuJoCo
#
# Environments of gymnasium are run by their names, `PPO(policy).train("Hopper-v5", steps=...)`. For proximal policy
# optimisation the density ratio of the whole mixture is differentiable, and no estimator of the gate is needed. The
# curves come from files, too; the budgets are small, and two seeds say nothing about which policy is the better one.

# %%
about = json.loads((results / "policies_mujoco.json").read_text())
study = pd.read_csv(results / "policies_mujoco.csv")
print(f"{about['script']}, seeds {about['seeds']}, {about['date']}, {about['device']}")
tasks = list(study["task"].unique())
figure = plots.new_figure(4.2 * len(tasks), 3.4, len(tasks))
for ax, task in zip(figure.axes, tasks, strict=True):
    learning.plot(study[study["task"] == task], by="policy", ax=ax)
    ax.set_title(task)
show(figure, "mujoco")

# %%
ends = study.groupby(["task", "policy", "seed"], sort=False)[["stochastic", "committed", "cpu_seconds"]].last()
print(ends.round(1))

# %% [markdown]
# ## References
#
# Haarnoja, T., Tang, H., Abbeel, P. and Levine, S. (2017). Reinforcement learning with deep energy-based policies.
# ICML.
#
# Haarnoja, T. et al. (2018). Soft actor-critic algorithms and applications. arXiv 1812.05905.
#
# Ren, J., Li, Y., Ding, Z., Pan, W. and Dong, H. (2021). Probabilistic mixture-of-experts for efficient deep
# reinforcement learning. arXiv 2104.09122.
#
# Schulman, J. et al. (2017). Proximal policy optimization algorithms. arXiv 1707.06347.
