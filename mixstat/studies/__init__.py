"""Simulation studies: how good are the estimates of a method over data whose truth is known?"""

from mixstat.studies.estimates import Estimates, wald
from mixstat.studies.study import Study

__all__ = ["Estimates", "Study", "wald"]
