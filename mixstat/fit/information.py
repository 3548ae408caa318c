"""Assembling matrices over all coefficients from the packed statistics of the kernels, on the host."""

import numpy as np

from mixstat.core.expert import Outcome, unfold
from mixstat.core.gate import Gate
from mixstat.core.mixture import Mixture
from mixstat.core.statistics import Louis


def unpack_curvature(outcome: Outcome, packed: np.ndarray) -> np.ndarray:
    """An outcome's contracted curvature as (expert, outcome, width, width)."""
    columns = (int(np.sqrt(8 * packed.shape[-1] + 1)) - 1) // 2  # packed holds c (c + 1) / 2 products
    return outcome.gather(packed, columns)


def gate_matrix(packed: np.ndarray, gate: Gate) -> np.ndarray:
    """(pair of classes, pair of columns) -> (class x column, class x column)."""
    count, width = gate.shape
    blocks = packed[unfold(count)][:, :, unfold(width)]
    return blocks.transpose(0, 2, 1, 3).reshape(count * width, count * width)


def observed_information(mixture: Mixture, parts: Louis) -> np.ndarray:
    """- d2 log-likelihood / d phi d phi' = E[complete] - (E[S S'] - sbar sbar'), (phi, phi).

    E[S S'] joins an expert with itself and with its own class in the gate, and each class of the gate with itself.
    """
    information = parts.mixed.copy()
    places, gate = mixture.split(np.arange(mixture.size))
    first = 0
    for group, place, own, complete in zip(mixture.groups, places, parts.own, parts.complete, strict=True):
        information[place[:, :, None], place[:, None, :]] -= own[:, :, : group.width]
        for outcome, rows, curvature in zip(group.outcomes, group.split(place), complete, strict=True):
            blocks = curvature if outcome.closed_form else unpack_curvature(outcome, curvature)
            information[rows[..., :, None], rows[..., None, :]] += blocks
        for member, rows in enumerate(place, start=first):
            if member > 0 and mixture.has_gate:
                cross = own[member - first, :, group.width :]
                information[np.ix_(rows, gate[member - 1])] -= cross
                information[np.ix_(gate[member - 1], rows)] -= cross.T
        first += group.copies
    if mixture.has_gate:
        information[gate[:, :, None], gate[:, None, :]] -= parts.gate_own[:, unfold(gate.shape[1])]
        whole = gate.ravel()
        information[np.ix_(whole, whole)] += gate_matrix(parts.pieces.gate_information, mixture.gate)
    return (information + information.T) / 2
