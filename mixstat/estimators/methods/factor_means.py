"""Means of growth coefficients by class, alpha_k + B_k E[x | k], with delta-method errors.

Where covariates are modelled jointly, E[x | k] = mu_k is estimated with the rest ("mueta" of nlpsem). Where they are
given, it is the average over subjects of the fit, weighted with their responsibilities and taken as known.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mixstat.estimators.methods.grids import rows_of
from mixstat.estimators.methods.scene import restricted
from mixstat.estimators.model import new_data, report
from mixstat.estimators.model.checks import level as checked
from mixstat.estimators.model.joint_covariates import joint_names, mean_labels
from mixstat.exceptions import OptionError
from mixstat.families.growth.mixed import MixedModel
from mixstat.inference import hypotheses
from mixstat.results.tables import standard_errors, wald_columns

if TYPE_CHECKING:
    from mixstat.estimators.model.state import Fitted

MODELLED, AVERAGED, NONE = "modelled", "averaged", "none"


def factor_means(model: Any, level: float, covariance: str | None) -> pd.DataFrame:
    """See `Growing.factor_means`."""
    fitted = model.fitted_
    rows = _rows(fitted)
    joint = joint_names(fitted.plan)
    terms = {term for _, _, places in rows for term in places if term != "Intercept"}
    known = _averages(model) if terms - set(joint) else {}
    means = mean_labels(fitted)

    def values(theta: Any) -> list[Any]:
        found = []
        for expert, _, places in rows:
            weights = {t: theta[means[expert, t]] if t in joint else known[t][expert - 1] for t in places if t in terms}
            found.append(sum(theta[place] * weights.get(term, 1.0) for term, place in places.items()))
        return found

    at = hypotheses.delta(values, fitted.theta, model.covariance(covariance))
    columns = wald_columns(at.estimate, standard_errors(at.covariance), checked(level))
    table = pd.DataFrame({"expert": pd.array([row[0] for row in rows], dtype="Int64")})
    table["parameter"] = [row[1] for row in rows]
    shown = table.assign(**{name: columns[name] for name in ("estimate", "std_error", "conf_low", "conf_high")})
    return shown.assign(covariates=NONE if not terms else MODELLED if joint else AVERAGED)


def _rows(fitted: "Fitted") -> list[tuple[int, str, dict[str, int]]]:
    """(expert, growth coefficient, places of its coefficients in theta by term)."""
    labels, rows = report.labels_of(fitted), []
    experts = np.repeat(np.arange(len(fitted.plan.copies)), fitted.plan.copies)
    for expert, template in enumerate(experts, start=1):
        slots = [slot for stacked in fitted.assembled.stacks[template] for slot in stacked]
        families = [slot.family for slot in slots if isinstance(slot.family, MixedModel)]
        named = [p.name for family in families for p in family.parameters[: family.head] if p.location]
        for name in dict.fromkeys(named):
            own = {x.term: i for i, x in enumerate(labels) if x.parameter == name and x.expert in (0, expert)}
            rows.append((expert, name, own))
    if not rows:
        raise OptionError("factor_means() is for growth curves with named factors, such as 'y ~ bilinear(t)'")
    return rows


def _averages(model: Any) -> dict[str, np.ndarray]:
    """Of every design column, by class: averages over the subjects of the fit with their responsibilities."""
    fitted = model.fitted_
    new = new_data.with_response(fitted, restricted(*rows_of(model, None, None)))
    share = new_data.posterior(fitted, new).responsibility * fitted.sample.weight[:, None]
    values = new.data.columns @ (share / share.sum(axis=0))
    return dict(zip(fitted.assembled.columns.by_place, values, strict=True))
