"""(o) Updates per CPU-second of soft actor-critic on the point mass: one and four experts, and stable-baselines3.

    python benchmarks/policies_speed.py                     # ours
    python benchmarks/policies_speed.py --peer VENV/python  # and stable-baselines3, in its own environment

Equal networks (two layers of 64), batch (256), one update for each step of 16 environments, one thread on one core.
CPU seconds, since other work may share the machine: the smallest of several blocks, blocks of the three taking turns.
Ours includes the steps of the environment; the peer's are those of its vectorised environments in numpy. Writes
results/policies_speed.json.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BLOCK, WARM = 500, 100
HERE = Path(__file__).parent
PEER = """
import time, numpy as np, gymnasium, torch, json, sys
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv
import stable_baselines3
torch.set_num_threads(1)

class MultiGoal(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-2, 2, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    goals = 5 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.elapsed = 0.1 * self.np_random.normal(size=2), 0
        return (self.at / 5).astype(np.float32), {}

    def step(self, action):
        self.at = np.clip(self.at + np.clip(action, -1, 1), -7, 7)
        self.elapsed += 1
        nearest = np.sqrt(((self.at - self.goals) ** 2).sum(1)).min()
        done = bool(nearest < 1.2)
        reward = 10.0 * done - 0.05 * float(action @ action) - 0.1 * nearest
        return (self.at / 5).astype(np.float32), reward, done, self.elapsed >= 20, {}

model = SAC("MlpPolicy", DummyVecEnv([MultiGoal] * 16), policy_kwargs={"net_arch": [64, 64]}, batch_size=256,
            learning_rate=1e-3, gamma=0.97, learning_starts=800, gradient_steps=1, train_freq=1, device="cpu", seed=0)
model.learn(16 * 150)
print(json.dumps({"version": stable_baselines3.__version__, "torch": torch.__version__}), flush=True)
for line in sys.stdin:
    n = int(line)
    begin = time.process_time()
    model.learn(16 * n, reset_num_timesteps=False)
    print(json.dumps((time.process_time() - begin) / n), flush=True)
"""


def ours(n_experts: int) -> Any:
    """A function of a number of iterations: CPU seconds for each."""
    import jax

    from mixstat.policies import GaussianMixturePolicy
    from mixstat.policies.environments import MultiGoal
    from mixstat.policies.sac import SAC, CompiledSAC

    policy = GaussianMixturePolicy(2, 2, n_experts=n_experts, log_sd_bounds=(-5.0, 1.0))
    loop = CompiledSAC(SAC(policy, gamma=0.97), MultiGoal(), (0,))
    run, _ = loop.advance(loop.start(), 0, WARM)

    def block(n: int) -> float:
        begin = time.process_time()
        jax.block_until_ready(loop.advance(run, WARM, n))
        return (time.process_time() - begin) / n

    return block


def peer(python: str) -> tuple[Any, dict[str, str]]:
    """The same of stable-baselines3 in a process of its own, and its versions."""
    child = subprocess.Popen([python, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin
    assert child.stdout
    told = json.loads(child.stdout.readline())

    def block(n: int) -> float:
        child.stdin.write(f"{n}\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
        return json.loads(child.stdout.readline())  # type: ignore[union-attr]

    return block, told


def main() -> None:
    from policies import RESULTS, describe

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="python of an environment with stable-baselines3")
    parser.add_argument("--rounds", type=int, default=8)
    chosen = parser.parse_args()
    blocks, versions = {"mixstat, one Gaussian": ours(1), "mixstat, 4 experts": ours(4)}, {}
    if chosen.peer:
        blocks["stable-baselines3"], versions = peer(chosen.peer)
    best = dict.fromkeys(blocks, float("inf"))
    for _ in range(chosen.rounds):
        for name, block in blocks.items():
            best[name] = min(best[name], block(BLOCK // 5 if name == "stable-baselines3" else BLOCK))
    rates = {name: round(1 / seconds, 1) for name, seconds in best.items()}
    one = rates["mixstat, one Gaussian"]
    told = {
        "script": "benchmarks/policies_speed.py",
        "load": os.getloadavg()[0],
        "updates_per_cpu_second": rates,
        "ratios": {name: round(rate / one, 2) for name, rate in rates.items()},
        "peer": versions,
    }
    print(json.dumps(told, indent=1))
    describe(RESULTS / "policies_speed.json", told)


if __name__ == "__main__":
    from timing import single_thread

    sys.path.insert(0, str(HERE))
    single_thread()
    main()
