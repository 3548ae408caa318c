"""The distributions of an expert's response, one a file, and their registry."""

from mixstat.core.family import Family
from mixstat.families.beta import Beta
from mixstat.families.binomial import Binomial
from mixstat.families.categorical import Categorical
from mixstat.families.gamma import Gamma
from mixstat.families.gaussian import Gaussian
from mixstat.families.inverse_gaussian import InverseGaussian
from mixstat.families.lognormal import Lognormal
from mixstat.families.multivariate_gaussian import DiagonalGaussian, MultivariateGaussian
from mixstat.families.negative_binomial import NegativeBinomial
from mixstat.families.poisson import Poisson
from mixstat.families.student_t import StudentT

FAMILIES: dict[str, type[Family]] = {
    family.name: family
    for family in (
        Gaussian,
        StudentT,
        Lognormal,
        Gamma,
        InverseGaussian,
        Beta,
        Poisson,
        NegativeBinomial,
        Binomial,
        Categorical,
        MultivariateGaussian,
        DiagonalGaussian,
    )
}

__all__ = [
    "FAMILIES",
    "Beta",
    "Binomial",
    "Categorical",
    "DiagonalGaussian",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "Lognormal",
    "MultivariateGaussian",
    "NegativeBinomial",
    "Poisson",
    "StudentT",
    "get_family",
]


def get_family(spec: str | Family) -> Family:
    """The family of this name, or `spec` itself if it is a family."""
    if isinstance(spec, Family):
        return spec
    if spec not in FAMILIES:
        raise ValueError(f"unknown family {spec!r}; choose one of {', '.join(sorted(FAMILIES))}, or give a Family")
    return FAMILIES[spec]()
