"""Survival: laws of the time to an event, one likelihood for all kinds of censoring."""

from mixstat.families.survival.apgw import APGW
from mixstat.families.survival.family import Survival
from mixstat.families.survival.generalized_gamma import GeneralizedGamma
from mixstat.families.survival.spline import Spline
from mixstat.families.survival.times import Times

__all__ = ["APGW", "GeneralizedGamma", "Spline", "Survival", "Times"]
