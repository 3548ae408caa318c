"""Information criteria and classification quality.

AIC = -2 ll + 2 k                 (Akaike, 1974)
BIC = -2 ll + k log n             (Schwarz, 1978), n = number of units
SABIC = -2 ll + k log((n + 2) / 24)   (Sclove, 1987)
CAIC = -2 ll + k (log n + 1)      (Bozdogan, 1987)
ICL = BIC - 2 sum_i sum_k r_ik log r_ik     (Biernacki, Celeux and Govaert, 2000)
entropy = 1 + sum_i sum_k r_ik log r_ik / (n log K), 1 for one expert  (Ramaswamy et al., 1993)
"""

import numpy as np
from scipy.special import xlogy


def aic(log_likelihood: float, parameters: int) -> float:
    """Akaike's criterion; smaller is better."""
    return -2 * log_likelihood + 2 * parameters


def bic(log_likelihood: float, parameters: int, units: int) -> float:
    """Schwarz's criterion; smaller is better."""
    return -2 * log_likelihood + parameters * np.log(units)


def sabic(log_likelihood: float, parameters: int, units: int) -> float:
    """Sample-size adjusted BIC."""
    return -2 * log_likelihood + parameters * np.log((units + 2) / 24)


def caic(log_likelihood: float, parameters: int, units: int) -> float:
    """Consistent AIC."""
    return -2 * log_likelihood + parameters * (np.log(units) + 1)


def classification_entropy(responsibility: np.ndarray, weight: np.ndarray) -> float:
    """sum_i w_i sum_k r_ik log r_ik, never positive; `responsibility` (unit, class)."""
    return float(weight @ xlogy(responsibility, responsibility).sum(axis=1))


def relative_entropy(responsibility: np.ndarray, weight: np.ndarray) -> float:
    """1 for classes told apart with certainty, 0 for no information."""
    classes = responsibility.shape[1]
    if classes == 1:
        return 1.0
    return 1 + classification_entropy(responsibility, weight) / (weight.sum() * np.log(classes))
