"""Data: simulated tables that ship with the package, and a simulator of mixtures of experts with known truth.

z_i ~ Multinomial(softmax(gamma_1'v_i, ..., gamma_K'v_i)),    y_ij | z_i = k ~ family(eta = beta_k'x_ij)
"""

from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mixstat.core.family import LINKS, Family
from mixstat.estimators.model.random import generator
from mixstat.exceptions import DataError
from mixstat.families import get_family

FOLDER = Path(__file__).parents[1] / "data"
"""Where the tables stand in a checkout; an installed package holds them itself."""


def load_wages() -> pd.DataFrame:
    """1,200 simulated workers on two wage tracks: log_wage, school, exper, city, union; the true `track`."""
    return _read("wages.csv")


def load_visits() -> pd.DataFrame:
    """Simulated monthly visits of 250 patients of two kinds: patient, month, visits, pain, age; the true `kind`."""
    return _read("visits.csv")


def load_achievement() -> pd.DataFrame:
    """Simulated maths and reading scores of 500 children in grades 0 to 9, one row an occasion, some missing.

    child, grade (each child's own times), math, reading, absences; of the child: ses, parent_edu, approach (to
    learning), sex, urban, siblings, motivation, preschool, books. Made of three classes of bilinear growth, which are
    not shown; the parameters are in `achievement.json` beside the table.
    """
    return _read("achievement.csv")


def load_melanoma() -> pd.DataFrame:
    """A simulated trial of 360 melanoma patients, some cured: patient, treatment, stage, age, sex, years, relapse.

    `years` to relapse (1) or to the end of observation (0), up to 11; who is cured is not shown. The parameters are in
    `melanoma.json` beside the table.
    """
    return _read("melanoma.csv")


def load_campaign() -> pd.DataFrame:
    """Simulated answers of 3,000 people to a campaign: person, outcome, channel, age, spend, visits, newsletter,
    region, wave.

    `outcome` is ordered: ignored < visited < enquired < bought, the last one rare (37 people). The odds are
    proportional for all covariates but two, which the parameters in `campaign.json` beside the table tell.
    """
    table = _read("campaign.csv")
    return table.assign(outcome=pd.Categorical(table["outcome"], OUTCOMES, ordered=True))


OUTCOMES = ["ignored", "visited", "enquired", "bought"]
"""Of the campaign, in their order."""

AGGREGATES = ("CAA", "LCN", "OED", "OSS", "PSS")
"""Codes of rows of the fertility data that are groups of countries."""


def load_fertility() -> pd.DataFrame:
    """Children a woman in 214 countries and territories, 1960 to 2011, one row a country and year; some are missing.

    country, code (ISO 3166, as the World Bank has it), year, rate (total fertility: births a woman at the year's
    age-specific rates). World Development Indicators, The World Bank, read from the installed statsmodels; its rows of
    groups of countries and its years without any rate are left out. See `data/provenance.md`.
    """
    from statsmodels.datasets import fertility

    wide = fertility.load_pandas().data.drop(columns=["Indicator Name", "Indicator Code"])
    wide = wide.rename(columns={"Country Name": "country", "Country Code": "code"}).dropna(axis=1, how="all")
    countries = wide[~wide["code"].isin(AGGREGATES)]
    long = countries.melt(["country", "code"], var_name="year", value_name="rate").astype({"year": np.int64})
    return long.sort_values(["country", "year"], kind="stable").reset_index(drop=True)


def _read(name: str) -> pd.DataFrame:
    inside = files("mixstat").joinpath("data", name)
    if not inside.is_file():
        return pd.read_csv(FOLDER / name)
    with as_file(inside) as path:
        return pd.read_csv(path)


class Simulated(NamedTuple):
    """`data` with the formulas that fit it, the true class of each unit (1-based), and the true coefficients.

    `truth` has the columns expert, parameter, term, value: merge it with `tidy()` on the first three. Experts are
    numbered as a fit numbers them, by their average location predictor over the sample.
    """

    data: pd.DataFrame
    formula: str
    gate: str
    classes: np.ndarray
    truth: pd.DataFrame


