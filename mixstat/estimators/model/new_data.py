"""New data: from a table to the arrays that a fitted mixture is applied to, and its probabilities there."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax

from mixstat.core.design import Data
from mixstat.estimators.extras import extra_densities
from mixstat.estimators.model.assembly import to_data
from mixstat.estimators.model.joint_covariates import covariate_response
from mixstat.estimators.model.occasions import Gathered, Grid, gather, has_waves
from mixstat.estimators.model.plan import GATE
from mixstat.estimators.model.repeated import Repeated, encode
from mixstat.estimators.model.responses import ResponseData, distinct, encode_response
from mixstat.estimators.model.sample import gate_values, known_values
from mixstat.estimators.model.slots import by_key, is_grouped
from mixstat.estimators.model.state import Fitted
from mixstat.estimators.model.units import first_rows, log_prior, number_units, require_constant
from mixstat.exceptions import DataError
from mixstat.formula import Materialized, Response
from mixstat.formula.frame import Table
from mixstat.inference.prediction import UnitPosterior, gate_probability, unit_posterior


class NewData(NamedTuple):
    """Arrays of new rows; `responses` by outcome key where the response was asked for; `unit` (row,) if grouped; `grid`
    where rows are occasions of subjects (each of its own subject if not grouped)."""

    data: Data
    responses: Mapping[str, ResponseData] | None
    unit: np.ndarray | None
    rows: int
    grid: Grid | None = None

    @property
    def observed(self) -> np.ndarray:
        """(unit,) whether any response of the unit was."""
        seen = np.logical_or.reduce([response.seen for response in distinct(self.responses or {})])
        unit = self.data.unit
        return seen if unit is None else np.bincount(unit, seen) > 0

    def per_unit(self, values: np.ndarray) -> np.ndarray:
        """(row,) -> (unit,), the value of each unit's first row."""
        return values if self.unit is None else values[first_rows(self.unit)]


def read(fitted: Fitted, table: Any, *, response: bool, by_unit: bool) -> NewData:
    """Materialise new rows. `by_unit` groups them by the model's unit column; missing values are an error."""
    grouped = fitted.unit_name if by_unit else None
    materialized = _materialize(fitted, table, response, by_unit or _depends_on_rows(fitted, table))
    rows = len(materialized.kept)
    unit, labels = number_units(materialized.variables[grouped]) if grouped else (None, None)
    units = rows if unit is None else int(unit.max(initial=-1)) + 1
    gathered = _gather(fitted, materialized, unit, labels)
    responses = _responses(fitted, materialized, gathered) if response or gathered else None
    seen = [] if responses is None else distinct(responses)
    if gathered:
        materialized = gathered.subjects
    extras = fitted.extras if seen else ()
    mixture, columns = fitted.assembled.mixture, fitted.assembled.columns
    places = mixture.gate.columns
    extra = np.zeros((mixture.extras, units))
    extra[: len(extras)] = extra_densities(extras, fitted.extra_states[: len(extras)], seen, unit, units)
    data = to_data(
        fitted.assembled,
        materialized,
        responses,
        unit=None if gathered else unit,
        weight=np.ones(units),
        prior=np.zeros((mixture.classes, units)),
        extra=extra,
        gate_values=gate_values(columns, places, columns.values(materialized), unit, labels)
        if grouped and not gathered
        else None,
    )
    return NewData(data, responses, unit, rows, gathered.grid if gathered else None)


def _depends_on_rows(fitted: Fitted, table: Any) -> bool:
    """Whether a row is read by the times of others of its subject, which the table tells."""
    return has_waves(fitted.plan) and fitted.unit_name in Table(table).names


def _materialize(fitted: Fitted, table: Any, response: bool, units: bool) -> Materialized:
    """A repeated response, and all of several ones, may be missing: such rows tell nothing, but keep their place. All
    else must be there. `units`: with the unit column, if the model has one."""
    variables = [fitted.unit_name] if units and fitted.unit_name else []
    keep = response and (fitted.plan.repeated or fitted.plan.has_several_outcomes)
    return fitted.schema.transform(
        table, response=response, variables=variables, missing="response" if keep else "error"
    )


def _gather(fitted: Fitted, rows: Materialized, unit: np.ndarray | None, labels: np.ndarray | None) -> Gathered | None:
    """Occasions of subjects, each row a subject of its own where they are not grouped."""
    if not fitted.plan.repeated:
        return None
    alone = np.arange(len(rows.kept))
    gathered = gather(fitted.plan, rows, alone if unit is None else unit, alone if labels is None else labels)
    whose = rows.variables.get(str(fitted.unit_name))
    return gathered._replace(owner=None if whose is None else number_units(whose)[0])


