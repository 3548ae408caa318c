"""Verdict: is this a maximum, and one to trust? In words, with advice.

Flags follow what was found in practice: experts that hold fewer units than they have parameters, an expert many times
more concentrated than the others on few units (a spike of the unbounded likelihood), a gate that separates.
"""

from collections.abc import Iterator

import jax
import numpy as np

from mixstat.core.family import Family
from mixstat.core.mixture import Diagnostics, diagnostics
from mixstat.fit.linear_algebra import unit_diagonal
from mixstat.fit.problem import Evaluation, Problem
from mixstat.fit.solution import Verdict

CONCENTRATION = np.log(50.0)
"""Mean log-density of an expert's own units above the others', from which it counts as a spike (scale ratio 0.02)."""
SEPARATION = 15.0
"""|log pi_k - log pi_1| from which a unit counts as separated; the gate is steep where a tenth of the units are.

A steep gate is called separated only where its maximum is not finite: no certificate, or no information."""
MAXIMUM = "converged: a maximum with positive definite information"
EMPTY = 1e-2
"""Units that a class without parameters explains at least, in expectation, lest it is called empty."""
SEPARATED = (
    "the gate separates the classes perfectly for some units, so its coefficients grow without bound; "
    "drop a gate covariate or set gate_penalty"
)


def judge(
    problem: Problem,
    at: Evaluation,
    information: np.ndarray,
    converged: bool,
    decrement: float,
    held: np.ndarray | None = None,
    words: tuple[str, ...] = (),
) -> Verdict:
    """The verdict on an evaluated point; `information` is that of the unpenalised likelihood.

    Parameters that are `held` (theta,) at a limit, or by a lasso at zero, inform nothing there; `words` say what the
    limits are.
    """
    complaints, found, steep = _suspicions(problem, at.theta, at.class_weight)
    spurious = bool(complaints)
    free = ~problem.penalty.zeroed(at.theta) if held is None else ~(held | problem.penalty.zeroed(at.theta))
    singular = _is_singular(information[free][:, free])
    if steep and (singular or not converged):
        complaints.append(_empty_classes(problem, at.class_weight) or SEPARATED)
    elif singular:
        complaints.append(
            "the information is singular, so some standard errors do not exist; "
            "fewer experts or covariates, shared or fixed parameters may help"
        )
    elif not converged:
        complaints.append(f"not converged (Newton decrement {decrement:.1e}); raise max_iter or n_init")
    status = "; ".join([*(complaints or [MAXIMUM]), *words])
    return Verdict(converged and not spurious and not singular, spurious, status, float(found.entropy))


def judge_em(problem: Problem, theta: np.ndarray, class_weight: np.ndarray, done: bool) -> Verdict:
    """The verdict on a point where EM stopped: no information, hence no certificate, is computed."""
    complaints, found, steep = _suspicions(problem, theta, class_weight)
    spurious = bool(complaints)
    complaints += [_empty_classes(problem, class_weight) or SEPARATED] if steep else []
    words = (
        "EM stopped: the mean log-likelihood gained less than tol in a step (no certificate of a maximum)"
        if done
        else "EM reached max_iter; raise it or tol"
    )
    return Verdict(done and not spurious, spurious, "; ".join([*complaints, words]), float(found.entropy))


def _suspicions(problem: Problem, theta: np.ndarray, class_weight: np.ndarray) -> tuple[list[str], Diagnostics, bool]:
    """(why the solution is spurious, its diagnostics, whether the gate is steep enough to separate)."""
    complaints = degeneracies(problem, theta)
    small = _small_experts(problem, class_weight)
    found = jax.tree.map(
        np.asarray, diagnostics(problem.mixture, problem.ties.expand(theta), problem.design, SEPARATION)
    )
    spikes = _spikes(problem, found, class_weight)
    if len(small):
        complaints.append(
            f"expert {_names(small)} collapsed: it holds fewer units than it has parameters; "
            "reduce n_experts, share parameters, or raise n_init"
        )
    elif len(spikes):
        complaints.append(
            f"expert {_names(spikes)} is a spike on few units (an artefact of the unbounded likelihood); "
            "raise scale_penalty or share the scale"
        )
    return complaints, found, bool(found.separated > 0.1 * class_weight.sum())


