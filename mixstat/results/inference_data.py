"""ArviZ: draws of the coefficients as an InferenceData (ArviZ 0.2x) or an xarray DataTree (ArviZ 1.x).

A parameter is a variable with dimensions (chain, draw, expert, term); the term is left out where the parameter is
constant, the expert where it is shared. The gate's are gate_expert and gate_term. The log-likelihood is by unit.
Draws of a bootstrap are no posterior: they stand in a group of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

from mixstat.results.labels import Label

GATE = "gate"
Leaf = tuple[tuple[str, ...], np.ndarray, dict[str, str]]


class Variable(NamedTuple):
    """One parameter: the places of its coefficients, shaped as its dimensions, and their coordinates."""

    name: str
    places: np.ndarray
    coordinates: tuple[tuple[str, list], ...]
    link: str


class Group(NamedTuple):
    """Variables (dimensions, values, attributes) by name, and coordinates by dimension."""

    variables: Mapping[str, Leaf]
    coordinates: Mapping[str, Sequence]


def to_inference_data(groups: Mapping[str, Group], attributes: Mapping[str, Any]) -> Any:
    """The container of the installed ArviZ; `attributes` are given to every group.

    Raises ImportError, saying what to install, where ArviZ is missing.
    """
    version = _version("arviz")
    if version is None:
        raise ImportError("to_arviz() needs ArviZ: pip install arviz")
    import xarray

    own = _version("mixstat") or "unknown"
    shown = {"inference_library": "mixstat", "inference_library_version": own, **attributes}
    sets = {
        name: xarray.Dataset(dict(group.variables), coords=dict(group.coordinates), attrs=shown)
        for name, group in groups.items()
    }
    if int(version.split(".")[0]) >= 1:
        return xarray.DataTree.from_dict(sets)
    import arviz

    container: Any = arviz.InferenceData
    return container(**sets)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def coefficient_group(labels: Sequence[Label], values: np.ndarray) -> Group:
    """Coefficients (chain, draw, coefficient), one variable a parameter."""
    variables: dict[str, Leaf] = {}
    coordinates: dict[str, Sequence] = _samples(values)
    for variable in arrange(labels):
        dimensions = []
        for dimension, values_of in variable.coordinates:
            name = _free_name(dimension, values_of, variable.name, coordinates)
            coordinates[name] = values_of
            dimensions.append(name)
        leaf = values[..., variable.places]
        variables[variable.name] = (("chain", "draw", *dimensions), leaf, {"link": variable.link})
    return Group(variables, coordinates)


def draw_group(values: Mapping[str, np.ndarray]) -> Group:
    """One number a draw, each (chain, draw)."""
    first = next(iter(values.values()))
    return Group({name: (("chain", "draw"), value, {}) for name, value in values.items()}, _samples(first))


def unit_group(name: str, values: np.ndarray, units: Sequence) -> Group:
    """The log-likelihood (chain, draw, unit)."""
    return Group({name: (("chain", "draw", "unit"), values, {})}, {**_samples(values), "unit": units})


def row_group(values: Mapping[str, tuple[np.ndarray, dict[str, str]]], rows: Sequence) -> Group:
    """Observed responses, each (row,), with attributes."""
    return Group({name: (("row",), value, attributes) for name, (value, attributes) in values.items()}, {"row": rows})


def _samples(values: np.ndarray) -> dict[str, Sequence]:
    return {"chain": range(values.shape[0]), "draw": range(values.shape[1])}


def _free_name(dimension: str, wanted: Sequence, variable: str, taken: Mapping[str, Sequence]) -> str:
    """The dimension's name, with the variable's before it where other coordinates have taken it."""
    return dimension if taken.get(dimension, wanted) == wanted else f"{variable}_{dimension}"


def arrange(labels: Sequence[Label]) -> Iterator[Variable]:
    """Variables of the coefficients: shared ones apart; an expert apart where the experts' terms differ."""
    for parameter in dict.fromkeys(label.parameter for label in labels):
        places = {(x.expert, x.term): i for i, x in enumerate(labels) if x.parameter == parameter}
        link = next(label.link for label in labels if label.parameter == parameter)
        shared = {term: place for (expert, term), place in places.items() if expert == 0}
        own = {key: place for key, place in places.items() if key[0] > 0}
        if shared:
            yield _shared(f"{parameter}_shared" if own else parameter, shared, link)
        if own:
            yield from _own(parameter, own, link)


def _shared(name: str, places: Mapping[str, int], link: str) -> Variable:
    if list(places) == ["Intercept"]:
        return Variable(name, np.array(places["Intercept"]), (), link)
    return Variable(name, np.array(list(places.values())), (("term", list(places)),), link)


def _own(parameter: str, places: Mapping[tuple[int, str], int], link: str) -> Iterator[Variable]:
    experts = sorted({expert for expert, _ in places})
    terms = list(dict.fromkeys(term for _, term in places))
    if len(places) < len(experts) * len(terms):
        for expert in experts:
            yield _shared(f"{parameter}_{expert}", {t: p for (e, t), p in places.items() if e == expert}, link)
        return
    prefix = "gate_" if parameter == GATE else ""
    grid = np.array([[places[expert, term] for term in terms] for expert in experts])
    if terms == ["Intercept"]:
        yield Variable(parameter, grid[:, 0], ((f"{prefix}expert", experts),), link)
    else:
        yield Variable(parameter, grid, ((f"{prefix}expert", experts), (f"{prefix}term", terms)), link)
