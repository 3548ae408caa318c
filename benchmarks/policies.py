"""(m) Mixture policies on the point mass with four goals: every estimator by the same soft actor-critic, ten seeds.

    python benchmarks/policies.py                  # everything; half an hour on one core
    python benchmarks/policies.py --only marginal  # some rows

Writes results/policies_multigoal.csv, a row an estimator and seed, and its description as JSON. The budget is 64,000
steps: 4,000 iterations of one step of 16 environments and one update. Evaluation: 512 episodes a seed.
"""

import argparse
import datetime
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from timing import find_package

find_package()

from mixstat.policies import GaussianMixturePolicy  # noqa: E402
from mixstat.policies.environments import MultiGoal, goals_covered, retry_success  # noqa: E402
from mixstat.policies.sac import SAC  # noqa: E402

RESULTS = Path(__file__).parent / "results"
STEPS, EPISODES = 64_000, 512
METHODS: dict[str, dict[str, Any]] = {
    "one Gaussian": {"n_experts": 1},
    "marginal": {},
    "marginal, 8 experts": {"n_experts": 8},
    "score": {"estimator": "score"},
    "gumbel": {"estimator": "gumbel"},
    "likelihood ratio": {"estimator": "likelihood_ratio"},
    "frequency, best": {"estimator": "frequency"},
    "frequency, all": {"estimator": "frequency", "primitives": "all"},
    "gating (averaged means)": {"estimator": "gating", "combine": "means"},
}


def method(n_experts: int = 4, combine: str = "mixture", **options: Any) -> SAC:
    """The configuration of the study, equal for all but the policy's form and the actor's estimator."""
    policy = GaussianMixturePolicy(2, 2, n_experts=n_experts, combine=combine, log_sd_bounds=(-5.0, 1.0))
    return SAC(policy, gamma=0.97, **options)


def entropies(head: Any, key: jax.Array) -> tuple[float, float]:
    """Mean entropy (nats) of the gate, and of the responsibilities of drawn actions."""
    share = np.asarray(head.responsibilities(pre_squash=head.draw(key).pre_squash))
    gate = np.asarray(head.weights)
    return tuple(float(np.mean(-np.sum(p * np.log(np.maximum(p, 1e-30)), axis=-1))) for p in (gate, share))  # type: ignore


def rows(name: str, seeds: range) -> pd.DataFrame:
    """Train all seeds of one method and look at what they do; entropies are at 512 starts, where they choose."""
    spec, env = method(**METHODS[name]), MultiGoal()
    begin, cpu = time.perf_counter(), time.process_time()
    trained = spec.train(env, STEPS, seed=seeds, verbose=0)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    ends = trained.evaluate(episodes=EPISODES)
    committed = trained.evaluate(episodes=EPISODES, actions="committed")
    goals, firm = (np.asarray(jax.vmap(jax.vmap(env.goal))(found.state)) for found in (ends, committed))
    keys = jax.random.split(jax.random.PRNGKey(1), EPISODES)
    starts = jax.vmap(lambda key: env.reset(key)[1])(keys)
    found = []
    for i, seed in enumerate(seeds):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], trained.params)
        gate, responsibility = entropies(spec.policy.head(params, starts), keys[0])
        shares = {f"goal_{g}": np.mean(goals[i] == g) for g in range(env.n_goals)}
        found.append(
            {
                "method": name,
                "seed": seed,
                "return": ends.total[i].mean(),
                "return_committed": committed.total[i].mean(),
                "goals": goals_covered(goals[i]),
                "goals_committed": goals_covered(firm[i]),
                "retry10": retry_success(goals[i]),
                "gate_entropy": gate,
                "responsibility_entropy": responsibility,
                **shares,
                "seconds": seconds / len(seeds),
                "cpu_seconds": cpu / len(seeds),
            }
        )
    return pd.DataFrame(found)


def describe(path: Path, told: dict[str, Any], packages: tuple[str, ...] = ()) -> None:
    """What made the table, beside it: script and seeds as told, date, device and versions."""
    here = {
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "versions": {name: version(name) for name in ("jax", "jaxlib", "numpy", "optax", *packages)},
    }
    path.write_text(json.dumps({**told, **here}, indent=1) + "\n", encoding="utf-8")


def device() -> str:
    """The device that jax computed on."""
    found = jax.devices()[0]
    return (
        f"{found.device_kind}, {os.cpu_count()} cores, {platform.machine()}" if found.platform == "cpu" else str(found)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=METHODS, help="rows to make again")
    parser.add_argument("--seeds", type=int, default=10)
    chosen = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "policies_multigoal.csv"
    for name in chosen.only or METHODS:
        new = rows(name, range(chosen.seeds))
        old = pd.read_csv(path) if path.exists() else new.iloc[:0]
        table = pd.concat([old[old["method"] != name], new]) if len(old) else new
        order = {known: place for place, known in enumerate(METHODS)}
        table = table.sort_values(["method", "seed"], key=lambda column: column.map(order).fillna(column))
        table.to_csv(path, index=False, float_format="%.5g")
        print(new.drop(columns="method").mean().round(3).to_dict() | {"method": name}, flush=True)
    seeds = list(range(chosen.seeds))
    told = {"script": "benchmarks/policies.py", "steps": STEPS, "episodes": EPISODES, "seeds": seeds}
    describe(path.with_suffix(".json"), told)


if __name__ == "__main__":
    main()
