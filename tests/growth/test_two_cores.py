"""A fit ends on two cores, where independent chains of LAPACK calls in one kernel were seen to deadlock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import numpy as np, pandas as pd, mixstat as ms
rng = np.random.default_rng(0)
n, waves = 500, 9
time = np.tile(np.arange(waves, dtype=float), n)
knot = np.repeat(rng.choice([2.5, 5.5], n), waves)
level, slope = np.repeat(rng.normal(size=(2, n)) * [[3.0], [0.5]], waves, axis=1)
y = 10 + level + (slope + 2) * np.minimum(time, knot) - np.maximum(time - knot, 0) + rng.normal(size=n * waves)
table = pd.DataFrame({"id": np.repeat(np.arange(n), waves), "time": time, "y": y})
curve = ms.GrowthCurve("y ~ bilinear(time)", unit="id")
print(ms.MixtureOfExperts(curve, n_experts=2, n_init=1, random_state=0, verbose=0).fit(table).log_likelihood_)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the cores of a process can be chosen on Linux only")
def test_a_fit_ends_on_two_cores():
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    bind = f"import os; os.sched_setaffinity(0, {{{cores}}})\n"
    where = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    }
    done = subprocess.run([sys.executable, "-c", bind + SCRIPT], capture_output=True, text=True, timeout=120, env=where)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0
