"""Assembling matrices over all coefficients from the packed statistics of the kernels, on the host."""

import numpy as np

from mixstat.core.expert import Outcome, unfold
from mixstat.core.gate import Gate
from mixstat.core.mixture import Louis, Mixture


def add_curvature(outcome: Outcome, rows: np.ndarray, packed: np.ndarray, information: np.ndarray) -> None:
    """Add an outcome's contracted curvature at its coefficients `rows` (expert, outcome, width), in place."""
    columns = (int(np.sqrt(8 * packed.shape[-1] + 1)) - 1) // 2  # packed holds c (c + 1) / 2 products
    information[rows[..., :, None], rows[..., None, :]] += outcome.gather(packed, columns)


def gate_matrix(packed: np.ndarray, gate: Gate) -> np.ndarray:
    """(pair of classes, pair of columns) -> (class x column, class x column)."""
    count, width = gate.shape
    blocks = packed[unfold(count)][:, :, unfold(width)]
    return blocks.transpose(0, 2, 1, 3).reshape(count * width, count * width)


def observed_information(mixture: Mixture, parts: Louis) -> np.ndarray:
    """- d2 log-likelihood / d phi d phi' = E[complete] - (E[S S'] - sbar sbar'), (phi, phi).

    E[S S'] joins an expert with itself and with its own class in the gate; `own` holds all pairs, so they are picked.
    """
    information = parts.mixed.copy()
    places, gate = mixture.split(np.arange(mixture.size))
    experts = [row for place in places for row in place]
    rows_of_gate = np.arange(parts.own.shape[1] - gate.shape[1], parts.own.shape[1])
    for member, rows in enumerate(experts):
        information[np.ix_(rows, rows)] -= parts.own[np.ix_(rows, rows)]
        if member > 0 and mixture.has_gate:
            cross = parts.own[np.ix_(rows, rows_of_gate)]
            information[np.ix_(rows, gate[member - 1])] -= cross
            information[np.ix_(gate[member - 1], rows)] -= cross.T
    for group, place, packed in zip(mixture.groups, places, parts.pieces.experts, strict=True):
        for outcome, rows, curvature in zip(group.outcomes, group.split(place), packed, strict=True):
            add_curvature(outcome, rows, curvature, information)
    if mixture.has_gate:
        for rows in gate:
            information[np.ix_(rows, rows)] -= parts.own[np.ix_(rows, rows_of_gate)]
        whole = gate.ravel()
        information[np.ix_(whole, whole)] += gate_matrix(parts.pieces.gate_information, mixture.gate)
    return (information + information.T) / 2
