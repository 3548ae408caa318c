"""Ordinal methods: what a regression of ordered categories can be asked beside what every estimator can."""

from mixstat.estimators.methods.ordinal_support import OrdinalSupport
from mixstat.estimators.methods.ordinal_tests import OrdinalTests
from mixstat.estimators.methods.rare_events import RareEvents


class OrdinalMethods(OrdinalTests, OrdinalSupport, RareEvents):
    """Tests of the slopes, the support of penalised fits, and predictions of rare categories."""
