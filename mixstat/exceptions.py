"""Errors and warnings of the package: each message says what came, what was expected and what to try."""

from sklearn.exceptions import ConvergenceWarning as _SklearnConvergenceWarning


class MixstatError(Exception):
    """Base of the package's errors."""


class DataError(MixstatError, ValueError):
    """The data do not suit the model: names the column, the rows or the weight at fault."""


class OptionError(MixstatError, ValueError):
    """An argument is of the wrong type or out of its range."""


class FormulaError(MixstatError, ValueError):
    """A formula was refused, or cannot be evaluated on the data."""


class UnknownColumnError(DataError, FormulaError):
    """A formula names a column that the data do not have."""


class UnseenLevelError(DataError):
    """New data hold a level of a categorical column that was not there in fit."""


class ConvergenceWarning(_SklearnConvergenceWarning):
    """The reported solution is not certified as a maximum."""


class LocalOptimumWarning(UserWarning):
    """Starts disagree: one alone, or at most one in five of those carried on, came to the reported optimum."""


class CollinearityWarning(UserWarning):
    """Some columns are linear combinations of others and were not estimated."""


class CrossingWarning(UserWarning):
    """Cumulative probabilities of ordered categories cross in some rows of the data, which have a negative one."""
