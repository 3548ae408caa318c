"""Ties: phi = T theta + fixed. Shared coefficients are one free parameter; fixed ones are none."""

from functools import cached_property
from typing import NamedTuple

import numpy as np


class TieMap(NamedTuple):
    """`parameter` (phi,) is the free parameter of each coefficient, or -1 where it is fixed at `value` (phi,)."""

    parameter: np.ndarray
    value: np.ndarray


class Ties:
    """The linear map between free parameters theta and all coefficients phi."""

    def __init__(self, tie_map: TieMap):
        self.index, self.value = tie_map
        self.free = np.flatnonzero(self.index >= 0)
        self.size = int(self.index.max(initial=-1)) + 1

    @cached_property
    def first(self) -> np.ndarray:
        """(theta,) the first coefficient that each free parameter stands for."""
        return (
            np.unique(self.index[self.free], return_index=True)[1].astype(np.int64) if self.size else np.array([], int)
        )

    @cached_property
    def representative(self) -> np.ndarray:
        """(theta,) position in phi of each free parameter's first coefficient."""
        return self.free[self.first]

    @cached_property
    def is_injective(self) -> bool:
        """No coefficient shares its parameter with another."""
        return len(self.free) == self.size

    @cached_property
    def is_identity(self) -> bool:
        """Every coefficient is its own free parameter."""
        return np.array_equal(self.index, np.arange(self.size))

    @cached_property
    def matrix(self) -> np.ndarray:
        """T (phi, theta), zeros and ones."""
        matrix = np.zeros((len(self.index), self.size))
        matrix[self.free, self.index[self.free]] = 1.0
        return matrix

    def expand(self, theta: np.ndarray) -> np.ndarray:
        """theta -> phi."""
        phi = self.value.copy()
        phi[self.free] = theta[self.index[self.free]]
        return phi

    def contract(self, phi: np.ndarray) -> np.ndarray:
        """phi -> theta: the average over the coefficients that share a parameter."""
        counts = np.bincount(self.index[self.free], minlength=self.size)
        return np.bincount(self.index[self.free], phi[self.free], minlength=self.size) / counts

    def gradient(self, phi_gradient: np.ndarray) -> np.ndarray:
        """T' g."""
        if self.is_identity:
            return phi_gradient
        return np.bincount(self.index[self.free], phi_gradient[self.free], minlength=self.size)

    def information(self, phi_information: np.ndarray) -> np.ndarray:
        """T' I T."""
        if self.is_identity:
            return phi_information
        if self.is_injective:
            return phi_information[np.ix_(self.representative, self.representative)]
        return self.matrix.T @ phi_information @ self.matrix
