"""The M-step: from the statistics of an E-step to new parameters. Closed forms where the family has one, one Newton
step on everything else, all on the host."""

import numpy as np

from mixstat.core.expert import Outcome, unfold
from mixstat.core.mixture import Mixture
from mixstat.core.statistics import Pieces
from mixstat.fit.information import gate_matrix, unpack_curvature
from mixstat.fit.linear_algebra import least_squares, solve_ascent
from mixstat.fit.penalty import Penalty
from mixstat.fit.proximal import solve_lasso
from mixstat.fit.ties import Ties

REACH = 5.0
"""Largest change of a gate's coefficient in one step (standardised covariates)."""


def shortening(step: np.ndarray, reach: np.ndarray) -> float:
    """The factor that keeps every entry of a step within its reach."""
    return float(min(1.0, np.min(reach / np.maximum(np.abs(step), 1e-300), initial=1.0)))


def reach_of(mixture: Mixture, ties: Ties) -> np.ndarray:
    """(theta,) the largest change of each parameter in one step: the family's, of the gate REACH."""
    reach = np.full(mixture.size, REACH)
    for group, place in zip(mixture.groups, mixture.split(np.arange(mixture.size))[0], strict=True):
        for outcome, rows in zip(group.outcomes, group.split(place), strict=True):
            family = outcome.family
            steps = np.array([np.inf if p.link == "identity" else family.reach for p in family.parameters])
            reach[rows] = steps[outcome.parameter_of]
    return reach[ties.representative]


def m_step(
    mixture: Mixture, ties: Ties, penalty: Penalty, reach: np.ndarray, theta: np.ndarray, pieces: Pieces, *, gate: bool
) -> np.ndarray:
    """theta after one M-step; `gate=False` leaves the gate where it is."""
    phi = ties.expand(theta)
    gradient, information = np.zeros(len(phi)), np.zeros((len(phi), len(phi)))
    moving = np.ones(len(phi), dtype=bool)
    places, gate_place = mixture.split(np.arange(len(phi)))
    for group, place, statistics in zip(mixture.groups, places, pieces.experts, strict=True):
        for outcome, rows, statistic in zip(group.outcomes, group.split(place), statistics, strict=True):
            if outcome.closed_form:
                phi[rows] = _closed_form(outcome, phi[rows], *statistic)
                moving[rows] = False
            else:
                gradient[rows] = statistic[0][..., outcome.parameter_of, outcome.column_of]
                information[rows[..., :, None], rows[..., None, :]] = unpack_curvature(outcome, statistic[1])
    if gate and gate_place.size:
        gradient[gate_place] = pieces.gate_gradient
        place = gate_place.ravel()
        information[np.ix_(place, place)] = gate_matrix(pieces.gate_information, mixture.gate)
    moving[gate_place] = gate
    stepped = ties.contract(phi)
    free = moving[ties.representative]
    if free.any():
        slope = (ties.gradient(gradient) - penalty.ridge * theta)[free]
        curvature = (ties.information(information) + np.diag(penalty.ridge))[np.ix_(free, free)]
        stepped[free] += _newton_step(curvature, slope, theta[free], penalty.lasso[free], reach[free])
    return stepped


def _newton_step(
    curvature: np.ndarray, slope: np.ndarray, theta: np.ndarray, lasso: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    step = solve_lasso(curvature, slope, theta, lasso) if lasso.any() else solve_ascent(curvature, slope)[0]
    return step * shortening(step, reach)


def _closed_form(outcome: Outcome, phi: np.ndarray, packed: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted least squares of the location, then the other parameters from the scatter, (expert, outcome, width)."""
    count, dimension = len(outcome.columns[0]), outcome.family.dimension
    moments = packed[..., unfold(count + dimension)]
    gram, cross, total = moments[..., :count, :count], moments[..., :count, count:], moments[..., count:, count:]
    step = least_squares(gram, cross)
    scatter = total - np.swapaxes(cross, -1, -2) @ step
    split = dimension * count
    updated = np.empty_like(phi)
    updated[..., :split] = phi[:1, :, :split] + np.swapaxes(step, -1, -2).reshape(*phi.shape[:2], split)
    for place in np.ndindex(phi.shape[:2]):
        diagonal = np.diag(total[place])
        updated[place][split:] = outcome.family.fit_scatter(scatter[place], diagonal, float(weight[place]))
    return updated
