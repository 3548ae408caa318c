"""Ordinal methods: what a regression of ordered categories can be asked beside what every estimator can."""

from mixstat.estimators.methods.ordinal_tests import OrdinalTests


class OrdinalMethods(OrdinalTests):
    """Tests of the slopes."""
