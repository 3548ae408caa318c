"""(n) Proximal policy optimisation on MuJoCo tasks of gymnasium: learning curves of one Gaussian and of a mixture.

    python benchmarks/policies_mujoco.py            # InvertedPendulum-v5 and Hopper-v5, two seeds; a quarter of an hour
    python benchmarks/policies_mujoco.py --small    # does it run?

Writes results/policies_mujoco.csv, a row a report, and its description as JSON. The budgets are small: curves show how
learning begins, not what it reaches. Policies are those of the published code: tanh layers 64-64, a state-independent
scale, a gate that is linear in the observation, no squashing.
"""

import argparse
import os
import time
from typing import Any

import pandas as pd
from policies import RESULTS, describe

from mixstat.policies import GaussianMixturePolicy
from mixstat.policies.hosts import make
from mixstat.policies.ppo import PPO

TASKS = {"InvertedPendulum-v5": 61_440, "Hopper-v5": 153_600}
POLICIES = {"one Gaussian": 1, "4 experts": 4}


def method(task: str, n_experts: int) -> PPO:
    """PPO with sizes of the task, one environment of 2,048 steps an iteration."""
    env = make(task)
    sizes = env.observation_space.shape[0], env.action_space.shape[0]
    env.close()
    form: dict[str, Any] = {"activation": "tanh", "squash": False, "gate": "observation", "scale": "constant"}
    policy = GaussianMixturePolicy(*sizes, n_experts=n_experts, initial_log_sd=-0.5, mean_spread=0.3, **form)
    return PPO(policy, n_environments=1, rollout=2048)


def curve(task: str, steps: int, name: str, seed: int) -> pd.DataFrame:
    """A training's curve, with its committed and stochastic returns at the end."""
    spec, begin, cpu = method(task, POLICIES[name]), time.perf_counter(), time.process_time()
    trained = spec.train(task, steps, seed=seed, report_every=6144, verbose=0)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    ends = {way: trained.evaluate(episodes=10, actions=way).total.mean() for way in ("stochastic", "committed")}
    table = trained.curve().assign(seconds=seconds, cpu_seconds=cpu, **ends)
    table.insert(0, "task", task)
    table.insert(1, "policy", name)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seeds", type=int, default=2)
    chosen = parser.parse_args()
    found: list[pd.DataFrame] = []
    for task, steps in TASKS.items():
        for seed in range(1 if chosen.small else chosen.seeds):
            for name in POLICIES:
                found.append(curve(task, 4096 if chosen.small else steps, name, seed))
                last = found[-1].iloc[-1]
                print(
                    task, name, seed, last[["return", "stochastic", "committed", "cpu_seconds"]].to_dict(), flush=True
                )
                if not chosen.small:
                    pd.concat(found).to_csv(RESULTS / "policies_mujoco.csv", index=False, float_format="%.5g")
    if not chosen.small:
        told = {"script": "benchmarks/policies_mujoco.py", "steps": TASKS, "seeds": list(range(chosen.seeds))}
        describe(RESULTS / "policies_mujoco.json", told, packages=("gymnasium", "mujoco"))


if __name__ == "__main__":
    os.environ.setdefault("MUJOCO_GL", "disable")
    main()