def make_moe(
    n: int = 1000,
    *,
    family: str | Family = "gaussian",
    coefficients: Sequence[Sequence[float]] = ((0.0, 1.0), (2.0, -0.5)),
    gate: Sequence[Sequence[float]] = ((0.5, 1.0),),
    parameters: Mapping[str, float | Sequence[float]] | None = None,
    occasions: int = 1,
    random_state: Any = None,
) -> Simulated:
    """Simulate `n` units from a mixture of experts.

    `coefficients` (K, 1 + p) are each expert's intercept and slopes on the scale of the link, `gate` (K - 1, 1 + q)
    those of classes 2 to K against class 1. `parameters` gives the family's other parameters in natural units, one
    value or one an expert (default 1, or 1/2 for a probability). Covariates x1, ..., z1, ... are standard normal; with
    `occasions` above 1 every unit (column `unit`) has that many rows of one class.
    """
    rng, kind = generator(random_state), get_family(family)
    if kind.dimension != 1 or kind.categories or sum(p.location for p in kind.parameters) != 1:
        raise DataError(f"make_moe simulates families of one response and one location, not {kind.name!r}")
    beta, gamma = np.atleast_2d(coefficients).astype(float), np.asarray(gate, dtype=float)
    gamma = gamma.reshape(len(beta) - 1, -1) if gamma.size else np.zeros((len(beta) - 1, 1))
    others = _others(kind, parameters or {}, len(beta))
    x = rng.normal(size=(n * occasions, beta.shape[1] - 1))
    z = rng.normal(size=(n, gamma.shape[1] - 1))
    beta, gamma, others = _in_order(beta, gamma, others, x)
    classes = _draw_classes(rng, gamma, z)
    rows = np.repeat(classes, occasions)
    location = beta[rows, 0] + np.einsum("nc,nc->n", beta[rows, 1:], x)
    eta = [location if p.location else others[p.name][rows] for p in kind.parameters]
    y = np.asarray(kind.sample(rng, eta, None)).reshape(len(rows))
    data = pd.DataFrame(
        {"unit": np.repeat(np.arange(1, n + 1), occasions)} if occasions > 1 else {}, index=range(len(y))
    )
    data["y"] = y
    data[_names("x", x)] = x
    data[_names("z", z)] = np.repeat(z, occasions, axis=0)
    formula, gate_formula = f"y ~ {_sum(_names('x', x))}", f"~ {_sum(_names('z', z))}"
    return Simulated(data, formula, gate_formula, classes + 1, _truth(kind, beta, gamma, others))


def _names(letter: str, values: np.ndarray) -> list[str]:
    return [f"{letter}{index + 1}" for index in range(values.shape[1])]


def _sum(names: list[str]) -> str:
    return " + ".join(names) or "1"


def _others(family: Family, given: Mapping[str, Any], experts: int) -> dict[str, np.ndarray]:
    """Link-scale values (expert,) of the parameters beside the location."""
    known = [p for p in family.parameters if not p.location]
    unknown = set(given) - {p.name for p in known}
    if unknown:
        raise DataError(f"family {family.name!r} has no parameter {sorted(unknown)}; it has {[p.name for p in known]}")
    natural = {p.name: given.get(p.name, 0.5 if p.link == "logit" else 1.0) for p in known}
    links = {p.name: LINKS[p.link] for p in known}
    return {name: np.broadcast_to(links[name](np.asarray(v, float)), (experts,)) for name, v in natural.items()}


def _in_order(
    beta: np.ndarray, gamma: np.ndarray, others: dict[str, np.ndarray], x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Experts by ascending average location predictor, the gate against the new first one."""
    order = np.argsort(beta[:, 0] + beta[:, 1:] @ x.mean(axis=0), kind="stable")
    full = np.vstack([np.zeros((1, gamma.shape[1])), gamma])[order]
    return beta[order], full[1:] - full[0], {name: value[order] for name, value in others.items()}


def _draw_classes(rng: np.random.Generator, gamma: np.ndarray, z: np.ndarray) -> np.ndarray:
    """0-based classes by the Gumbel trick."""
    eta = np.column_stack([np.zeros(len(z)), gamma[:, 0] + z @ gamma[:, 1:].T])
    return np.argmax(eta + rng.gumbel(size=eta.shape), axis=1)


def _truth(family: Family, beta: np.ndarray, gamma: np.ndarray, others: dict[str, np.ndarray]) -> pd.DataFrame:
    rows: list[tuple[int, str, str, float]] = []
    for expert, coefficients in enumerate(beta, start=1):
        for parameter in family.parameters:
            values = coefficients if parameter.location else others[parameter.name][[expert - 1]]
            rows += _labelled(expert, parameter.name, "x", values)
    for expert, coefficients in enumerate(gamma, start=2):
        rows += _labelled(expert, "gate", "z", coefficients)
    table = pd.DataFrame(rows, columns=["expert", "parameter", "term", "value"])
    return table.astype({"expert": "Int64"})


def _labelled(expert: int, parameter: str, letter: str, values: np.ndarray) -> list[tuple[int, str, str, float]]:
    terms = ["Intercept", *(f"{letter}{index}" for index in range(1, len(values)))]
    return [(expert, parameter, term, float(value)) for term, value in zip(terms, values, strict=True)]
