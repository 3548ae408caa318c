"""Information criteria and classification quality.

AIC = -2 ll + 2 k                 (Akaike, 1974)
BIC = -2 ll + k log n             (Schwarz, 1978), n = number of units
SABIC = -2 ll + k log((n + 2) / 24)   (Sclove, 1987)
CAIC = -2 ll + k (log n + 1)      (Bozdogan, 1987)
ICL = BIC - 2 sum_i sum_k r_ik log r_ik     (Biernacki, Celeux and Govaert, 2000)
entropy = 1 + sum_i sum_k r_ik log r_ik / (n log K), 1 for one expert  (Ramaswamy et al., 1993)
"""

import numpy as np


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


def icl(log_likelihood: float, parameters: int, units: int, entropy: float) -> float:
    """Integrated completed likelihood, from `entropy` = sum_i w_i sum_k r_ik log r_ik (never positive)."""
    return bic(log_likelihood, parameters, units) - 2 * entropy


def relative_entropy(entropy: float, total: float, classes: int) -> float:
    """1 for classes told apart with certainty, 0 for no information; `total` is the sum of the units' weights."""
    return 1.0 if classes == 1 else 1 + entropy / (total * np.log(classes))
