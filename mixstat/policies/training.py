"""Training: iterations (run, t) -> (run, sums), many in one compiled call; reports, checkpoints and interrupts between.

All randomness of iteration t comes from (seed, t), so that a run is its arrays and its t: going on from a checkpoint,
in however many calls, gives the same numbers to the bit.
"""

import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mixstat.exceptions import ConvergenceWarning, MixstatError, OptionError
from mixstat.policies import checkpoints

Sums = dict[str, Any]
"""Measures summed over iterations: `episodes`, `return`, `length`, `updates`, `unusable` and what a method adds."""
PER_EPISODE = ("return", "length")


class TrainingError(MixstatError, RuntimeError):
    """A training stopped: `training` holds what was learnt up to its last report, the checkpoint what was saved."""

    training: Any = None


class Loop(Protocol):
    """What is iterated. A run is a pytree with a leading axis of seeds."""

    def start(self) -> Any:
        """The run before its first iteration."""
        ...

    def advance(self, run: Any, first: int, n: int) -> tuple[Any, Sums]:
        """The run after iterations first, ..., first + n - 1, and sums (seed,)."""
        ...

    def actor(self, run: Any) -> Any:
        """What acts: parameters of the policy and moments, with a leading axis of seeds."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long, and what happens in between, all in iterations."""

    iterations: int
    report: int
    save: int
    steps: int
    """Of the environment, in one iteration."""
    seeds: tuple[int, ...]
    checkpoint: str | os.PathLike | None
    description: Mapping[str, Any]
    silent: bool


class Progress(NamedTuple):
    """A run, how many iterations it is old, and its reports."""

    run: Any
    iterations: int
    reports: list[dict[str, Any]]


def drive(loop: Loop, plan: Plan, result: Callable[[Progress], Any]) -> Any:
    """Iterate from the checkpoint, if there is one, or from the start; `result` of the progress that was made.

    Ctrl-C ends it with a warning and keeps what is done; TrainingError where the environment raised or numbers ran
    away.
    """
    from tqdm.auto import tqdm

    now = _resume(loop, plan)
    with tqdm(
        total=plan.iterations * plan.steps, desc="training", unit=" steps", delay=1.0, disable=plan.silent
    ) as bar:
        bar.update(now.iterations * plan.steps)
        try:
            while now.iterations < plan.iterations:
                now = _advance(loop, plan, now)
                bar.set_postfix_str(_postfix(now.reports[-1]), refresh=False)
                bar.update(now.iterations * plan.steps - bar.n)
        except KeyboardInterrupt:
            done, asked = now.iterations * plan.steps, plan.iterations * plan.steps
            warnings.warn(
                f"training was interrupted: {done} of {asked} steps are kept", ConvergenceWarning, stacklevel=3
            )
        except TrainingError as error:
            error.training = result(now)
            raise
    return result(now)


def _resume(loop: Loop, plan: Plan) -> Progress:
    start = Progress(loop.start(), 0, [])
    if not checkpoints.exists(plan.checkpoint):
        return start
    run, progress = checkpoints.load(plan.checkpoint, start.run, plan.description)  # type: ignore[arg-type]
    return Progress(run, int(progress["iterations"]), list(progress["reports"]))


def _advance(loop: Loop, plan: Plan, now: Progress) -> Progress:
    """One report further; saved where a checkpoint is due."""
    first = now.iterations
    n = min(plan.report - first % plan.report, plan.save - first % plan.save, plan.iterations - first)
    run, sums = loop.advance(now.run, first, n)
    sums = {name: np.atleast_1d(np.asarray(value, float)) for name, value in sums.items()}
    done = first + n
    _check(sums, plan, first, done)
    then = Progress(run, done, [*now.reports, _report(sums, done * plan.steps)])
    if plan.checkpoint is not None and (done % plan.save == 0 or done == plan.iterations):
        told = {"iterations": done, "reports": then.reports}
        checkpoints.save(plan.checkpoint, run, plan.description, told)
    return then


def _check(sums: Sums, plan: Plan, first: int, done: int) -> None:
    """TrainingError where observations, rewards or losses are no finite numbers."""
    where = f"between steps {first * plan.steps} and {done * plan.steps}"
    if np.any(sums["unusable"] > 0):
        raise TrainingError(
            f"the environment gave observations or rewards that are NaN or infinite {where}; look at its step"
        )
    broken = [name for name, value in sums.items() if not np.isfinite(value).all()]
    if broken:
        raise TrainingError(
            f"training ran away {where}: {', '.join(broken)} is no finite number; try a smaller learning_rate"
        )


def _report(sums: Sums, steps: int) -> dict[str, Any]:
    """Means per finished episode, or per update; None where there was none."""
    measures: dict[str, Any] = {"steps": steps, "episodes": sums["episodes"].tolist()}
    for name, value in sums.items():
        if name not in ("episodes", "updates", "unusable"):
            by = sums["episodes" if name in PER_EPISODE else "updates"]
            measures[name] = [float(v / n) if n > 0 else None for v, n in zip(value, by, strict=True)]
    return measures