def degeneracies(problem: Problem, theta: np.ndarray) -> list[str]:
    """What families say of experts at their average predictors."""
    found: dict[str, list[int]] = {}
    for expert, family, eta in constants(problem, theta):
        words = family.degenerate(eta)
        if words:
            found.setdefault(words, []).append(expert)
    one = problem.mixture.experts == 1
    return [words if one else f"expert {_names(np.array(who))}: {words}" for words, who in found.items()]


def constants(problem: Problem, theta: np.ndarray) -> Iterator[tuple[int, Family, np.ndarray]]:
    """(expert, family, intercepts (P,) where covariates are at their average, NaN without one) of every outcome."""
    expert = 0
    parts, _ = problem.mixture.split(problem.ties.expand(theta))
    for group, part in zip(problem.mixture.groups, parts, strict=True):
        for copy in range(group.copies):
            for outcome, own in zip(group.outcomes, group.split(part[copy : copy + 1]), strict=True):
                for item in own[0]:
                    eta = np.full(len(outcome.columns), np.nan)
                    intercepts = outcome.column_of == 0
                    eta[outcome.parameter_of[intercepts]] = item[intercepts]
                    yield expert, outcome.family, eta
            expert += 1


def _names(experts: np.ndarray) -> str:
    return ", ".join(str(index + 1) for index in experts)


def _small_experts(problem: Problem, class_weight: np.ndarray) -> np.ndarray:
    """Experts whose expected units (scaled to the number of units) are fewer than own free parameters + 1."""
    mixture = problem.mixture
    if mixture.classes == 1:
        return np.array([], dtype=int)
    counts = np.bincount(problem.ties.index[problem.ties.free], minlength=problem.ties.size + 1)
    weight = np.asarray(problem.design.weight)
    size = class_weight * np.count_nonzero(weight) / max(weight.sum(), 1e-300)
    index = 0
    needed: list[int] = []
    for group in mixture.groups:
        own = problem.ties.index[index : index + group.copies * group.width].reshape(group.copies, group.width)
        needed.extend(int(np.sum((row >= 0) & (counts[row] == 1))) for row in own)
        index += group.copies * group.width
    rows_per_unit = _rows_per_unit(problem)
    return np.flatnonzero(size[: mixture.experts] * rows_per_unit < np.minimum(np.array(needed), 200) + 1)


def _empty_classes(problem: Problem, class_weight: np.ndarray) -> str:
    """That classes without parameters explain no unit, so that their part of the gate runs away."""
    experts, weight = problem.mixture.experts, np.asarray(problem.design.weight)
    size = class_weight[experts:] * np.count_nonzero(weight) / weight.sum()
    empty = experts + np.flatnonzero(size < EMPTY)
    words = f"class {_names(empty)} (of extra=) is empty: no unit is likely to be in it; leave it out"
    return words if len(empty) else ""


def _rows_per_unit(problem: Problem) -> float:
    design = problem.design
    items = float(sum(outcome.count for outcome in problem.mixture.groups[0].outcomes))
    if design.unit is None:
        return items
    weight = np.asarray(design.weight)
    rows = float(np.count_nonzero(np.take_along_axis(weight, np.asarray(design.unit), axis=1)))
    return items * rows / max(float(np.count_nonzero(weight)), 1.0)


def _spikes(problem: Problem, found: Diagnostics, class_weight: np.ndarray) -> np.ndarray:
    """Experts many times more concentrated than the others on less than a tenth of the units."""
    mixture = problem.mixture
    unbounded = any(outcome.family.unbounded for group in mixture.groups for outcome in group.outcomes)
    if not unbounded or mixture.experts == 1:
        return np.array([], dtype=int)
    average = found.density[: mixture.experts] / np.maximum(class_weight[: mixture.experts], 1e-300)
    others = np.array([np.median(np.delete(average, k)) for k in range(len(average))])
    share = class_weight[: mixture.experts] / class_weight.sum()
    return np.flatnonzero((average - others > CONCENTRATION * _rows_per_unit(problem)) & (share < 0.1))


def _is_singular(information: np.ndarray) -> bool:
    if not len(information):
        return False
    if not np.isfinite(information).all():
        return True
    return float(np.linalg.eigvalsh(unit_diagonal(information)[0])[0]) < 1e-10