def _responses(fitted: Fitted, rows: Materialized, gathered: Gathered | None) -> dict[str, ResponseData]:
    slots = by_key(fitted.assembled.stacks)
    unknown: list[Response | None] = [None] * len(fitted.plan.outcomes)
    responses = rows.responses or unknown
    found = {}
    for outcome, response in zip(fitted.plan.outcomes, responses, strict=True):
        family = slots[outcome.key].family
        if gathered and isinstance(family, Repeated):
            found[outcome.key] = encode(outcome, family, gathered, response)
        elif gathered:
            known = covariate_response(slots[outcome.key].responses, gathered)
            found[outcome.key] = encode_response(family, known, fitted.atoms)
        elif response is not None:
            found[outcome.key] = encode_response(family, response, fitted.atoms)
    return found


def with_response(fitted: Fitted, table: Any) -> NewData:
    """New rows with their response and what is known of their classes, grouped in units; an early, clear error where a
    column is not there."""
    opened = Table(table)
    for name in fitted.schema.response_columns:
        if name not in opened.names:
            raise DataError(
                f"the response is needed here: column {name!r} is not in the data (a model without a formula takes it "
                "as y)"
            )
    return _with_known_classes(fitted, opened, read(fitted, table, response=True, by_unit=True))


def _with_known_classes(fitted: Fitted, table: Table, new: NewData) -> NewData:
    """With the classes that the columns of `prior_classes` tell, where the table has them."""
    columns, mixture = fitted.known.columns, fitted.assembled.mixture
    if not columns or not set(columns) <= set(table.names):
        return new
    values = known_values(table, columns)
    prior = log_prior(values, new.rows, np.arange(new.rows), mixture.experts, mixture.classes, new.unit)
    labels = list(fitted.known.labels) or slice(None)
    return new._replace(data=new.data._replace(prior=prior[labels]))


def with_trials(fitted: Fitted, table: Any) -> Any:
    """The table for what needs the trials of grouped binomial responses alone: successes 0, absent responses missing.

    None where no response is grouped, or the table does not have the trials.
    """
    opened, slots, schema = Table(table), by_key(fitted.assembled.stacks), fitted.schema
    grouped = [left for key, left in schema.lefts.items() if is_grouped(slots[key])]
    free = {left.parts[0].text for left in grouped if left.form == "quotient" and not left.parts[0].is_call}
    free -= set(schema.raw_columns)
    needed = {name for left in grouped for name in left.variables} - free
    if not grouped or not needed <= set(opened.names):
        return None
    absent = set(schema.response_columns) - set(opened.names)
    return opened.assign(dict.fromkeys(absent, np.nan) | dict.fromkeys(free, 0.0))


def posterior(fitted: Fitted, new: NewData) -> UnitPosterior:
    """Bayes' rule for every unit of `new`, read with its response."""
    return unit_posterior(fitted.assembled.mixture, fitted.phi, new.data)


def gate_of(fitted: Fitted, table: Any) -> np.ndarray:
    """pi (unit, class) where the unit column is at hand, else by row; only the gate's own columns are looked at."""
    mixture, columns = fitted.assembled.mixture, fitted.assembled.columns
    by_unit = fitted.unit_name if fitted.unit_name in Table(table).names else None
    rows = fitted.schema.only(GATE).transform(table, variables=[by_unit] if by_unit else [])
    places = mixture.gate.columns
    values = rows.matrices[GATE].values.T if places else np.ones((0, len(rows.kept)))
    if by_unit:
        unit, labels = number_units(rows.variables[by_unit])
        values = require_constant(values.T, unit, labels, [columns.by_place[p] for p in places], "gate column").T
    eta = mixture.split(fitted.phi)[1] @ values
    return softmax(np.vstack([np.zeros(values.shape[1]), eta]), axis=0).T


def class_probability(fitted: Fitted, new: NewData) -> np.ndarray:
    """Class probabilities (design row, class) before a response is seen: the gate's, or where covariates are modelled
    with the response, given these as well. `new` is read without the response."""
    if fitted.plan.repeated and fitted.plan.has_several_outcomes:
        return posterior(fitted, new).responsibility
    return gate_probability(fitted.assembled.mixture, fitted.phi, new.data)


def row_gate(fitted: Fitted, new: NewData) -> np.ndarray:
    """Class probabilities (row, class) from each row's own covariates; `new` is read without units."""
    return class_probability(fitted, new)


def row_responsibilities(fitted: Fitted, table: Any) -> np.ndarray:
    """Responsibilities (row, class) of each row's unit."""
    new = with_response(fitted, table)
    responsibility = posterior(fitted, new).responsibility
    return responsibility if new.unit is None else responsibility[new.unit]