def _postfix(report: Mapping[str, Any]) -> str:
    known = [value for value in report["return"] if value is not None]
    return f"return {np.mean(known):.2f}" if known else ""


def history(reports: list[dict[str, Any]], seeds: int) -> dict[str, np.ndarray]:
    """Measures (report, seed) by name, missing ones NaN, and `steps` (report,)."""
    names = list(reports[0]) if reports else ["steps"]
    columns = {name: np.array([report[name] for report in reports], float) for name in names if name != "steps"}
    found = {name: column.reshape(len(reports), seeds) for name, column in columns.items()}
    return {"steps": np.array([report["steps"] for report in reports], int), **found}


@partial(jax.jit, static_argnums=0)
def iterate(step: Callable[[Any, Any], tuple[Any, Sums]], runs: Any, first: Any, n: Any) -> tuple[Any, Sums]:
    """n iterations of every seed in one compiled loop, and their sums (seed,).

    Seeds go side by side on an accelerator, and one after another on a CPU, where a stack of small matrix products
    takes longer than its parts.
    """

    def one(run: Any) -> tuple[Any, Sums]:
        shapes = jax.eval_shape(step, run, first)[1]
        zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        def body(t: jax.Array, carry: Any) -> Any:
            run, sums = carry
            run, new = step(run, t)
            return run, jax.tree.map(jnp.add, sums, new)

        return jax.lax.fori_loop(first, first + n, body, (run, zero))

    return over_seeds(one, runs)


def over_seeds(one: Callable[..., Any], *runs: Any) -> Any:
    """`one` of every seed, the leading axis."""
    if len(jax.tree.leaves(runs)[0]) == 1:
        return jax.tree.map(lambda leaf: leaf[None], one(*jax.tree.map(lambda leaf: leaf[0], runs)))
    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda run: one(*run), runs)
    return jax.vmap(one)(*runs)


class Told:
    """Sums of what a host loop's iterations tell; read from the device once, at the end."""

    def __init__(self) -> None:
        self.parts: list[Sums] = []

    def add(self, sums: Sums) -> None:
        self.parts.append(sums)

    def sums(self) -> Sums:
        """Each measure added up; those of updates are 0 where there were none."""
        found: dict[str, float] = {"updates": 0.0}
        for part in jax.device_get(self.parts):
            for name, value in part.items():
                found[name] = found.get(name, 0.0) + float(value)
        return found


BEFORE = 2**32 - 1
"""The "iteration" whose key draws what a run starts with."""


def number_of(seed: int, t: int) -> int:
    """A seed for numpy's or an environment's own random numbers at iteration t."""
    return int(np.random.SeedSequence((seed, t)).generate_state(1)[0] >> 1)


def key_of(seed: Any, t: Any, *more: int) -> jax.Array:
    """The key of iteration t: all its randomness."""
    key = jax.random.fold_in(jax.random.PRNGKey(seed), t)
    for number in more:
        key = jax.random.fold_in(key, number)
    return key


def checked_seeds(seed: Any) -> tuple[tuple[int, ...], bool]:
    """(the seeds, whether several were asked for): one whole number, or a sequence of different ones."""
    many = not isinstance(seed, int | np.integer)
    try:
        seeds = tuple(int(s) for s in seed) if many else (int(seed),)
    except (TypeError, ValueError):
        seeds = ()
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= s < 2**32 for s in seeds):
        raise OptionError(f"seed must be a whole number from 0, or a sequence of different ones, got {seed!r}")
    return seeds, many


def whole(name: str, value: Any, least: int = 1) -> int:
    """The number, or an OptionError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise OptionError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def between(spec: Any, **bounds: tuple[float, float]) -> None:
    """OptionError unless each named option is above its first bound and at most its second."""
    for name, (low, high) in bounds.items():
        value = getattr(spec, name)
        if isinstance(value, bool | str) or value is None or not low < value <= high:
            raise OptionError(f"{name} must lie in ({low}, {high:g}], got {value!r}")


def in_iterations(
    steps: int, per_iteration: int, *, report: int | None, save: int | None, restarts: int | None = None
) -> dict[str, int]:
    """`iterations`, `report` and `save` as numbers of iterations, of numbers of environment steps, each rounded up."""
    asked = {"iterations": whole("steps", steps)}
    asked["report"] = max(1, steps // 50) if report is None else whole("report_every", report)
    asked["save"] = (restarts or 10 * asked["report"]) if save is None else whole("checkpoint_every", save)
    return {name: math.ceil(value / per_iteration) for name, value in asked.items()}


def described(value: Any) -> Any:
    """A spec as plain data, by which a checkpoint knows what it belongs to; functions by their names."""
    if is_dataclass(value) and not isinstance(value, type):
        told = {field.name: described(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, **told}
    if isinstance(value, tuple | list):
        return [described(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
