"""Testing: hypotheses about the coefficients of a fit, the delta method, profile-likelihood intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from mixstat.estimators.methods.score_tests import score_tests, terms_of
from mixstat.estimators.model import report
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.state import given_or_training
from mixstat.exceptions import DataError, OptionError
from mixstat.families.growth.form import VARIANCE
from mixstat.families.growth.random import COVARIANCE, SHAPE
from mixstat.families.growth.residuals_together import RESIDUAL_COVARIANCE
from mixstat.formula.hypothesis import parse_hypothesis
from mixstat.inference import hypotheses, natural
from mixstat.inference.level_set import extremes
from mixstat.inference.profile import maximum, profile_interval
from mixstat.results.tables import label_columns, standard_errors, wald_columns

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted
    from mixstat.fit.problem import Evaluation, Problem
    from mixstat.results.labels import Label

Hypothesis = str | Sequence[str] | Mapping[str, float] | np.ndarray


OF_COVARIANCES = (COVARIANCE, SHAPE, VARIANCE, RESIDUAL_COVARIANCE)
"""Parameters whose terms are no covariates."""


class Testing:
    """Methods that test a fit's coefficients. `kind` is that of `covariance()`."""

    fitted_: "Fitted"
    _problem: "Problem"
    covariance: Callable[..., np.ndarray]

    @property
    def coefficient_names_(self) -> list[str]:
        """Names of the estimated coefficients, "expert:parameter:term", in the order of `covariance()`."""
        check_is_fitted(self, "fitted_")
        return [label.name for label in report.labels_of(self.fitted_)]

    def wald_test(self, hypothesis: Hypothesis, value: Any = 0.0, kind: str | None = None) -> pd.DataFrame:
        """Wald test of linear restrictions on the coefficients.

        hypothesis : text such as "1:mean:x = 2:mean:x" over `coefficient_names_`, or a list of them (tested jointly);
            a mapping of names to their values ("all of these at once"); or a matrix R (restriction, coefficient) with
            `value` the right side of R b = value.

        Returns one row: statistic (chi-square), df, p_value.
        """
        held = report.held_names(self.fitted_)
        restriction, right = _restrictions(hypothesis, value, self.coefficient_names_, held)
        result = hypotheses.wald(self.fitted_.theta, self.covariance(kind), restriction, right)
        return pd.DataFrame([result._asdict()])

    def term_tests(self, kind: str | None = None) -> pd.DataFrame:
        """Wald tests of every term: zero in all experts, and (of two or more) equal in all of them.

        One row a parameter and term, the columns of a factor or spline tested together; intercepts are left out.
        """
        labels, covariance = report.labels_of(self.fitted_), self.covariance(kind)
        rows = []
        for (parameter, term), places in _by_term(self.fitted_, labels).items():
            zero = np.eye(len(labels))[places]
            same = _equalities(labels, places)
            tests = [
                hypotheses.wald(self.fitted_.theta, covariance, matrix, np.zeros(len(matrix)))
                if len(matrix)
                else hypotheses.ChiSquare(np.nan, 0, np.nan)
                for matrix in (zero, same)
            ]
            named = zip(("", "equality_"), tests, strict=True)
            numbers = {f"{prefix}{name}": v for prefix, test in named for name, v in test._asdict().items()}
            rows.append({"parameter": parameter, "term": term, **numbers})
        columns = ["parameter", "term", *(p + f for p in ("", "equality_") for f in hypotheses.ChiSquare._fields)]
        return pd.DataFrame(rows, columns=columns)

    def delta(
        self,
        function: Callable[[Mapping[str, Any]], Any],
        level: float = 0.95,
        kind: str | None = None,
    ) -> pd.DataFrame:
        """Any function of the coefficients with standard errors and intervals by the delta method.

        `function` takes a mapping from `coefficient_names_` to values and returns a number, an array or a mapping of
        names to numbers; written in jax.numpy (or plain arithmetic) it is differentiated exactly, otherwise by
        differences. Example: `m.delta(lambda b: b["2:mean:x"] / b["1:mean:x"])`.
        """
        names, covariance = self.coefficient_names_, self.covariance(kind)
        found = hypotheses.delta(lambda b: function(dict(zip(names, b, strict=True))), self.fitted_.theta, covariance)
        columns = wald_columns(found.estimate, standard_errors(found.covariance), checked(level))
        return pd.DataFrame({"name": list(found.names), **columns})

    def score_test(
        self, add: str | Sequence[str], to: str | Sequence[str] = "gate", X: Any = None, y: Any = None
    ) -> pd.DataFrame:
        """Rao's score test of adding a term, without refitting (chi-square; information of the larger model).

        add : a term ("age", "age + sex" is one joint test) or a list of them, tested one by one.
        to : "gate", "location" (of all experts: of growth curves all their factors), another parameter ("sigma"; of
            growth curves one factor, "slope1", or "knot"), or a list of such places: one test of all together.

        Needs the table that the model was fitted to: X, or by default the one of `fit`.
        """
        check_is_fitted(self, "fitted_")
        training = given_or_training(self, X, y, None)
        return score_tests(self, training, terms_of(add), to)

    def profile(self, names: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
        """Profile-likelihood intervals of coefficients (all of them if `names` is None), on the user's scale.

        An end is infinite where the likelihood never falls to the level, and missing where it was not found (of
        covariances of random coefficients near their boundary; `bootstrap()` has intervals of all). Needs the
        training data.
        """
        check_is_fitted(self, "fitted_")
        if not hasattr(self, "_problem"):
            raise DataError("profile() needs the training data, which a saved model does not hold; refit")
        if self.fitted_.assembled.named.penalty.any():
            raise DataError("profile() is for fits without penalty= or gate_penalty=: theirs is not a likelihood")
        known = self.coefficient_names_
        chosen = known if names is None else [names] if isinstance(names, str) else list(names)
        return _profile_table(self.fitted_, self._problem, [_place(name, known) for name in chosen], checked(level))


def _restrictions(
    hypothesis: Hypothesis, value: Any, names: list[str], held: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(R, q); `held` are coefficients that are not estimated."""
    if isinstance(hypothesis, Mapping):
        for name in hypothesis:
            _require_estimated(name, np.array([name == other for other in held]), held)
        places = [_place(name, names) for name in hypothesis]
        return np.eye(len(names))[places], np.array([float(v) for v in hypothesis.values()])
    texts = [hypothesis] if isinstance(hypothesis, str) else hypothesis
    if isinstance(texts, Sequence) and len(texts) and all(isinstance(text, str) for text in texts):
        pairs = [parse_hypothesis(text, [*names, *held]) for text in texts]
        for text, (row, _) in zip(texts, pairs, strict=True):
            _require_estimated(text, row[len(names) :], held)
        pairs = [(row[: len(names)], right) for row, right in pairs]
        return np.array([row for row, _ in pairs]), np.array([right for _, right in pairs])
    matrix = np.atleast_2d(np.asarray(hypothesis, dtype=np.float64))
    if matrix.shape[1] != len(names) or not len(matrix) or not np.isfinite(matrix).all():
        raise OptionError(
            f"a hypothesis is text, a mapping or a finite matrix with {len(names)} columns (one a coefficient, see "
            f"coefficient_names_), got shape {matrix.shape}"
        )
    return matrix, np.broadcast_to(np.asarray(value, dtype=np.float64), (len(matrix),))


def _require_estimated(text: str, row: np.ndarray, held: list[str]) -> None:
    if row.any():
        raise OptionError(
            f"the hypothesis {text!r} names {held[int(np.argmax(row != 0))]!r}, which is not estimated: it is fixed, "
            "or its column is a linear combination of others"
        )


def _place(name: str, names: list[str]) -> int:
    if name not in names:
        raise OptionError(f"{name!r} is no coefficient; expected one of: {', '.join(names)}")
    return names.index(name)


def _by_term(fitted: "Fitted", labels: list["Label"]) -> dict[tuple[str, str], list[int]]:
    """(parameter, formula term) -> places of its coefficients in all experts."""
    columns, schema = fitted.assembled.columns, fitted.schema
    terms = {n: t for key in schema.rights for n, t in zip(*schema.columns[key], strict=True)}
    terms |= {name: columns.terms[place] for place, name in enumerate(columns.by_place)}
    found: dict[tuple[str, str], list[int]] = {}
    for place, label in enumerate(labels):
        if label.term != "Intercept" and label.parameter.split("[")[0] not in OF_COVARIANCES:
            found.setdefault((label.parameter, terms[label.term]), []).append(place)
    return found


def _equalities(labels: list["Label"], places: list[int]) -> np.ndarray:
    """Differences between the experts of each column. In the gate "equal" would depend on the reference: none."""
    identity, rows = np.eye(len(labels)), []
    for name in dict.fromkeys(labels[place].term for place in places):
        mine = [place for place in places if labels[place].term == name and labels[place].parameter != "gate"]
        rows += [identity[mine[0]] - identity[other] for other in mine[1:]]
    return np.array(rows).reshape(len(rows), len(labels))


def _profile_table(fitted: "Fitted", problem: "Problem", places: list[int], level: float) -> pd.DataFrame:
    at = maximum(problem, fitted.solution.theta)
    labels, z = report.labels_of(fitted), float(norm.ppf(0.5 + level / 2))
    ends = [_profile_ends(fitted, problem, at, place, z) for place in places]
    low, high = zip(*ends, strict=True) if ends else ((), ())
    return pd.DataFrame(
        label_columns([labels[place] for place in places])
        | {"estimate": fitted.theta[places], "conf_low": list(low), "conf_high": list(high)}
    )


def _profile_ends(fitted: "Fitted", problem: "Problem", at: "Evaluation", place: int, z: float) -> tuple[float, float]:
    """As tables show a coefficient, which is linear in what is fitted, a function of one parameter, or of several."""
    mixture, ties = fitted.assembled.mixture, fitted.assembled.named.ties
    which, linear = ties.representative[place], fitted.scaling.jacobian(mixture) @ ties.matrix
    value, gradient = natural.one(mixture, fitted.phi, which)
    if np.allclose(natural.one(mixture, 1.01 * fitted.phi + 0.01, which)[1], gradient, rtol=1e-9, atol=0.0):
        found = profile_interval(problem, at, fitted.jacobian[place], z)
        return value + found.low, value + found.high
    if np.count_nonzero(gradient) == 1:
        found = profile_interval(problem, at, linear[which], z)
        return _end_shown(fitted, which, found.low), _end_shown(fitted, which, found.high)

    def shown(theta: np.ndarray) -> tuple[float, np.ndarray]:
        phi = fitted.phi + linear @ (theta - fitted.solution.theta)
        there, slope = natural.one(mixture, phi, which)
        return there, slope @ linear

    return extremes(problem, at, shown, z)


def _end_shown(fitted: "Fitted", which: int, deviation: float) -> float:
    """An end of an interval as tables show the coefficient, from its deviation on the scale of the fit."""
    phi = fitted.phi.copy()
    phi[which] += deviation
    with np.errstate(all="ignore"):
        return natural.one(fitted.assembled.mixture, phi, which)[0]


def likelihood_ratio_test(restricted: Any, full: Any) -> pd.DataFrame:
    """Likelihood-ratio test of two nested fits to the same units: statistic, df, p_value.

    Both must have the same number of experts: fewer of them lie on the boundary, where the chi-square does not hold
    (use `bootstrap_lrt`). Penalised fits are refused, and fits of different responses, such as `covariates="joint"`
    beside "fixed".
    """
    for model in (restricted, full):
        check_is_fitted(model, "fitted_")
        if model.fitted_.assembled.named.penalty.any():
            raise OptionError("likelihood_ratio_test() is for fits without penalty= or gate_penalty=")
    first, second = restricted.fitted_, full.fitted_
    if first.assembled.mixture.classes != second.assembled.mixture.classes:
        raise OptionError(
            f"the fits have {first.assembled.mixture.classes} and {second.assembled.mixture.classes} classes: the "
            "chi-square does not hold between them; use bootstrap_lrt()"
        )
    modelled = [set(report.responses_of(fitted)) for fitted in (first, second)]
    if modelled[0] != modelled[1]:
        shown = " and ".join("(" + ", ".join(report.responses_of(fitted)) + ")" for fitted in (first, second))
        raise OptionError(
            f"the fits are of different responses, {shown}, so that their likelihoods do not compare; covariates "
            "modelled jointly are responses: fit both with covariates='fixed', or both jointly with the same ones"
        )
    if not np.array_equal(first.sample.weight, second.sample.weight):
        raise DataError(f"the fits are to different units ({restricted.n_units_} and {full.n_units_} of them)")
    df = full.n_parameters_ - restricted.n_parameters_
    if df <= 0 or full.log_likelihood_ < restricted.log_likelihood_ - 1e-6 * (1 + abs(full.log_likelihood_)):
        raise OptionError(
            f"the second fit must be the larger one: it has {full.n_parameters_} parameters and log-likelihood "
            f"{full.log_likelihood_:.4f}, the first {restricted.n_parameters_} and {restricted.log_likelihood_:.4f}"
        )
    return pd.DataFrame([hypotheses.likelihood_ratio(restricted.log_likelihood_, full.log_likelihood_, df)._asdict()])
